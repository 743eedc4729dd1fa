"""Proves a token by asking its issuer (RFC 7662): opaque ones, and JWTs where a resource asks for a fresh look.

The argument; the code below has the same numbers.

1. The token goes to one issuer only. Of a profile's issuers at most one has opaque tokens. A JWT that names another
   issuer in `iss` is never shown to it: a credential must not be handed to a third party.
2. Only JSON `true` is active. That no usable answer came says nothing about the token: that is `evidence_unavailable`,
   never "not active".
3. What is asked about is an access token: an answer that names another use refuses it.
4. `iss`, where it is there, is that issuer.
5. Audience, times and the claims that make an identity are held to the same rules as a JWT's (`bearer.py`, steps 7 to
   9); an answer without `aud` names nobody. Two things may be missing that a JWT must have: without `exp` the answer is
   good for as long as it is kept; without `sub` the client itself is the caller.

The binding to a sender (`cnf`) is left to whoever calls this, as with JWTs.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from extauthz.clock import Instant
from extauthz.errors import JoseError, Refusal, StrictJsonError
from extauthz.identity.bearer import VerifiedClaims, accept_claims
from extauthz.identity.claims import refuse_claim
from extauthz.jose.compact import parse_compact
from extauthz.limits import MAX_TOKEN_BYTES
from extauthz.model.reason import Reason
from extauthz.model.state import StateName
from extauthz.ports import Introspection, IntrospectionOf, NeedsEvidence
from extauthz.strictjson import load_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.identity.credentials import UnverifiedToken
    from extauthz.identity.rules import IssuerRules, Profile, Shape
    from extauthz.identity.sources import Sources

_NOT_FOR_ACCESS: Final = frozenset({"refresh", "offline", "id"})
"""Values of `typ` by which some servers mark refresh and ID tokens that they answer about."""

_BEGINNING: Final = re.compile(r"[A-Za-z0-9_-]{0,64}")
"""What is looked at of a header to tell what it is."""

_OBJECT: Final = re.compile(rb"[ \t\r\n]*+\{[ \t\r\n]*+\"")

_TOKEN_TYPES: Final = frozenset({"bearer", "dpop"})


def opaque_shape(shape: Shape) -> Shape:
    """Return the shape of an issuer's answers: like its tokens', and asking for less (RFC 7662 section 2.2)."""
    return replace(
        shape, client_required=False, token_id_required=False, issued_at_required=False, chosen_by_subject=False
    )


def find_asked(unverified_token: UnverifiedToken, profile: Profile) -> IssuerRules | None:
    """Return the issuer that is asked what the token is; None when it is to be proven as a JWT."""
    opaque = profile.opaque
    if opaque is None:
        return None
    # 1. Whose it may be.
    try:
        unverified_claims = load_object(parse_compact(unverified_token).payload, max_bytes=MAX_TOKEN_BYTES)
    except (JoseError, StrictJsonError):
        return None if _is_like_jws(unverified_token) else opaque
    return opaque if unverified_claims.get("iss") == opaque.issuer else None


def _is_like_jws(unverified_token: str) -> bool:
    """Return whether a token that cannot be read is of three parts, the first of which begins like a JSON object."""
    header, *others = unverified_token.split(".")
    # Some octets more than the beginning needs, since JSON may have spaces and line breaks there.
    beginning = _BEGINNING.match(header)[0]  # type: ignore[index]  # it matches the empty text, too
    begins = urlsafe_b64decode(beginning + "A" * (-len(beginning) % 4))
    return len(others) == 2 and _OBJECT.match(begins) is not None  # noqa: PLR2004 — the other parts of a JWS


def verify_opaque(
    unverified_token: UnverifiedToken, rules: IssuerRules, profile: Profile, sources: Sources, at: Instant
) -> VerifiedClaims | NeedsEvidence:
    """Prove a token by what its issuer says about it.

    Args:
        unverified_token: what the client sent.
        rules: of the issuer to ask.
        profile: who is believed, and for which audience.
        sources: what may be looked at.
        at: the instant of the decision.

    Raises:
        Refusal: a step fails; the reason says which.
    """
    if len(unverified_token) > MAX_TOKEN_BYTES or not unverified_token.startswith(rules.prefix):
        raise Refusal(Reason.CREDENTIALS_MALFORMED, "Send the access token exactly as its issuer made it.")
    answer = _find_answer(unverified_token, rules, sources, at, sources.max_check_age)
    if isinstance(answer, NeedsEvidence):
        return answer
    # 2. Active.
    _require_active(answer)
    # 3. For access.
    claims = answer.claims
    _require_access_token(claims)
    # 4. Issuer.
    if claims.get("iss", rules.issuer) != rules.issuer:
        raise Refusal(Reason.ISSUER_UNKNOWN, "Request the token from an issuer that this resource accepts.")
    # 5. The same rules as for a JWT.
    verified = accept_claims(_completed(answer), rules, profile, at)
    return replace(
        verified, accepted_until=min(verified.accepted_until, answer.until), checked_at=answer.fetched_at, claims=claims
    )


def require_still_active(
    unverified_token: UnverifiedToken, verified: VerifiedClaims, sources: Sources, at: Instant, max_age: float
) -> VerifiedClaims | NeedsEvidence:
    """Ask the issuer of a proven JWT whether it still stands by it; what the JWT says is not replaced.

    Args:
        unverified_token: what the client sent.
        verified: what it says.
        sources: what may be looked at.
        at: the instant of the decision.
        max_age: oldest answer that is good enough, in seconds.

    Raises:
        Refusal: `token_revoked`; `evidence_unavailable` when the issuer cannot be asked, or speaks of another token.
    """
    rules = verified.rules
    if not rules.introspects:
        raise Refusal(Reason.EVIDENCE_UNAVAILABLE, inner=f"no introspection is configured for {rules.issuer}")
    answer = _find_answer(unverified_token, rules, sources, at, max_age)
    if isinstance(answer, NeedsEvidence):
        return answer
    _require_active(answer)
    for name in ("iss", "sub", "jti"):
        if name in answer.claims and answer.claims[name] != verified.claims.get(name):
            raise Refusal(Reason.EVIDENCE_UNAVAILABLE, inner=f"introspection at {rules.issuer} contradicts the token")
    # The issuer's word holds for as long as its answer does, not for as long as a rule would still believe it.
    return replace(verified, accepted_until=min(verified.accepted_until, answer.until), checked_at=answer.fetched_at)


def _find_answer(
    unverified_token: UnverifiedToken, rules: IssuerRules, sources: Sources, at: Instant, max_age: float | None
) -> Introspection | NeedsEvidence:
    digest = sha256(unverified_token.encode()).digest()
    sources.ledger.note(StateName("introspection", f"{rules.issuer} {digest.hex()}"))
    answer = sources.introspections.find_introspection(rules.issuer, digest, at)
    not_before = None if max_age is None else Instant(at - max_age)
    # That a token is not active is final, however old the answer is.
    if answer is not None and (not answer.active or not_before is None or answer.fetched_at >= not_before):
        return answer
    asked = any(
        isinstance(need, IntrospectionOf) and (need.issuer, need.token) == (rules.issuer, unverified_token)
        for need in sources.evidence.outcomes
    )
    if not asked:
        return NeedsEvidence(IntrospectionOf(rules.issuer, unverified_token, not_before))
    inner = f"introspection at {rules.issuer} is unavailable"
    raise Refusal(Reason.EVIDENCE_UNAVAILABLE, "Try again shortly.", inner=inner)


def _require_active(answer: Introspection) -> None:
    if not answer.active:
        raise Refusal(Reason.TOKEN_REVOKED, "Request a new token.", inner="the issuer says that it is not active")


def _require_access_token(claims: Mapping[str, Any]) -> None:
    if claims.get("token_use", "access_token") != "access_token":
        raise Refusal(Reason.TOKEN_TYPE_WRONG, "Send an access token.")
    kind = claims.get("typ")
    if isinstance(kind, str) and kind.lower() in _NOT_FOR_ACCESS:
        raise Refusal(Reason.TOKEN_TYPE_WRONG, "Send an access token.")
    scheme = claims.get("token_type", "Bearer")
    if not isinstance(scheme, str) or scheme.lower() not in _TOKEN_TYPES:
        raise Refusal(Reason.TOKEN_TYPE_WRONG, "Send an access token of type Bearer or DPoP.")
    confirmation = claims.get("cnf")
    if scheme.lower() == "dpop" and not (isinstance(confirmation, dict) and "jkt" in confirmation):
        # RFC 9449 section 6.2: such a token is bound to a key, which its issuer then has to name.
        refuse_claim("cnf.jkt", "there, since the token is of type DPoP")


def _completed(answer: Introspection) -> Mapping[str, Any]:
    claims = dict(answer.claims)
    claims.setdefault("exp", answer.until)
    if "sub" not in claims and "client_id" in claims:
        claims["sub"] = claims["client_id"]
    return claims
