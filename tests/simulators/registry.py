"""Registries for tests, from text as people write it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extauthz.registry.build import build_registry
from tests.simulators.tokens import ISSUER

if TYPE_CHECKING:
    from extauthz.registry.index import Registry


def registry(text: str, issuer: str = ISSUER) -> Registry:
    """Return the registry that `text` states; `ISSUER` in it is replaced by `issuer`."""
    return build_registry({"registry.yaml": text.replace("ISSUER", issuer).encode()})
