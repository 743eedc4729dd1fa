"""What a token is judged by, from the settings: the profile, the issuers' evidence, the registry."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from extauthz.clock import SystemClock
from extauthz.config.issuers import KeySettings
from extauthz.config.registry import load_registry_files
from extauthz.errors import FetchError
from extauthz.identity.jwt_svid import find_trust_domain
from extauthz.registry.build import build_registry
from extauthz.registry.index import Registry
from extauthz.server.egress import egress_of
from extauthz.server.evidence import IssuerEvidence
from extauthz.server.profiles import from_settings
from extauthz.telemetry.metrics import Metrics
from extauthz.tokentools.inspection import Means, read_unverified
from extauthz.validation import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from extauthz.config.settings import Settings
    from extauthz.identity.rules import Profile
    from extauthz.server.fetch import Ask, Fetch, Reply

FIRST_KEYS_SECONDS: Final = 3.0
"""How long issuers' keys are waited for."""


class ProfileUnclear(Exception):  # noqa: N818 — it is an outcome, told to whoever asked
    """Nobody can tell by which profile to judge; the message says what to write."""


def choose_profile(settings: Settings, token: str, name: str | None) -> Profile:
    """Return the profile to judge a token by: the one named, else the only one that believes its issuer.

    Args:
        settings: in force.
        token: nobody has verified it; its issuer only selects.
        name: of a profile; None to choose one.

    Raises:
        ProfileUnclear: there is none of that name, or there are several to choose from.
    """
    profiles = from_settings(settings)
    if name is not None:
        if name not in profiles:
            message = f"there is no profile `{name}` — {did_you_mean(name, profiles)}"
            raise ProfileUnclear(message)
        return profiles[name]
    believing = [each for each in profiles.values() if not _issuers_of(token).isdisjoint(each.issuers)]
    fitting = believing or list(profiles.values())
    if len(fitting) != 1:
        names = ", ".join(sorted(each.name for each in fitting)) or "none is configured"
        message = f"name a profile with --profile: {names}"
        raise ProfileUnclear(message)
    return fitting[0]


@contextmanager
def opened(settings: Settings, token: str, profile: Profile, *, offline: bool, keys: Path | None) -> Iterator[Means]:
    """Yield what a token is judged by.

    Args:
        settings: in force.
        token: nobody has verified it.
        profile: only its issuers are asked.
        offline: whether nothing may be fetched.
        keys: file with the JWK set of the token's issuer, instead of the configured place; None for that.

    Raises:
        FileError: the registry, or a file that the settings name, cannot be used.
    """
    files = load_registry_files(settings.registry.paths) if settings.registry.paths else {}
    registry = build_registry(files) if files else Registry()
    named = _issuers_of(token)
    asked = tuple(
        issuer.model_copy(update={"keys": KeySettings(file=keys)}) if keys and issuer.issuer in named else issuer
        for issuer in settings.issuers
        if issuer.issuer in profile.issuers
    )
    narrowed = settings.model_copy(update={"issuers": asked})
    clock = SystemClock()
    fetch: Fetch = _refuse if offline else egress_of(narrowed, clock).fetch
    issuers = IssuerEvidence(narrowed, fetch, clock, Metrics())
    issuers.keys.start(wait=FIRST_KEYS_SECONDS)
    try:
        yield Means(
            keys=issuers.keys,
            introspections=issuers.introspections,
            status_lists=issuers.status_lists,
            fetcher=issuers.desk,
            registry=registry,
        )
    finally:
        issuers.keys.stop()


def _issuers_of(token: str) -> frozenset[str]:
    """Return the issuers that a token may be of, by its own account."""
    _, claims = read_unverified(token)
    names = {claims.get("iss"), find_trust_domain(claims)} if claims else set()
    return frozenset(name for name in names if isinstance(name, str) and name)


def _refuse(ask: Ask) -> Reply:
    del ask
    message = "nothing is fetched offline"
    raise FetchError(message)
