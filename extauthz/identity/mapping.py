"""Verified claims → Identity, by the issuer's mapping. Only what is proven gets in; what is absent stays empty."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from extauthz.errors import Refusal
from extauthz.identity.claims import find_claim, optional_instant, optional_text, scopes_of, text_of, texts_of
from extauthz.identity.delegation import kind_of, read_delegation
from extauthz.identity.rules import FieldSource, FixedValue
from extauthz.model.identity import Credential, Identity, Principal
from extauthz.model.reason import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.clock import Instant
    from extauthz.identity.bearer import VerifiedClaims


def to_identity(verified: VerifiedClaims, profile: str, at: Instant) -> Identity:
    """Return the caller that verified claims describe.

    Args:
        verified: from `bearer.py`.
        profile: name of the verification profile that accepted them.
        at: the instant of the decision.

    Raises:
        Refusal: `identity_unmapped` when the kind is missing or unknown, `credentials_malformed` when an optional claim
            has the wrong type, `token_not_yet_valid` when the sign-in lies in the future.
    """
    claims, mapping, issuer = verified.claims, verified.rules.mapping, verified.rules.issuer
    delegation = read_delegation(claims, issuer, mapping)
    return Identity(
        subject=Principal(
            issuer=issuer,
            subject=verified.subject,
            kind=kind_of(_kind(claims, mapping.kind)),
            client=verified.client,
            roles=frozenset(_texts(claims, mapping.roles)),
        ),
        actor=delegation.actor,
        chain=delegation.chain,
        tenant=_text(claims, mapping.tenant),
        session=_text(claims, mapping.session) or verified.token_id,
        scopes=scopes_of(claims),
        acr=optional_text(claims, "acr"),
        auth_time=_auth_time(claims, at + verified.rules.leeway),
        amr=texts_of(claims.get("amr"), "amr"),
        groups=frozenset(_texts(claims, mapping.groups)),
        token_id=verified.token_id,
        workload=f"{issuer}|{verified.client}",
        credential=Credential.BEARER,
        profile=profile,
        issued_at=verified.issued_at,
        expires_at=verified.expires_at,
        accepted_until=verified.accepted_until,
        claims=MappingProxyType(dict(claims)),
    )


def _auth_time(claims: Mapping[str, Any], latest: float) -> Instant | None:
    auth_time = optional_instant(claims, "auth_time")
    # A sign-in in the future would stay fresh for as long as its author likes.
    if auth_time is not None and auth_time > latest:
        raise Refusal(Reason.TOKEN_NOT_YET_VALID, "The claim `auth_time` lies in the future; check the issuer's clock.")
    return auth_time


def _kind(claims: Mapping[str, Any], source: FieldSource) -> Any:
    return source.value if isinstance(source, FixedValue) else find_claim(claims, source.name)


def _text(claims: Mapping[str, Any], source: FieldSource) -> str:
    if isinstance(source, FixedValue):
        return source.value
    value = find_claim(claims, source.name)
    return "" if value is None else text_of(value, source.name)


def _texts(claims: Mapping[str, Any], source: FieldSource) -> tuple[str, ...]:
    if isinstance(source, FixedValue):
        return (source.value,)
    return texts_of(find_claim(claims, source.name), source.name)
