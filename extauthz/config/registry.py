"""Settings of the registry, and its files from disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from extauthz.config.policyfiles import load_policy_files
from extauthz.config.section import Section
from extauthz.errors import PolicyError, RegistryError

if TYPE_CHECKING:
    from collections.abc import Sequence

Unknown = Literal["allow", "refuse"]


class RegistrySettings(Section):
    """Declared identities and role bindings. The files are looked at as often as policy files are."""

    paths: tuple[Path, ...] = Field(default=(), description="Registry files, or directories of `*.yaml` files.")
    unknown: Unknown = Field(
        default="allow",
        description="Callers that the registry does not declare: `allow` leaves them to policy, `refuse` refuses them "
        "as `identity_unregistered`. A profile can say otherwise.",
    )


def load_registry_files(paths: Sequence[Path]) -> dict[str, bytes]:
    """Return the content of registry files by their names, found and read as policy files are.

    Args:
        paths: files and directories.

    Raises:
        RegistryError: one cannot be read, is too large, or a directory holds none.
    """
    try:
        return load_policy_files(paths, "registry")
    except PolicyError as error:
        raise RegistryError(error.problems) from error
