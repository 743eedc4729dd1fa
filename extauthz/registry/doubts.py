"""What a registry says that is allowed but probably not meant, held against settings and policy."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from extauthz.validation import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection

    from extauthz.errors import Problem
    from extauthz.registry.index import Registry

_WEB: tuple[str, ...] = ("https://", "http://")


def find_doubts(registry: Registry, issuers: Collection[str], attributes: Collection[str] | None) -> list[Problem]:
    """Return a warning for each name that leads nowhere.

    Args:
        registry: as loaded.
        issuers: those that are configured.
        attributes: names of the attributes that some resource has; None when no policy is known.
    """
    found = [
        replace(place, message=f"the issuer `{issuer}` is not configured, so this is about nobody", fix=advice)
        for issuer, place in registry.issuers.items()
        # Trust domains and the like are names of another sort, which are not among the configured issuers.
        if issuer not in issuers and issuer.startswith(_WEB) and (advice := did_you_mean(issuer, issuers))
    ]
    if attributes is not None:
        message = "no resource has an attribute `{}`, so this binding holds nowhere"
        found += [
            replace(place, message=message.format(name), fix=did_you_mean(name, {*attributes, "resource", "tenant"}))
            for name, place in registry.attributes.items()
            if name not in attributes
        ]
    return sorted(found)
