"""Verified claims → Identity, by the issuer's mapping. Only what is proven gets in; what is absent stays empty.

Fields come from a claim, a fixed value, or a computation (a shape's own, or an expression of the operator's). Whichever
it is, a text that becomes part of an identity is bounded and without control characters.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from extauthz.errors import Refusal
from extauthz.identity.claims import find_claim, optional_text, required_instant, scopes_of, text_of, texts_of
from extauthz.identity.delegation import kind_of, read_delegation
from extauthz.identity.details import details_of
from extauthz.identity.rules import Computed, FieldSource, FixedValue, FromClaim
from extauthz.model.identity import Binding, Credential, Identity, Principal
from extauthz.model.reason import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.clock import Instant
    from extauthz.identity.bearer import VerifiedClaims


def to_identity(
    verified: VerifiedClaims,
    profile: str,
    at: Instant,
    *,
    credential: Credential = Credential.BEARER,
    binding: Binding = Binding.NONE,
) -> Identity:
    """Return the caller that verified claims describe.

    Args:
        verified: from `bearer.py`.
        profile: name of the verification profile that accepted them.
        at: the instant of the decision.
        credential: how they came.
        binding: what ties them to their sender, as the caller has proven.

    Raises:
        Refusal: `identity_unmapped` when the kind is missing or unknown, `credentials_malformed` when an optional claim
            has the wrong type, `issuer_unknown` for an actor of whom the issuer may not speak, `token_not_yet_valid`
            when the sign-in lies in the future.
    """
    claims, rules = verified.claims, verified.rules
    mapping, issuer = rules.mapping, rules.issuer
    delegation = read_delegation(claims, issuer, mapping, rules.actors_of)
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
        scopes=scopes_of(claims, rules.shape.scopes),
        acr=optional_text(claims, "acr"),
        auth_time=_auth_time(claims, at + rules.leeway),
        amr=texts_of(claims.get("amr"), "amr"),
        groups=frozenset(_texts(claims, mapping.groups)),
        token_id=verified.token_id,
        workload=_workload(verified),
        environment=_text(claims, mapping.environment),
        device=_text(claims, mapping.device),
        authorization_details=details_of(claims),
        credential=credential,
        binding=binding,
        profile=profile,
        issued_at=verified.issued_at,
        expires_at=verified.expires_at,
        accepted_until=verified.accepted_until,
        checked_at=verified.checked_at,
        claims=MappingProxyType(dict(claims)),
    )


def _auth_time(claims: Mapping[str, Any], latest: float) -> Instant | None:
    if "auth_time" not in claims:
        return None
    auth_time = required_instant(claims, "auth_time")
    # A sign-in in the future would stay fresh for as long as its author likes.
    if auth_time > latest:
        raise Refusal(Reason.TOKEN_NOT_YET_VALID, "The claim `auth_time` lies in the future; check the issuer's clock.")
    return auth_time


def _workload(verified: VerifiedClaims) -> str:
    """Return the stable key of the caller, which is the same for every token that it gets."""
    source = verified.rules.mapping.workload
    key = _text(verified.claims, source) if source is not None else verified.client or verified.subject
    shape = verified.rules.shape
    # What the operator maps instead may be any text of the issuer's, another issuer's keys included.
    if not key or (shape.workload_is_global and source is shape.mapping.workload):
        return key
    return f"{verified.rules.issuer}|{key}"


def _kind(claims: Mapping[str, Any], source: FieldSource) -> Any:
    if isinstance(source, FromClaim):
        return find_claim(claims, source.name)
    return source.find(claims) if isinstance(source, Computed) else source.value


def _text(claims: Mapping[str, Any], source: FieldSource) -> str:
    if isinstance(source, FromClaim):
        value = find_claim(claims, source.name)
        return "" if value is None else text_of(value, source.name)
    if isinstance(source, FixedValue):
        return source.value
    value = source.find(claims)
    return text_of(value, source.rule) if value != "" else ""


def _texts(claims: Mapping[str, Any], source: FieldSource) -> tuple[str, ...]:
    if isinstance(source, FromClaim):
        return texts_of(find_claim(claims, source.name), source.name)
    if isinstance(source, FixedValue):
        return (source.value,) if source.value else ()
    return texts_of(source.find(claims), source.rule)
