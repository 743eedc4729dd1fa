"""Proves that who sends an access token holds the key that the token is bound to: DPoP, RFC 9449, as a resource server.

The argument, step by step; the code below has the same numbers. It rests on a token that has been proven already, so
that its `cnf` is the issuer's word.

1. There is exactly one proof, and it is one compact JWS of bounded size in its only reading.
2. Its `typ` is `dpop+jwt`, its `alg` one that we accept, and its `jwk` a public key for that algorithm, without private
   members. The key is the client's own: it means nothing until step 3.
3. The thumbprint of that key (RFC 7638) is the `cnf.jkt` of the token. A token without one is bound to nobody.
4. The signature verifies with that key. From here on the claims are the sender's words.
5. `jti htm htu iat ath` are there with their types, and `jti` is short.
6. `htm` is the method, letter by letter.
7. `htu` is the address at our public origin, query and fragment left out (`htu.py`). The origin is configured: the
   scheme that a proxy shows is the client's own claim, and TLS may end before the proxy.
8. `ath` is the digest of the very token that was sent.
9. Now lies within `iat`'s window, give or take the skew.
10. Where we ask for a nonce, it is one that we gave out lately.
11. `jti` was not used before with this key at this address. That is not known here: it is spent, last of all, and a
    spend that fails refuses the request. It is remembered for longer than step 9 accepts the proof.

DPoP says nothing about query, headers and body. Nothing here is remembered, since every proof is good for one request.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NoReturn

from extauthz.clock import Instant
from extauthz.errors import JoseError, Refusal, StrictJsonError
from extauthz.identity.htu import parse_uri, uri_of
from extauthz.jose.algorithms import verify_signature
from extauthz.jose.base64url import to_base64url
from extauthz.jose.compact import UnverifiedJws, parse_compact
from extauthz.jose.jwk import parse_public_jwk
from extauthz.limits import MAX_NUMERIC_DATE, MAX_PROOF_BYTES, MAX_PROOF_ID_CHARACTERS
from extauthz.model.reason import Reason
from extauthz.model.spend import Spend
from extauthz.strictjson import load_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.identity.credentials import UnverifiedToken
    from extauthz.identity.htu import Origin
    from extauthz.model.request import Request
    from extauthz.ports import NonceSource

HEADER: Final = "dpop"
"""Lower-case name of the header that carries the proof (RFC 9449 section 4.1)."""

_TYPE: Final = "dpop+jwt"

_ONE_PROOF: Final = "Send exactly one proof, in one DPoP header."
_NEW_PROOF: Final = "Make a new proof for each request."


@dataclass(frozen=True, slots=True, kw_only=True)
class DpopRules:
    """What the operator configured about proofs, for one verification profile.

    Attributes:
        origin: where clients reach us, as they see it.
        algorithms: accepted JWS algorithms of proofs, in the order the operator prefers.
        max_age: seconds that a proof is accepted after it was made.
        skew: seconds of clock difference tolerated.
        nonce: whether proofs must hold a nonce of ours.
    """

    origin: Origin
    algorithms: tuple[str, ...]
    max_age: float
    skew: float
    nonce: bool


@dataclass(frozen=True, slots=True)
class Possession:
    """The sender holds the key, provided that the proof was not used before.

    Attributes:
        spend: what must be spent before the request may be allowed.
        next_nonce: the nonce that the client should use from now on; empty when it has it, or none is asked for.
    """

    spend: Spend
    next_nonce: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claims:
    proof_id: str
    method: str
    address: str
    issued_at: Instant
    token_digest: str
    nonce: str


def verify_possession(  # noqa: PLR0913 — everything that the argument rests on
    request: Request,
    token: UnverifiedToken,
    claims_of_token: Mapping[str, Any],
    rules: DpopRules,
    *,
    nonces: NonceSource | None,
    at: Instant,
) -> Possession:
    """Prove by the argument above that the sender of `token` may use it.

    Args:
        request: the normalised request.
        token: the access token as it was sent.
        claims_of_token: its claims, proven to be its issuer's words.
        rules: what the operator configured.
        nonces: makes and knows our nonces; None where no profile asks for any.
        at: the instant of the decision.

    Raises:
        Refusal: a step fails; the reason says whether token (`binding_missing`, `binding_mismatch`) or proof
            (`proof_invalid`, `proof_nonce_required`) is at fault, the detail names the fix.
    """
    # 1. One proof in one reading.
    jws = _parse(_find_proof(request))
    # 2. Type, algorithm, key.
    if jws.typ != _TYPE:
        _refuse("The proof's `typ` must be dpop+jwt.")
    if jws.algorithm not in rules.algorithms:
        _refuse(f"Proofs are accepted when signed with: {', '.join(rules.algorithms)}.")
    try:
        key, thumbprint = parse_public_jwk(jws.header.get("jwk"), jws.algorithm)
    except JoseError as error:
        _refuse("The proof's `jwk` must be the public key that signed it, and only that.", inner=str(error))
    # 3. The token is bound to this key.
    if thumbprint != bound_thumbprint(claims_of_token):
        detail = "Sign the proof with the key that the token was requested with."
        raise Refusal(Reason.BINDING_MISMATCH, detail, inner="the proof's key is not `cnf.jkt`")
    # 4. Signature.
    try:
        verify_signature(jws, key)
    except JoseError as error:
        _refuse("The proof's signature must verify with its own `jwk`.", inner=str(error))
    # 5. Claims.
    claims = _read_claims(jws.payload)
    # 6. Method.
    if claims.method != request.method:
        _refuse("The proof's `htm` must be the method of the request.")
    # 7. Address.
    if parse_uri(claims.address) != uri_of(rules.origin, request.segments):
        _refuse(f"The proof's `htu` must be {rules.origin} and the path of the request.")
    # 8. Token.
    if claims.token_digest != to_base64url(sha256(token.encode()).digest()):
        _refuse("The proof's `ath` must be the SHA-256 digest of the access token, in base64url.")
    # 9. Time.
    _verify_time(claims.issued_at, rules, at)
    # 10. Nonce.
    next_nonce = _verify_nonce(claims.nonce, nonces, at) if rules.nonce else ""
    # 11. Once.
    named = (thumbprint, str(rules.origin), request.path, claims.proof_id)
    spend = Spend(
        kind="dpop_proof",
        key=sha256(b"".join(_counted(part) for part in named)).digest(),
        until=Instant(claims.issued_at + rules.max_age + 2 * rules.skew),
        refused=Reason.PROOF_REPLAYED,
        detail=_NEW_PROOF,
    )
    return Possession(spend, next_nonce)


def _refuse(detail: str, *, inner: str = "") -> NoReturn:
    raise Refusal(Reason.PROOF_INVALID, detail, inner=inner)


def _find_proof(request: Request) -> str:
    lines = request.headers.all(HEADER)
    # A comma is in no JWS; it is how proxies join two lines.
    if len(lines) != 1 or "," in lines[0]:
        _refuse(_ONE_PROOF)
    return lines[0]


def _parse(unverified_proof: str) -> UnverifiedJws:
    try:
        return parse_compact(unverified_proof, remember=False, max_bytes=MAX_PROOF_BYTES)
    except JoseError as error:
        _refuse(f"The proof must be one compact JWS of at most {MAX_PROOF_BYTES} bytes.", inner=str(error))


def bound_thumbprint(claims_of_token: Mapping[str, Any]) -> str:
    """Return the `jkt` that the token is bound to (RFC 9449 section 6).

    Args:
        claims_of_token: its claims, proven to be its issuer's words.

    Raises:
        Refusal: it is bound to no key, or to something else besides, which a proof of a key does not show.
    """
    confirmation = claims_of_token.get("cnf")
    thumbprint = confirmation.get("jkt") if isinstance(confirmation, dict) else None
    if not isinstance(thumbprint, str):
        raise Refusal(Reason.BINDING_MISSING, "Request a token that is bound to your key, with a DPoP proof.")
    if confirmation != {"jkt": thumbprint}:
        raise Refusal(Reason.BINDING_MISMATCH, "Request a token that is bound to your key and nothing else.")
    return thumbprint


def _read_claims(payload: bytes) -> _Claims:
    try:
        claims = load_object(payload, max_bytes=MAX_PROOF_BYTES)
    except StrictJsonError as error:
        _refuse("The proof's payload must be one JSON object.", inner=str(error))
    issued_at = claims.get("iat")
    if isinstance(issued_at, bool) or not isinstance(issued_at, int | float) or not 0 <= issued_at <= MAX_NUMERIC_DATE:
        _refuse("The proof's `iat` must be a number of seconds since 1970.")
    return _Claims(
        proof_id=_text(claims, "jti", longest=MAX_PROOF_ID_CHARACTERS),
        method=_text(claims, "htm"),
        address=_text(claims, "htu"),
        issued_at=Instant(float(issued_at)),
        token_digest=_text(claims, "ath"),
        nonce=_text(claims, "nonce") if "nonce" in claims else "",
    )


def _text(claims: Mapping[str, Any], name: str, longest: int = MAX_PROOF_BYTES) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        _refuse(f"The proof's `{name}` must be a string of 1 to {longest} characters.")
    return value


def _verify_time(issued_at: Instant, rules: DpopRules, at: Instant) -> None:
    if issued_at > at + rules.skew:
        _refuse("The proof was made in the future; check your clock.")
    if at >= issued_at + rules.max_age + rules.skew:
        _refuse(f"The proof is older than {rules.max_age:.0f} seconds. {_NEW_PROOF}")


def _verify_nonce(nonce: str, nonces: NonceSource | None, at: Instant) -> str:
    """Return the nonce to use from now on, empty when the client has it."""
    if nonces is None:
        raise Refusal(Reason.EVALUATION_FAILED, inner="nobody makes nonces")
    if not nonce or not nonces.accepts_nonce(nonce, at):
        raise Refusal(Reason.PROOF_NONCE_REQUIRED, "Make a new proof with the `nonce` of the DPoP-Nonce header.")
    newest = nonces.nonce_at(at)
    return newest if newest != nonce else ""


def _counted(part: str) -> bytes:
    """Return a part of a key with its length before it, so that no two lists of parts run into the same bytes."""
    raw = part.encode()
    return len(raw).to_bytes(4) + raw
