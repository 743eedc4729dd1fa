"""Settings → verification profiles, the plain values that `identity/` works with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extauthz.identity.certificate_rules import Accepted, BindingRule, CertificateRules, Forwarded, NameType
from extauthz.identity.dpop import DpopRules
from extauthz.identity.htu import parse_origin
from extauthz.identity.rules import ApiKeyRules, IssuerRules, Profile, TransactionRules
from extauthz.model.identity import Kind
from extauthz.server.issuer_rules import rules_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.config.certificates import AcceptedCertificateSettings, CertificateSettings
    from extauthz.config.dpop import ProofSettings
    from extauthz.config.settings import Settings
    from extauthz.config.state import ApiKeyProfileSettings, StateSettings
    from extauthz.config.transactions import TransactionSettings


def from_settings(settings: Settings) -> dict[str, Profile]:
    """Return the profiles by name. References were checked when the settings were loaded.

    Raises:
        ConfigError: a mapping expression is not acceptable.
    """
    issuers = {issuer.issuer: rules_of(issuer) for issuer in settings.issuers}
    return {
        name: Profile(
            name=name,
            audience=profile.audience,
            realm=profile.realm,
            issuers={issuer: issuers[issuer] for issuer in profile.issuers},
            max_token_age=profile.max_token_age,
            transactions=_transactions(profile.transaction_tokens, issuers),
            certificates=_certificates(profile.certificates),
            binding=BindingRule(profile.binding),
            api_keys=_api_keys(profile.api_keys, settings.state),
            dpop=_proofs(profile.dpop) if profile.dpop is not None else None,
            refuses_unknown=(profile.unknown_identities or settings.registry.unknown) == "refuse",
        )
        for name, profile in settings.profiles.items()
    }


def _certificates(settings: CertificateSettings) -> CertificateRules:
    return CertificateRules(
        accepted=tuple(_accepted(each) for each in settings.accept),
        forwarded=Forwarded(settings.x_forwarded_client_cert),
        leeway=settings.leeway,
    )


def _accepted(settings: AcceptedCertificateSettings) -> Accepted:
    names = {type_: getattr(settings, type_.value) for type_ in NameType}
    # Exactly one of them is set, and `issuer` unless it is the trust domain; the settings refuse anything else.
    type_, name = next((type_, name) for type_, name in names.items() if name is not None)
    return Accepted(
        type=type_,
        name=name,
        issuer=settings.issuer or f"spiffe://{name}",
        kind=Kind(settings.kind),
        tenant=settings.tenant,
        environment=settings.environment,
        authorities=str(settings.authorities) if settings.authorities is not None else "",
    )


def _api_keys(accepted: ApiKeyProfileSettings | None, state: StateSettings | None) -> ApiKeyRules | None:
    if accepted is None or state is None:
        return None
    return ApiKeyRules(header=accepted.header, max_lifetime=state.max_key_lifetime, tenants=frozenset(accepted.tenants))


def _proofs(settings: ProofSettings) -> DpopRules:
    return DpopRules(
        origin=parse_origin(settings.origin),
        algorithms=settings.algorithms,
        max_age=settings.max_age,
        skew=settings.skew,
        nonce=settings.nonce == "required",
    )


def _transactions(settings: TransactionSettings | None, issuers: Mapping[str, IssuerRules]) -> TransactionRules | None:
    if settings is None:
        return None
    return TransactionRules(rules=issuers[settings.issuer], audience=settings.audience)
