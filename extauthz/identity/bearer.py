"""Proves a bearer token: a JWT access token by RFC 9068, hardened by RFC 8725. Raises, or returns `VerifiedClaims`.

The argument, step by step; the code below has the same numbers. Steps 1 to 5 look at what nobody has verified, only to
refuse early or to choose where to look; what a claim *means* is decided from step 7 on.

1. The token is one compact JWS and its payload one JSON object in the only reading of each.
2. Its `iss` is one of the profile's issuers, compared as text. This only selects rules and keys; step 6 proves it.
3. Its `typ` says access token, so no ID token, security event or status list of the same issuer can stand in for one.
4. Its `alg` is one that we let this issuer use, compared as text.
5. The key comes from that issuer's own published set, by name and for exactly this algorithm. No other issuer's keys
   are looked at, and nothing in the token says where keys are. A name that is not in the set is worth one newer look.
6. The signature verifies with that key. From here on the claims are the issuer's words.
7. Every claim that RFC 9068 section 2.2 requires is there with its type.
8. `aud` names us exactly.
9. Now lies within `nbf`, `iat` and `exp`, give or take the leeway; the token's whole life and its age are bounded.
10. The token is not bound to a sender (`cnf`): we cannot check a binding here, and ignoring one would turn a token that
    is useless to a thief into one that is not.

The caller MUST have made sure that the request carries only this credential (`credentials.py`), and MUST map the claims
(`mapping.py`). Revocation is not looked at here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from extauthz.clock import Instant
from extauthz.errors import JoseError, Refusal, StrictJsonError
from extauthz.identity.claims import optional_instant, refuse_claim, required_instant, required_text
from extauthz.jose.algorithms import verify_signature
from extauthz.jose.compact import UnverifiedJws, parse_compact
from extauthz.limits import MAX_TOKEN_BYTES
from extauthz.model.reason import Reason
from extauthz.ports import Evidence, Fetched, KeysOf, KeySource, NeedsEvidence, VerificationKey
from extauthz.strictjson import load_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.identity.credentials import UnverifiedToken
    from extauthz.identity.rules import IssuerRules, Profile

_ACCESS_TOKEN_TYPES: Final = frozenset({"at+jwt", "application/at+jwt"})
"""RFC 9068 section 2.1; media types compare without regard to case (RFC 7515 section 4.1.9, RFC 2045 section 5.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedClaims:
    """Claims that their issuer has signed for us, here and now. Only `verify_bearer` makes one.

    Attributes:
        rules: the issuer's rules.
        subject: `sub`.
        client: `client_id`.
        token_id: `jti`.
        issued_at: `iat`.
        expires_at: `exp`.
        accepted_until: the first instant at which step 9 may refuse the token.
        claims: all claims.
    """

    rules: IssuerRules
    subject: str
    client: str
    token_id: str
    issued_at: Instant
    expires_at: Instant
    accepted_until: Instant
    claims: Mapping[str, Any]


class _Life(NamedTuple):
    issued_at: Instant
    expires_at: Instant
    not_before: Instant | None


def verify_bearer(
    unverified_token: UnverifiedToken, profile: Profile, keys: KeySource, evidence: Evidence, at: Instant
) -> VerifiedClaims | NeedsEvidence:
    """Prove one token by the argument above.

    Args:
        unverified_token: what the client sent.
        profile: who is believed, and for which audience.
        keys: issuers' public keys.
        evidence: what was fetched for this request so far.
        at: the instant of the decision.

    Returns:
        The claims; or the need for a newer look at the issuer's keys, once.

    Raises:
        Refusal: a step fails; the reason says which, the detail names the fix.
    """
    # 1. One reading.
    jws, unverified_claims = _parse(unverified_token)
    # 2. Issuer.
    rules = _select_rules(unverified_claims, profile)
    # 3. Type.
    if jws.typ is None or jws.typ.lower() not in _ACCESS_TOKEN_TYPES:
        raise Refusal(Reason.TOKEN_TYPE_WRONG, "Send an access token with `typ` at+jwt (RFC 9068).")
    # 4. Algorithm.
    if jws.algorithm not in rules.algorithms:
        names = ", ".join(rules.algorithms)
        raise Refusal(Reason.SIGNATURE_INVALID, f"Tokens of this issuer are accepted when signed with: {names}.")
    # 5. Key.
    key = keys.find_key(rules.issuer, jws.kid, jws.algorithm)
    if key is None:
        return _need_keys(rules.issuer, evidence)
    # 6. Signature.
    _verify_signature(jws, key)
    claims = unverified_claims
    # 7. Required claims.
    subject, client, token_id = (required_text(claims, name) for name in ("sub", "client_id", "jti"))
    life = _Life(required_instant(claims, "iat"), required_instant(claims, "exp"), optional_instant(claims, "nbf"))
    # 8. Audience.
    _verify_audience(claims, profile.audience)
    # 9. Times.
    _verify_times(life, rules, profile, at)
    # 10. Binding.
    if "cnf" in claims:
        raise Refusal(Reason.BINDING_MISMATCH, "Send a token without `cnf`: bound tokens are not accepted here.")
    return VerifiedClaims(
        rules=rules,
        subject=subject,
        client=client,
        token_id=token_id,
        issued_at=life.issued_at,
        expires_at=life.expires_at,
        accepted_until=_accepted_until(life, rules, profile),
        claims=claims,
    )


def _parse(unverified_token: UnverifiedToken) -> tuple[UnverifiedJws, Mapping[str, Any]]:
    try:
        jws = parse_compact(unverified_token)
        return jws, load_object(jws.payload, max_bytes=MAX_TOKEN_BYTES)
    except (JoseError, StrictJsonError) as error:
        detail = "Send the access token exactly as its issuer made it."
        raise Refusal(Reason.CREDENTIALS_MALFORMED, detail, inner=str(error)) from None


def _select_rules(unverified_claims: Mapping[str, Any], profile: Profile) -> IssuerRules:
    issuer = unverified_claims.get("iss")
    rules = profile.issuers.get(issuer) if isinstance(issuer, str) else None
    if rules is None:
        raise Refusal(Reason.ISSUER_UNKNOWN, "Request the token from an issuer that this resource accepts.")
    return rules


def _need_keys(issuer: str, evidence: Evidence) -> NeedsEvidence:
    need = KeysOf(issuer)
    outcome = evidence.outcomes.get(need)
    if outcome is None:
        return NeedsEvidence(need)
    if outcome is Fetched.DONE:
        detail = "The issuer publishes no such key; request a new token."
        raise Refusal(Reason.SIGNATURE_INVALID, detail, inner="no key of this name and algorithm")
    raise Refusal(Reason.EVIDENCE_UNAVAILABLE, "Try again shortly.", inner=f"keys of {issuer} are unavailable")


def _verify_signature(jws: UnverifiedJws, key: VerificationKey) -> None:
    try:
        verify_signature(jws, key)
    except JoseError as error:
        raise Refusal(Reason.SIGNATURE_INVALID, "Request a new token.", inner=str(error)) from None


def _verify_audience(claims: Mapping[str, Any], audience: str) -> None:
    named = claims.get("aud")
    members = [named] if isinstance(named, str) else named
    if not isinstance(members, list) or not all(isinstance(member, str) for member in members):
        refuse_claim("aud", "a string or a list of strings")
    if audience not in members:
        raise Refusal(Reason.AUDIENCE_MISMATCH, f"Request a token for the audience {audience}.")


def _verify_times(life: _Life, rules: IssuerRules, profile: Profile, at: Instant) -> None:
    leeway, longest, oldest = rules.leeway, rules.max_lifetime, profile.max_token_age
    if life.expires_at <= life.issued_at:
        refuse_claim("exp", "later than `iat`")
    if at >= life.expires_at + leeway:  # RFC 7519 section 4.1.4: on or after `exp` is too late
        raise Refusal(Reason.TOKEN_EXPIRED, "Request a new token.")
    if life.not_before is not None and life.not_before > at + leeway:
        raise Refusal(Reason.TOKEN_NOT_YET_VALID, "Wait until the token is valid, or check the clocks.")
    if life.issued_at > at + leeway:
        raise Refusal(Reason.TOKEN_NOT_YET_VALID, "The token was issued in the future; check the issuer's clock.")
    if life.expires_at - life.issued_at > longest:
        raise Refusal(Reason.TOKEN_TOO_OLD, f"Request a token that lives at most {longest:.0f} seconds.")
    if oldest is not None and at - life.issued_at > oldest + leeway:
        raise Refusal(Reason.TOKEN_TOO_OLD, f"Request a new token; at most {oldest:.0f} seconds old.")


def _accepted_until(life: _Life, rules: IssuerRules, profile: Profile) -> Instant:
    """Return the first instant at which a token that is accepted now may no longer be."""
    too_late = life.expires_at + rules.leeway
    if profile.max_token_age is None:
        return Instant(too_late)
    return Instant(min(too_late, life.issued_at + profile.max_token_age + rules.leeway))
