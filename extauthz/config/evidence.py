"""What must fit together among issuers, profiles and threads so that evidence can be fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extauthz.config.issuers import IssuerSettings
    from extauthz.config.profiles import ProfileSettings
    from extauthz.config.settings import Settings


def require_evidence_fits(settings: Settings) -> None:
    """Refuse settings whose parts about evidence contradict each other.

    Raises:
        ValueError: they do; the message says what and where.
    """
    issuers = {issuer.issuer: issuer for issuer in settings.issuers}
    for message in (*_opaque(settings, issuers), *_slots(settings), *_status_lists(issuers)):
        raise ValueError(message)


def all_introspect(settings: Settings, profile: ProfileSettings) -> bool:
    """Return whether each issuer of a profile can be asked about a token."""
    return all(issuer.introspection is not None for issuer in settings.issuers if issuer.issuer in profile.issuers)


def _opaque(settings: Settings, issuers: dict[str, IssuerSettings]) -> Iterator[str]:
    """Yield which profiles would leave it open whom to ask: a token must never be shown to another's issuer."""
    for name, profile in settings.profiles.items():
        opaque = [issuer for issuer in profile.issuers if issuer in issuers and issuers[issuer].tokens == "opaque"]
        if len(opaque) > 1:
            yield f"profiles.{name}: two issuers with `tokens: opaque`; an opaque token does not say whose it is"


def _slots(settings: Settings) -> Iterator[str]:
    for issuer in settings.issuers:
        if issuer.introspection is not None and issuer.introspection.slots >= settings.server.threads:
            yield f"issuers[{issuer.issuer}].introspection.slots must be smaller than server.threads"


def _status_lists(issuers: dict[str, IssuerSettings]) -> Iterator[str]:
    for issuer in issuers.values():
        lists = issuer.status_list
        if lists is None or lists.ignored:
            continue
        signer = issuers.get(lists.issuer or issuer.issuer)
        if signer is None or signer.keys is None:
            yield f"issuers[{issuer.issuer}].status_list: `issuer` must be a configured issuer with `keys`"
