"""Verifies a security event token (RFC 8417, as profiled by OpenID Shared Signals 1.0 section 4.1).

1. One compact JWS with strict JSON, of type `secevent+jwt`: no other token of the transmitter passes for an event.
2. `iss` is the stream's issuer, exactly. It is compared first so that the sender learns what is wrong; that it is true
   is proven by step 3, since only keys of that issuer count.
3. Signed with one of the algorithms of the stream, by a key of its issuer. RSA keys have at least 2048 bits
   (`jose/keyset.py`).
4. `aud` names us.
5. `sub` and `exp` are not there: they would make it pass for an access token somewhere. `jti` and `iat` are; `iat` is
   not in the future.
6. `sub_id` is an object, and so is the one event. A `subject` inside the event, as older transmitters write it, says
   the same as `sub_id`.

Members that we do not know are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from extauthz.clock import Instant
from extauthz.errors import JoseError, SignalError, StrictJsonError
from extauthz.jose.algorithms import verify_signature
from extauthz.jose.compact import UnverifiedJws, parse_compact
from extauthz.limits import MAX_EVENT_ID_CHARACTERS, MAX_EVENT_TOKEN_BYTES, MAX_NUMERIC_DATE
from extauthz.ports import KeysOf, NeedsEvidence
from extauthz.strictjson import load_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.ports import KeySource
    from extauthz.signals.rules import StreamRules

INVALID_REQUEST: Final = "invalid_request"
INVALID_KEY: Final = "invalid_key"
INVALID_ISSUER: Final = "invalid_issuer"
INVALID_AUDIENCE: Final = "invalid_audience"
INVALID_STATE: Final = "invalid_state"
"""Error codes: RFC 8935 section 2.4, the last one SSF 1.0, stream verification."""

_TYPES: Final = frozenset({"secevent+jwt", "application/secevent+jwt"})


@dataclass(frozen=True, slots=True, kw_only=True)
class EventToken:
    """An event that its transmitter has signed for us.

    Attributes:
        jti: names it; the same one may be sent again.
        issued_at: `iat`.
        transaction: `txn`, empty when there is none.
        subject: `sub_id`, as it is.
        event: the URI that says what kind of event it is.
        payload: what belongs to that event.
    """

    jti: str
    issued_at: Instant
    transaction: str = ""
    subject: Mapping[str, Any]
    event: str
    payload: Mapping[str, Any]


def verify_event_token(
    unverified_text: str, rules: StreamRules, keys: KeySource, at: Instant
) -> EventToken | NeedsEvidence:
    """Return what a compact SET says; or the need for a newer look at the keys of its issuer.

    Args:
        unverified_text: as it was received.
        rules: of the stream that it was received on.
        keys: of the streams' issuers.
        at: now.

    Raises:
        SignalError: it breaks one of the rules at the top of this file.
    """
    # 1. A token of the right type.
    jws, claims = _parse(unverified_text)
    # 2. Who says so.
    if claims.get("iss") != rules.issuer:
        raise SignalError(INVALID_ISSUER, "`iss` is not the issuer of this stream")
    # 3. Signed.
    if jws.algorithm not in rules.algorithms:
        names = ", ".join(rules.algorithms)
        raise SignalError(INVALID_KEY, f"events of this stream are accepted when signed with: {names}")
    key = keys.find_key(rules.issuer, jws.kid, jws.algorithm)
    if key is None:
        return NeedsEvidence(KeysOf(rules.issuer))
    try:
        verify_signature(jws, key)
    except JoseError as error:
        raise SignalError(INVALID_KEY, str(error)) from None
    # 4. For us.
    _verify_audience(claims, rules.audience)
    # 5. An event and nothing else.
    issued_at = _verify_claims(claims, at + rules.leeway)
    # 6. About one subject, one event.
    subject = claims.get("sub_id")
    if not isinstance(subject, dict):
        refuse("`sub_id` is missing, or is not an object")
    event, payload = _only_event(claims.get("events"))
    _verify_older_subject(payload, subject)
    return EventToken(
        jti=claims["jti"],
        issued_at=issued_at,
        transaction=text_in(claims, "txn"),
        subject=subject,
        event=event,
        payload=payload,
    )


def refuse(description: str) -> NoReturn:
    """Refuse an event as malformed.

    Raises:
        SignalError: `invalid_request`.
    """
    raise SignalError(INVALID_REQUEST, description)


def text_in(members: Mapping[str, Any], name: str) -> str:
    """Return a member that helps people only: empty when it is missing or is no text."""
    value = members.get(name)
    return value if isinstance(value, str) else ""


def instant_in(members: Mapping[str, Any], name: str) -> Instant | None:
    """Return a NumericDate; None when there is none.

    Raises:
        SignalError: it is no number of seconds.
    """
    if name not in members:
        return None
    value = members[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_NUMERIC_DATE:
        refuse(f"`{name}` is not a number of seconds since 1970")
    return Instant(float(value))


def _parse(text: str) -> tuple[UnverifiedJws, Mapping[str, Any]]:
    if text.endswith("."):
        raise SignalError(INVALID_KEY, "the event is not signed")
    try:
        jws = parse_compact(text, remember=False, max_bytes=MAX_EVENT_TOKEN_BYTES)
        claims = load_object(jws.payload, max_bytes=MAX_EVENT_TOKEN_BYTES)
    except (JoseError, StrictJsonError) as error:
        refuse(f"not a security event token: {error}")
    if jws.typ is None or jws.typ.lower() not in _TYPES:
        refuse("`typ` is not secevent+jwt")
    return jws, claims


def _verify_audience(claims: Mapping[str, Any], audience: str) -> None:
    named = claims.get("aud")
    members = named if isinstance(named, list) else [named]
    if not all(isinstance(member, str) for member in members) or audience not in members:
        raise SignalError(INVALID_AUDIENCE, "`aud` does not name the audience of this stream")


def _verify_claims(claims: Mapping[str, Any], latest: float) -> Instant:
    for name in ("sub", "exp"):
        if name in claims:
            refuse(f"`{name}` must not be there")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= MAX_EVENT_ID_CHARACTERS:
        refuse(f"`jti` is missing, or is not a text of at most {MAX_EVENT_ID_CHARACTERS} characters")
    issued_at = instant_in(claims, "iat")
    if issued_at is None:
        refuse("`iat` is missing")
    if issued_at > latest:
        refuse("`iat` is in the future; check the clock of the transmitter")
    return issued_at


def _only_event(events: Any) -> tuple[str, Mapping[str, Any]]:
    if not isinstance(events, dict) or len(events) != 1:
        refuse("`events` is not an object with exactly one event")
    ((event, payload),) = events.items()
    if not isinstance(payload, dict):
        refuse("the event is not an object")
    return event, payload


def _verify_older_subject(payload: Mapping[str, Any], subject: Mapping[str, Any]) -> None:
    if "subject" not in payload:
        return
    older = payload["subject"]
    if isinstance(older, dict) and "subject_type" in older:
        # Before RFC 9493 the formats were called types, and written with hyphens.
        renamed = {name: value for name, value in older.items() if name != "subject_type"}
        older = {"format": str(older["subject_type"]).replace("-", "_"), **renamed}
    if older != subject:
        refuse("`subject` of the event is another one than `sub_id`")
