"""Whether a proven token was revoked, by a list that its issuer publishes (Token Status List).

Two parts. `look_up_status` asks, for a token that is fully proven: an expired token stays expired, and nothing is
fetched for one that proves nothing. `verify_status_list` says what a fetched list is worth:

1. One compact JWS, of type `statuslist+jwt`, signed by a key of the issuer that the settings name.
2. `sub` is the URI that it was fetched from, so no list can be served in place of another.
3. `iat` is not in the future, `exp` is; `ttl` is a positive number of seconds.
4. Each status has 1, 2, 4 or 8 bits; the array is a whole zlib stream and not longer, inflated, than is accepted.

A token that names a list we cannot look at is refused: its issuer says that it may be revoked. Every status but 0
(valid) refuses the token; a suspended one may come back.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from extauthz.clock import Instant
from extauthz.errors import JoseError, Refusal, StrictJsonError
from extauthz.identity.claims import refuse_claim, text_of
from extauthz.jose.algorithms import verify_signature
from extauthz.jose.base64url import from_base64url
from extauthz.jose.compact import parse_compact
from extauthz.limits import MAX_NUMERIC_DATE
from extauthz.model.reason import Reason
from extauthz.model.state import StateName
from extauthz.ports import NeedsEvidence, StatusList, StatusListOf
from extauthz.strictjson import load_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.identity.bearer import VerifiedClaims
    from extauthz.identity.rules import StatusRules
    from extauthz.identity.sources import Sources
    from extauthz.ports import KeySource

_TYPES: Final = frozenset({"statuslist+jwt", "application/statuslist+jwt"})
_BITS: Final = frozenset({1, 2, 4, 8})


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Who signs status lists.

    Attributes:
        issuer: whose published keys.
        algorithms: that it may use.
        leeway: seconds of clock difference tolerated.
        max_bytes: longest array accepted, inflated.
    """

    issuer: str
    algorithms: tuple[str, ...]
    leeway: float
    max_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedList:
    """A status list whose signer has signed it.

    Attributes:
        bits: for each status.
        statuses: the inflated array.
        expires_at: `exp`; None when it names no end.
        ttl: seconds after which a newer one should be fetched; None when it does not say.
    """

    bits: int
    statuses: bytes
    expires_at: Instant | None
    ttl: float | None


class UnknownKeyError(JoseError):
    """The list is signed by a key that is not in memory, which a newer look at the signer's keys may mend."""


def look_up_status(verified: VerifiedClaims, sources: Sources, at: Instant) -> VerifiedClaims | NeedsEvidence:
    """Return the token's claims when its status is valid, bounded to the life of the list.

    Args:
        verified: what a fully proven token says.
        sources: what may be looked at.
        at: the instant of the decision.

    Raises:
        Refusal: `token_revoked`; `credentials_malformed` for a reference that is none, or is missing where one is
            required; `evidence_unavailable` when nothing can be said.
    """
    issuer, rules = verified.rules.issuer, verified.rules.status
    if "status" not in verified.claims:
        if rules is not None and rules.required:
            refuse_claim("status", "there: this issuer's tokens must name a status list")
        return verified
    if rules is None:
        inner = f"the token names a status; configure status_list for {issuer}"
        raise Refusal(Reason.EVIDENCE_UNAVAILABLE, inner=inner)
    if rules.ignored:
        return verified
    uri, index = _reference(verified.claims["status"])
    if not _is_allowed(uri, rules):
        raise Refusal(Reason.EVIDENCE_UNAVAILABLE, inner="the status list is not under status_list.uris")
    sources.ledger.note(StateName("status_list", f"{issuer} {uri}"))
    known = sources.status_lists.find_status_list(issuer, uri, at)
    if known is None:
        return _need_list(StatusListOf(issuer, uri), sources)
    if read_status(known, index):
        raise Refusal(Reason.TOKEN_REVOKED, "Request a new token.", inner="by its issuer's status list")
    return replace(verified, accepted_until=min(verified.accepted_until, known.until))


def read_status(known: StatusList, index: int) -> int:
    """Return a status. Entries begin at the least significant bits of each byte.

    Raises:
        Refusal: `credentials_malformed`: the list has no such entry.
    """
    position = index * known.bits
    if position // 8 >= len(known.statuses):
        refuse_claim("status.status_list.idx", "an index into the list")
    return (known.statuses[position // 8] >> (position % 8)) & ((1 << known.bits) - 1)


def verify_status_list(raw: bytes, uri: str, signer: Signer, keys: KeySource, at: Instant) -> VerifiedList:
    """Return what a fetched list says.

    Args:
        raw: as fetched.
        uri: where from.
        signer: who must have signed it.
        keys: issuers' public keys.
        at: now.

    Raises:
        UnknownKeyError: its key is not known.
        JoseError: it breaks another of the rules at the top of this file.
    """
    # 1. Signed.
    claims = _signed_claims(raw, signer, keys)
    # 2. The one that was asked for.
    _require(claims.get("sub") == uri, "`sub` is not the URI of the list")
    # 3. Now.
    issued_at, expires_at, ttl = (_number(claims, name) for name in ("iat", "exp", "ttl"))
    _require(issued_at is not None and issued_at <= at + signer.leeway, "`iat` is missing or in the future")
    _require(expires_at is None or at < expires_at, "the list has expired")
    _require(ttl is None or ttl > 0, "`ttl` is not positive")
    # 4. The array.
    body = claims.get("status_list")
    _require(isinstance(body, dict), "`status_list` is not an object")
    bits, packed = body.get("bits"), body.get("lst")  # type: ignore[union-attr]  # the line above
    _require(isinstance(bits, int) and not isinstance(bits, bool) and bits in _BITS, "`bits` is not 1, 2, 4 or 8")
    _require(isinstance(packed, str), "`lst` is not a string")
    return VerifiedList(
        bits=bits,
        statuses=inflate(from_base64url(packed), signer.max_bytes),
        expires_at=None if expires_at is None else Instant(expires_at),
        ttl=ttl,
    )


def inflate(packed: bytes, max_bytes: int) -> bytes:
    """Return what a whole zlib stream holds.

    Raises:
        JoseError: it is no such stream, there is more behind it, or it holds more than `max_bytes`.
    """
    stream = zlib.decompressobj()
    try:
        statuses = stream.decompress(packed, max_bytes + 1)
    except zlib.error:
        message = "`lst` is not a zlib stream"
        raise JoseError(message) from None
    _require(len(statuses) <= max_bytes, "the list is too long")
    _require(stream.eof and not stream.unused_data, "`lst` is not one whole zlib stream")
    return statuses


def _reference(status: Any) -> tuple[str, int]:
    reference = status.get("status_list") if isinstance(status, dict) else None
    if not isinstance(reference, dict):
        refuse_claim("status", "an object with a `status_list`")
    index = reference.get("idx")
    if isinstance(index, bool) or not isinstance(index, int) or index < 0:
        refuse_claim("status.status_list.idx", "a whole number, at least 0")
    return text_of(reference.get("uri"), "status.status_list.uri"), index


def _is_allowed(uri: str, rules: StatusRules) -> bool:
    return any(uri == known or (known.endswith("/") and uri.startswith(known)) for known in rules.uris)


def _need_list(need: StatusListOf, sources: Sources) -> NeedsEvidence:
    if need not in sources.evidence.outcomes:
        return NeedsEvidence(need)
    inner = f"the status list {need.uri} is unavailable"
    raise Refusal(Reason.EVIDENCE_UNAVAILABLE, "Try again shortly.", inner=inner)


def _signed_claims(raw: bytes, signer: Signer, keys: KeySource) -> Mapping[str, Any]:
    try:
        jws = parse_compact(raw.decode("ascii").strip(), max_bytes=len(raw))
        claims = load_object(jws.payload, max_bytes=len(raw))
    except (UnicodeDecodeError, StrictJsonError):
        message = "not a compact JWS with a strict JSON object"
        raise JoseError(message) from None
    _require(jws.typ is not None and jws.typ.lower() in _TYPES, "`typ` is not statuslist+jwt")
    _require(jws.algorithm in signer.algorithms, "signed with an algorithm that is not accepted")
    key = keys.find_key(signer.issuer, jws.kid, jws.algorithm)
    if key is None:
        message = "signed with a key that is not known"
        raise UnknownKeyError(message)
    verify_signature(jws, key)
    return claims


def _number(claims: Mapping[str, Any], name: str) -> float | None:
    if name not in claims:
        return None
    value: Any = claims[name]
    _require(isinstance(value, int | float) and not isinstance(value, bool), f"`{name}` is not a number")
    _require(0 <= value <= MAX_NUMERIC_DATE, f"`{name}` is out of range")
    return float(value)


def _require(holds: bool, problem: str) -> None:  # noqa: FBT001 — it reads as a sentence
    if not holds:
        raise JoseError(problem)
