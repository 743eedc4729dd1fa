"""Rows of the table of restrictions: what they say, what their MAC is about, and what counts where it does not hold.

A row that is lifted by a MAC that does not hold counts as in force, without an end. One that says nothing that we can
use counts as `QUARANTINED` for its target, until the row is gone.
"""

from __future__ import annotations

import json
from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from extauthz.clock import Instant
from extauthz.model.restriction import Effect, Form, Mark, Restriction

if TYPE_CHECKING:
    from extauthz.state.seal import Alarm, Seal

_KIND: Final = "restriction"
COLUMNS: Final = (
    "changed, name, effect, source, also, event_at, in_force, force_until, lift_until, signal, by, reason, own, mac"
)
SELECT: Final = f"SELECT {COLUMNS} FROM restrictions"  # noqa: S608 — constants of this module


class Numbered(NamedTuple):
    """A row and its change.

    Attributes:
        number: of the change that it had last.
        restriction: what it says; as in force where it is lifted by a MAC that does not hold.
        own: whether this machine heard it first.
        sealed: False when it was lifted, and not by us.
    """

    number: int
    restriction: Restriction
    own: bool
    sealed: bool


def restriction_fields(restriction: Restriction) -> tuple[str | float | int | None, ...]:
    """Return what a MAC of a restriction is about; the same for the same restriction, also on another machine."""
    until = restriction.until
    return (
        restriction.mark.name.of,
        also_text(restriction),
        restriction.effect.value,
        restriction.source,
        float(restriction.event_at),
        int(restriction.in_force),
        float(until) if until is not None else None,
        restriction.signal,
        restriction.by,
        restriction.reason,
    )


def seal_restriction(seal: Seal, restriction: Restriction) -> bytes:
    """Return the MAC of a restriction."""
    return seal.seal(_KIND, *restriction_fields(restriction))


def is_sealed(seal: Seal, restriction: Restriction, mac: object) -> bool:
    """Return whether `mac` is the MAC of a restriction."""
    return seal.holds(mac, _KIND, *restriction_fields(restriction))


def to_row(stands: Restriction, force_until: float, lift_until: float, seal: Seal, *, own: bool) -> tuple[Any, ...]:
    """Return a row but for its number."""
    return (
        stands.mark.name.of,
        stands.effect.value,
        stands.source,
        also_text(stands),
        float(stands.event_at),
        int(stands.in_force),
        force_until,
        lift_until,
        stands.signal,
        stands.by,
        stands.reason,
        int(own),
        None if stands.in_force else seal_restriction(seal, stands),
    )


def read_row(row: tuple[Any, ...], seal: Seal, on_alarm: Alarm) -> Numbered:
    """Return what a row counts as; the alarm is told what is not ours."""
    number, name, effect, source, also, event_at, in_force, force_until, lift_until, signal, by, reason, own, mac = row
    lifted = in_force == 0
    try:
        restriction = Restriction(
            mark=_to_mark(name),
            also=tuple(_to_mark(each) for each in json.loads(also)),
            effect=Effect(effect),
            source=source,
            event_at=Instant(event_at),
            until=to_until(lift_until if lifted else force_until),
            in_force=not lifted,
            signal=signal,
            by=by,
            reason=reason,
        )
    except (ValueError, TypeError, AttributeError):
        on_alarm(f"the restriction on {name!r} of {source!r} was not written by us: it says nothing that we can use")
        return Numbered(number, _unusable(row), bool(own), sealed=False)
    if not lifted or is_sealed(seal, restriction, mac):
        return Numbered(number, restriction, bool(own), sealed=True)
    on_alarm(f"the restriction on {name!r} of {source!r} was lifted, but not by us")
    return Numbered(number, replace(restriction, in_force=True, until=None), bool(own), sealed=False)


def _unusable(row: tuple[Any, ...]) -> Restriction:
    """Return what a row counts as whose fields are not ours: its target is shut out until the row is gone."""
    return Restriction(
        mark=_loose_mark(row[1]), effect=Effect.QUARANTINED, source=str(row[3]), event_at=Instant(float(row[5]))
    )


def _loose_mark(name: str) -> Mark:
    """Return the mark of a name; one that is not a mark's is everybody, whom no caller is asked for by that name."""
    try:
        return _to_mark(name)
    except ValueError:
        return Mark(Form.EVERYBODY)


def _to_mark(name: str) -> Mark:
    form, issuer, value = name.split(" ", 2)
    return Mark(Form(form), issuer, value)


def also_text(restriction: Restriction) -> str:
    """Return the further targets of a restriction, in an order of their own."""
    return json.dumps(sorted(mark.name.of for mark in restriction.also))


def to_until(until: float) -> Instant | None:
    """Return an end; infinity is none."""
    return Instant(until) if isfinite(until) else None


def unheard(_: str) -> None:
    """Say nothing: whoever decides by the row says it."""
