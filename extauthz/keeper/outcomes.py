"""What one transaction makes of an action: known already, held, or in force."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from extauthz.state import signals
from extauthz.state.changes import RESTRICTION, newest_number
from extauthz.state.restrictions import apply_restrictions, put_by_hand
from extauthz.state.sessions import count_sessions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extauthz.clock import Instant
    from extauthz.model.receipt import Action
    from extauthz.model.restriction import Restriction
    from extauthz.state.follower import Query
    from extauthz.state.writer import Writing

_HELD_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class Done:
    """What a transaction has made of an action."""

    number: int
    outcome: str
    changed: tuple[Restriction, ...] = ()
    sessions: int = 0
    held: str = ""


def held_name(action: Action) -> str:
    """Return what people call an event that is held."""
    return sha256(f"{action.source}\0{action.id}".encode()).hexdigest()[:_HELD_DIGITS]


def find_done(writing: Writing, action: Action) -> Done | None:
    """Return what was made of an action before; None when it is new."""
    before = signals.find_action(writing.query, action.source, action.id)
    if before is None:
        return None
    name = held_name(action)
    if signals.find_held(writing.query, name) is not None:
        return Done(0, "held", held=name)
    # What was admitted meanwhile has a later number than its own.
    return Done(max(before.number, newest_number(writing.connection, RESTRICTION)), "known")


def count(query: Query, restrictions: Sequence[Restriction], at: Instant) -> int:
    """Return how many live sessions restrictions are about; one that several are about counts for each."""
    return sum(count_sessions(query, (each.mark,), each.also, at) for each in restrictions if each.in_force)


def hold(writing: Writing, action: Action, restrictions: Sequence[Restriction], sessions: int, subject: str) -> Done:
    """Let an action wait for a person."""
    name = held_name(action)
    signals.hold(writing.connection, name, action, subject, sessions, restrictions)
    return Done(0, "held", sessions=sessions, held=name)


def apply(writing: Writing, restrictions: Sequence[Restriction], sessions: int, by_hand: Instant | None = None) -> Done:
    """Put restrictions in force, or lift them; what a person does at `by_hand` holds, whatever was lifted before."""
    words = [
        put_by_hand(writing.query, each, writing.seal)
        if each.in_force and by_hand is not None and each.event_at >= by_hand
        else each
        for each in restrictions
    ]
    applied = apply_restrictions(writing.connection, words, writing.seal, own=True)
    if not restrictions:
        outcome = "noted"
    elif not applied.changed:
        outcome = "known"
    else:
        outcome = "in_force" if any(each.in_force for each in applied.changed) else "lifted"
    return Done(applied.number, outcome, applied.changed, sessions)
