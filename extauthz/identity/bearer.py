"""Proves a bearer token that is a JWT, hardened by RFC 8725. Raises, or returns `VerifiedClaims`.

What a token looks like is the issuer's `Shape` (`shapes.py`): an access token by RFC 9068 unless the operator says
otherwise. The argument is the same for all.

The argument, step by step; the code below has the same numbers. Steps 1 to 5 look at what nobody has verified, only to
refuse early or to choose where to look; what a claim *means* is decided from step 7 on.

1. The token is one compact JWS and its payload one JSON object in the only reading of each.
2. Its `iss` is one of the profile's issuers, compared as text; for a JWT-SVID the trust domain of its `sub` is. This
   only selects rules and keys; step 6 proves it.
3. Its `typ` is one of the shape's, so no security event, status list or transaction token of the same issuer can stand
   in for it, nor an ID token for an access token by RFC 9068.
4. Its `alg` is one that we let this issuer use, compared as text.
5. The key comes from that issuer's own published set, by name and for exactly this algorithm. No other issuer's keys
   are looked at, and nothing in the token says where keys are. A name that is not in the set is worth one newer look.
6. The signature verifies with that key, now or when these bytes were last shown to it (`signed.py`). From here on the
   claims are the issuer's words.
7. Every claim that the shape requires is there with its type (RFC 9068 section 2.2), and what else the shape demands.
8. `aud` names us exactly.
9. Now lies within `nbf`, `iat` and `exp`, give or take the leeway; the token's whole life and its age are bounded.
   Where `iat` may be missing, the life that is left is bounded instead, and no profile with a maximum age accepts it.
10. The token is not bound to a sender (`cnf`): we cannot check a binding here, and ignoring one would turn a token that
    is useless to a thief into one that is not.

The caller MUST have made sure that the request carries only this credential (`credentials.py`), and MUST map the claims
(`mapping.py`). Revocation is not looked at here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from extauthz.errors import Refusal
from extauthz.identity.claims import client_of, find_claim, optional_text, refuse_claim, required_text
from extauthz.identity.jwt_svid import find_trust_domain
from extauthz.identity.signed import (
    accepted_until,
    find_key,
    parse_token,
    read_life,
    verify_algorithm,
    verify_audience,
    verify_signed,
    verify_times,
    verify_type,
)
from extauthz.model.reason import Reason
from extauthz.model.wide import wide
from extauthz.ports import Evidence, KeySource, NeedsEvidence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.clock import Instant
    from extauthz.identity.credentials import UnverifiedToken
    from extauthz.identity.rules import IssuerRules, Profile


@wide
@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedClaims:
    """What an issuer says of a token, in it or about it, here and now. Only `accept_claims` makes one.

    Attributes:
        rules: the issuer's rules.
        subject: `sub`.
        client: the claim that names the client in tokens of this shape; empty where it has none.
        token_id: `jti`; empty where the shape can do without.
        issued_at: `iat`; None where the shape can do without.
        expires_at: `exp`.
        accepted_until: the first instant at which step 9 may refuse the token.
        claims: all claims.
        checked_at: start of the newest fetch by which the issuer vouched for the token; None when it was not asked.
    """

    rules: IssuerRules
    subject: str
    client: str
    token_id: str
    issued_at: Instant | None
    expires_at: Instant
    accepted_until: Instant
    claims: Mapping[str, Any]
    checked_at: Instant | None = None


def verify_bearer(  # noqa: PLR0913 — everything that the argument rests on
    unverified_token: UnverifiedToken,
    profile: Profile,
    keys: KeySource,
    evidence: Evidence,
    at: Instant,
    *,
    proof_follows: bool = False,
) -> VerifiedClaims | NeedsEvidence:
    """Prove one token by the argument above.

    Args:
        unverified_token: what the client sent.
        profile: who is believed, and for which audience.
        keys: issuers' public keys.
        evidence: what was fetched for this request so far.
        at: the instant of the decision.
        proof_follows: the caller goes on to prove what `cnf` binds the token to, so step 10 is left to it.

    Returns:
        The claims; or the need for a newer look at the issuer's keys, once.

    Raises:
        Refusal: a step fails; the reason says which, the detail names the fix.
    """
    # 1. One reading.
    jws, unverified_claims = parse_token(unverified_token)
    # 2. Issuer.
    rules = _select_rules(unverified_claims, profile)
    # 3. Type.
    verify_type(jws, rules.shape)
    # 4. Algorithm.
    verify_algorithm(jws, rules)
    # 5. Key.
    key = find_key(jws, rules, keys, evidence)
    if isinstance(key, NeedsEvidence):
        return key
    # 6. Signature.
    verify_signed(jws, key)
    # 7. to 9.
    verified = accept_claims(unverified_claims, rules, profile, at)
    # 10. Binding.
    if "cnf" in verified.claims and not proof_follows:
        raise Refusal(Reason.BINDING_MISMATCH, "Send a token without `cnf`: bound tokens are not accepted here.")
    return verified


def accept_claims(claims: Mapping[str, Any], rules: IssuerRules, profile: Profile, at: Instant) -> VerifiedClaims:
    """Take the issuer's words for a caller: steps 7 to 9 of the argument above.

    Args:
        claims: what the issuer says, proven to be its words.
        rules: the issuer's rules.
        profile: who is believed, and for which audience.
        at: the instant of the decision.

    Raises:
        Refusal: a step fails; the reason says which, the detail names the fix.
    """
    # 7. Required claims.
    subject, client, token_id = _read_names(claims, rules)
    life = read_life(claims, issued_at_required=rules.shape.issued_at_required)
    rules.shape.verify(claims, rules)
    # 8. Audience.
    verify_audience(claims, profile.audience)
    # 9. Times.
    verify_times(life, rules, at, profile.max_token_age)
    return VerifiedClaims(
        rules=rules,
        subject=subject,
        client=client,
        token_id=token_id,
        issued_at=life.issued_at,
        expires_at=life.expires_at,
        accepted_until=accepted_until(life, rules, profile.max_token_age),
        claims=claims,
    )


def _select_rules(unverified_claims: Mapping[str, Any], profile: Profile) -> IssuerRules:
    issuer = unverified_claims.get("iss")
    rules = profile.issuers.get(issuer) if isinstance(issuer, str) else None
    if rules is None:
        rules = profile.issuers.get(find_trust_domain(unverified_claims))
        # Only a shape whose claims are held against the trust domain afterwards may be chosen without `iss`.
        rules = rules if rules is not None and rules.shape.chosen_by_subject else None
    if rules is None:
        raise Refusal(Reason.ISSUER_UNKNOWN, "Request the token from an issuer that this resource accepts.")
    return rules


def _read_names(claims: Mapping[str, Any], rules: IssuerRules) -> tuple[str, str, str]:
    """Return subject, client and token id, once every claim that the operator requires is there as well."""
    shape = rules.shape
    for name in rules.required_claims:
        if find_claim(claims, name) is None:
            refuse_claim(name, "there")
    return (
        required_text(claims, "sub"),
        client_of(claims, shape.clients, required=shape.client_required),
        required_text(claims, "jti") if shape.token_id_required else optional_text(claims, "jti"),
    )
