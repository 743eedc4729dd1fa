"""Restrictions as they travel through Redis: `INCARNATION TIME MAC TEXT`, and what is believed of what arrives.

1. Every row carries a MAC of the shared key over all that it says and the incarnation of the shared state.
2. A row whose MAC holds is what another machine of ours was told.
3. A row without one that narrows is believed a little: it can only take something away. It stands under a source of its
   own, so that it never meets a row of ours and a person can lift it; it may not speak of the future, and it ends.
4. A row without one that widens is believed by nobody. Where it is of an earlier incarnation it is only old: whoever
   wrote it writes it again.
"""

from __future__ import annotations

import json
from dataclasses import replace
from enum import Enum
from hashlib import sha256
from math import isfinite
from typing import Any, Final, NamedTuple

from extauthz.clock import Instant
from extauthz.errors import StrictJsonError
from extauthz.model.restriction import Effect, Form, Mark, Restriction
from extauthz.state.restriction_rows import is_sealed, seal_restriction
from extauthz.state.seal import Seal
from extauthz.strictjson import load_object

MAX_ROW_BYTES: Final = 262_144
"""Of one row: ours have a few hundred, and the longest event in which every character is escaped is less."""

FUTURE_SECONDS: Final = 300.0
"""How far ahead of us the time of a row may be that is not ours: clocks differ."""

UNVERIFIED: Final = "unverified "
"""What the source of a row without a MAC begins with."""

_MOST_ALSO: Final = 16
_MOST_WORDS: Final = 1024
"""Characters of what is for people only."""

_FIELD_DIGITS: Final = 32
_TEXTS: Final = ("form", "issuer", "value", "effect", "source", "signal", "by", "reason")


class Trust(Enum):
    """What is believed of a row."""

    OURS = "ours"
    NARROWS = "narrows"
    """Not ours, and it only takes something away."""
    OLD = "old"
    """It would widen, and is of an earlier incarnation."""
    FORGED = "forged"
    """It would widen, or says nothing that we can use."""


class Row(NamedTuple):
    """What is written to Redis.

    Attributes:
        field: names what it is about, and whether it narrows or widens.
        at: when what it says happened.
        until: when it may be forgotten; None for no end.
        text: all of it.
    """

    field: str
    at: float
    until: float | None
    text: bytes


class Arrived(NamedTuple):
    """What came from Redis.

    Attributes:
        trust: what is believed of it.
        restriction: what it says; None when it says nothing that we can use.
    """

    trust: Trust
    restriction: Restriction | None


def shared_seal(key: bytes, incarnation: str) -> Seal:
    """Return the seal of what travels in an incarnation of the shared state."""
    return Seal(key, b"shared:" + incarnation.encode())


def write_row(restriction: Restriction, seal: Seal, incarnation: str) -> Row:
    """Return the row of a restriction; the same on every machine that shares the key."""
    restriction = replace(restriction, by=restriction.by[:_MOST_WORDS], reason=restriction.reason[:_MOST_WORDS])
    until = None if restriction.until is None else float(restriction.until)
    members = {
        "form": restriction.mark.form.value,
        "issuer": restriction.mark.issuer,
        "value": restriction.mark.value,
        "also": [[mark.form.value, mark.issuer, mark.value] for mark in _in_order(restriction.also)],
        "effect": restriction.effect.value,
        "source": restriction.source,
        "event_at": float(restriction.event_at),
        "until": until,
        "in_force": restriction.in_force,
        "signal": restriction.signal,
        "by": restriction.by,
        "reason": restriction.reason,
    }
    mac = seal_restriction(seal, restriction).hex()
    text = json.dumps(members, separators=(",", ":"), ensure_ascii=True)
    name = sha256(json.dumps(restriction.identity).encode()).hexdigest()[:_FIELD_DIGITS]
    return Row(
        field=name + ("n" if restriction.in_force else "w"),
        at=float(restriction.event_at),
        until=until,
        text=f"{incarnation} {float(restriction.event_at)!r} {mac} {text}".encode("ascii"),
    )


def read_row(text: object, seal: Seal, incarnation: str, at: Instant, keep: float) -> Arrived:
    """Return what a row from Redis says, and what is believed of it.

    Args:
        text: what is in Redis.
        seal: of the shared key and the incarnation.
        incarnation: of the shared state now.
        at: now.
        keep: seconds for which a row that is not ours counts at most.
    """
    try:
        of, mac, restriction = _parse(text)
    except (ValueError, StrictJsonError):
        return Arrived(Trust.FORGED, None)
    if of == incarnation and is_sealed(seal, restriction, mac):
        return Arrived(Trust.OURS, restriction)
    if not restriction.in_force:
        return Arrived(Trust.FORGED if of == incarnation else Trust.OLD, restriction)
    if restriction.event_at > at + FUTURE_SECONDS:
        return Arrived(Trust.FORGED, None)
    return Arrived(Trust.NARROWS, _doubted(restriction, at, keep))


def _in_order(marks: tuple[Mark, ...]) -> list[Mark]:
    return sorted(marks, key=lambda mark: mark.name.of)


def _doubted(restriction: Restriction, at: Instant, keep: float) -> Restriction:
    """Return a narrowing row of somebody, so that it never meets one of ours, and ends."""
    latest = Instant(at + keep)
    until = latest if restriction.until is None else min(latest, restriction.until)
    source = UNVERIFIED + restriction.source.removeprefix(UNVERIFIED)
    return replace(restriction, source=source, until=until)


def _parse(text: object) -> tuple[str, bytes, Restriction]:
    """Return the incarnation, the MAC and the restriction of a row; raises as `split_row` does."""
    of, mac, members = split_row(text)
    return of, mac, _to_restriction(members)


def split_row(text: object) -> tuple[str, bytes, dict[str, Any]]:
    """Return the incarnation, the MAC and the members of a row of any kind.

    Raises:
        ValueError: it is none.
        StrictJsonError: likewise.
    """
    if not isinstance(text, bytes) or len(text) > MAX_ROW_BYTES:
        message = "no row"
        raise ValueError(message)
    of, _, mac, body = text.split(b" ", 3)
    members = load_object(body, max_bytes=MAX_ROW_BYTES)
    return of.decode("ascii"), bytes.fromhex(mac.decode("ascii")), members


def _to_restriction(members: dict[str, Any]) -> Restriction:
    texts = {name: members.pop(name, None) for name in _TEXTS}
    also, event_at, until = (members.pop(name, False) for name in ("also", "event_at", "until"))
    in_force = members.pop("in_force", None)
    sound = (
        not members
        and all(isinstance(text, str) for text in texts.values())
        and _is_instant(event_at)
        and (until is None or _is_instant(until))
        and isinstance(in_force, bool)
        and (in_force or until is not None)
        and isinstance(also, list)
        and len(also) <= _MOST_ALSO
        and all(isinstance(mark, list) and [type(part) for part in mark] == [str, str, str] for mark in also)
    )
    if not sound or any(" " in issuer for issuer in (texts["issuer"], *(mark[1] for mark in also))):
        message = "no restriction"
        raise ValueError(message)
    return Restriction(
        mark=Mark(Form(texts["form"]), texts["issuer"], texts["value"]),
        also=tuple(Mark(Form(form), issuer, value) for form, issuer, value in also),
        effect=Effect(texts["effect"]),
        source=texts["source"],
        event_at=Instant(event_at),
        until=None if until is None else Instant(until),
        in_force=in_force,
        signal=texts["signal"],
        by=texts["by"],
        reason=texts["reason"],
    )


def _is_instant(value: object) -> bool:
    return isinstance(value, float) and isfinite(value)
