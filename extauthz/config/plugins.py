"""Settings of plug-ins: which kinds of requirements come from distributions outside, pinned by version and content."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from extauthz.config.section import Section

if TYPE_CHECKING:
    from collections.abc import Sequence

KIND = r"^[a-z][a-z0-9_-]{0,31}\.[a-z][a-z0-9_-]{0,63}$"
"""`VENDOR.KIND`."""

_OURS = "extauthz."


def _of_a_vendor(kind: str) -> str:
    if kind.startswith(_OURS):
        message = f"`{_OURS}…` is kept for this project; use the name of a vendor"
        raise ValueError(message)
    return kind


class PluginSettings(Section):
    """A kind of requirement that a plug-in adds. What is not named here is never loaded."""

    kind: Annotated[str, Field(pattern=KIND), AfterValidator(_of_a_vendor)] = Field(
        description="What policies write, `vendor.kind`; the name of the entry point."
    )
    distribution: str = Field(min_length=1, description="The installed distribution that offers it.")
    version: str = Field(min_length=1, description="Its version, exactly.")
    sha256: str = Field(
        pattern="^[0-9a-f]{64}$",
        description="Digest of its files, as `extauthz config --plugins` prints it; it is compared before anything is "
        "imported.",
    )


def require_distinct_kinds(plugins: Sequence[PluginSettings]) -> None:
    """Refuse settings in which one kind comes from two plug-ins.

    Raises:
        ValueError: it does.
    """
    kinds = [each.kind for each in plugins]
    if len(set(kinds)) != len(kinds):
        message = "two plug-ins have the same `kind`"
        raise ValueError(message)
