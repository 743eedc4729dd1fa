"""The steps that every signed token goes through, whatever it is for: see the argument at the top of `bearer.py`."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from extauthz.clock import Instant
from extauthz.errors import JoseError, Refusal, StrictJsonError
from extauthz.identity.claims import optional_instant, refuse_claim, required_instant
from extauthz.jose.algorithms import verify_signature
from extauthz.jose.compact import UnverifiedJws, parse_compact
from extauthz.limits import MAX_TOKEN_BYTES
from extauthz.model.reason import Reason
from extauthz.ports import Evidence, Fetched, KeysOf, KeySource, NeedsEvidence, VerificationKey
from extauthz.strictjson import load_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.identity.rules import IssuerRules, Shape

MAX_VERIFIED: Final = 8192
"""Tokens of one key whose signature is known to be right; each takes some 120 bytes."""


class Life(NamedTuple):
    """When a token is good by its own account.

    Attributes:
        issued_at: `iat`; None where the shape can do without.
        expires_at: `exp`.
        not_before: `nbf`; None when absent.
    """

    issued_at: Instant | None
    expires_at: Instant
    not_before: Instant | None


def parse_token(unverified_token: str) -> tuple[UnverifiedJws, Mapping[str, Any]]:
    """Return the parts and the claims of a token that nobody has verified.

    Raises:
        Refusal: `credentials_malformed`: it is no compact JWS, or its payload no JSON object in its only reading.
    """
    try:
        jws = parse_compact(unverified_token)
        return jws, load_object(jws.payload, max_bytes=MAX_TOKEN_BYTES)
    except (JoseError, StrictJsonError) as error:
        detail = "Send the token exactly as its issuer made it."
        raise Refusal(Reason.CREDENTIALS_MALFORMED, detail, inner=str(error)) from None


def verify_type(jws: UnverifiedJws, shape: Shape) -> None:
    """Raise Refusal unless the header is one of a token of this shape."""
    # Media types compare without regard to case (RFC 7515 section 4.1.9, RFC 2045 section 5.1).
    known = shape.untyped if jws.typ is None else jws.typ.lower() in shape.types
    if not known:
        shortest = " or ".join(sorted(name for name in shape.types if "/" not in name))
        raise Refusal(Reason.TOKEN_TYPE_WRONG, f"Send a token with `typ` {shortest}.")
    if shape.header and not shape.header.issuperset(jws.header):
        names = ", ".join(sorted(shape.header))
        raise Refusal(Reason.CREDENTIALS_MALFORMED, f"The header of the token must have no members but {names}.")


def verify_algorithm(jws: UnverifiedJws, rules: IssuerRules) -> None:
    """Raise Refusal unless this issuer may sign with this algorithm."""
    if jws.algorithm not in rules.algorithms:
        names = ", ".join(rules.algorithms)
        raise Refusal(Reason.SIGNATURE_INVALID, f"Tokens of this issuer are accepted when signed with: {names}.")


def find_key(
    jws: UnverifiedJws, rules: IssuerRules, keys: KeySource, evidence: Evidence
) -> VerificationKey | NeedsEvidence:
    """Return the issuer's key that the token names; or the need for a newer look at the issuer's keys, once.

    Raises:
        Refusal: the issuer has no such key (`signature_invalid`), or its keys cannot be had (`evidence_unavailable`).
    """
    key = keys.find_key(rules.issuer, jws.kid, jws.algorithm)
    if key is not None:
        return key
    need = KeysOf(rules.issuer)
    outcome = evidence.outcomes.get(need)
    if outcome is None:
        return NeedsEvidence(need)
    if outcome is Fetched.DONE:
        detail = "The issuer publishes no such key; request a new token."
        raise Refusal(Reason.SIGNATURE_INVALID, detail, inner="no key of this name and algorithm")
    raise Refusal(Reason.EVIDENCE_UNAVAILABLE, "Try again shortly.", inner=f"keys of {rules.issuer} are unavailable")


def verify_signed(jws: UnverifiedJws, key: VerificationKey) -> None:
    """Raise Refusal unless `key` signed the token.

    What a key has signed it has signed for good, so a token that is used for many requests is verified once. Only this
    step is spared: whether the key is still the issuer's and everything that the token says is looked at each time.
    """
    signed = sha256(jws.signing_input)  # It holds one dot, so no other input and signature make the same bytes.
    signed.update(b"." + jws.signature)
    digest = signed.digest()
    if digest in key.verified:
        return
    try:
        verify_signature(jws, key)
    except JoseError as error:
        raise Refusal(Reason.SIGNATURE_INVALID, "Request a new token.", inner=str(error)) from None
    if len(key.verified) >= MAX_VERIFIED:
        key.verified.clear()  # Beginning anew needs no lock and no order.
    key.verified[digest] = None


def verify_audience(claims: Mapping[str, Any], audience: str) -> None:
    """Raise Refusal unless `aud` is a string or a list of strings that names `audience` exactly."""
    named = claims.get("aud")
    if named == audience:  # As nearly always.
        return
    members = [named] if isinstance(named, str) else named
    if not isinstance(members, list) or not all(isinstance(member, str) for member in members):
        refuse_claim("aud", "a string or a list of strings")
    if audience not in members:
        raise Refusal(Reason.AUDIENCE_MISMATCH, f"Request a token for the audience {audience}.")


def read_life(claims: Mapping[str, Any], *, issued_at_required: bool) -> Life:
    """Return when a token is good by its own account.

    Raises:
        Refusal: a claim that is needed is missing, or one is no time.
    """
    issued_at = required_instant(claims, "iat") if issued_at_required else optional_instant(claims, "iat")
    return Life(issued_at, required_instant(claims, "exp"), optional_instant(claims, "nbf"))


def verify_times(life: Life, rules: IssuerRules, at: Instant, oldest: float | None = None) -> None:
    """Raise Refusal unless a token is good at `at`, lives no longer than its issuer may say, and is not too old.

    Args:
        life: of the token.
        rules: of its issuer.
        at: the instant of the decision.
        oldest: seconds since it was issued; None for any.
    """
    if life.issued_at is not None and life.expires_at <= life.issued_at:
        refuse_claim("exp", "later than `iat`")
    if at >= life.expires_at + rules.leeway:  # RFC 7519 section 4.1.4: on or after `exp` is too late
        raise Refusal(Reason.TOKEN_EXPIRED, "Request a new token.")
    if life.not_before is not None and life.not_before > at + rules.leeway:
        raise Refusal(Reason.TOKEN_NOT_YET_VALID, "Wait until the token is valid, or check the clocks.")
    if life.issued_at is not None and life.issued_at > at + rules.leeway:
        raise Refusal(Reason.TOKEN_NOT_YET_VALID, "The token was issued in the future; check the issuer's clock.")
    begins = life.issued_at if life.issued_at is not None else at
    if life.expires_at - begins > rules.max_lifetime:
        detail = f"Request a token that lives at most {rules.max_lifetime:.0f} seconds."
        raise Refusal(Reason.TOKEN_TOO_OLD, detail)
    if oldest is None:
        return
    if life.issued_at is None:
        raise Refusal(Reason.TOKEN_TOO_OLD, "Request a token with `iat`: this resource asks how old tokens are.")
    if at - life.issued_at > oldest + rules.leeway:
        raise Refusal(Reason.TOKEN_TOO_OLD, f"Request a new token; at most {oldest:.0f} seconds old.")


def accepted_until(life: Life, rules: IssuerRules, oldest: float | None = None) -> Instant:
    """Return the first instant at which a token that is accepted now may no longer be."""
    too_late = life.expires_at + rules.leeway
    if oldest is None or life.issued_at is None:
        return Instant(too_late)
    return Instant(min(too_late, life.issued_at + oldest + rules.leeway))
