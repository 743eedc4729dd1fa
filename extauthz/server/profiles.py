"""Settings → verification profiles, the plain values that `identity/` works with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extauthz.identity.rules import FieldSource, FixedValue, FromClaim, IssuerRules, MappingRules, Profile

if TYPE_CHECKING:
    from extauthz.config.issuers import ClaimSource, IssuerSettings, MappingSettings
    from extauthz.config.settings import Settings


def from_settings(settings: Settings) -> dict[str, Profile]:
    """Return the profiles by name. References were checked when the settings were loaded."""
    issuers = {issuer.issuer: _issuer(issuer) for issuer in settings.issuers}
    return {
        name: Profile(
            name=name,
            audience=profile.audience,
            realm=profile.realm,
            issuers={issuer: issuers[issuer] for issuer in profile.issuers},
            max_token_age=profile.max_token_age,
        )
        for name, profile in settings.profiles.items()
    }


def _issuer(settings: IssuerSettings) -> IssuerRules:
    return IssuerRules(
        issuer=settings.issuer,
        algorithms=settings.algorithms,
        leeway=settings.leeway,
        max_lifetime=settings.max_lifetime,
        mapping=_mapping(settings.map),
    )


def _mapping(settings: MappingSettings) -> MappingRules:
    return MappingRules(
        kind=_source(settings.kind),
        tenant=_source(settings.tenant),
        roles=_source(settings.roles),
        groups=_source(settings.groups),
        session=_source(settings.session),
    )


def _source(settings: ClaimSource) -> FieldSource:
    # Exactly one of the two is set; the settings refuse anything else.
    return FromClaim(settings.claim) if settings.claim is not None else FixedValue(settings.value or "")
