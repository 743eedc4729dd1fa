"""What was heard and done, by event and action; what waits for a person; and when streams were heard last.

The list is what makes an event that is heard twice take effect once, so a row stays until no repetition of it can be
valid any more. No row has a MAC: none lifts or grants anything. That a stream was heard is believed of the file on this
machine only; others are told what the keeper heard, not what is written here (`keeper/hearing.py`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from extauthz.clock import Instant
from extauthz.model.receipt import Action
from extauthz.model.restriction_document import from_document, to_document

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from extauthz.model.restriction import Restriction
    from extauthz.state.follower import Query

SIGNAL_TABLES: Final = (
    """CREATE TABLE signals (
        position INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL,
        received_at REAL NOT NULL, by TEXT NOT NULL, reason TEXT NOT NULL, outcome TEXT NOT NULL, detail TEXT NOT NULL,
        subject TEXT NOT NULL, number INTEGER NOT NULL, until REAL NOT NULL, UNIQUE (source, id)
    ) STRICT""",
    "CREATE INDEX signals_until ON signals (until)",
    """CREATE TABLE held_signals (
        name TEXT PRIMARY KEY, id TEXT NOT NULL, source TEXT NOT NULL, kind TEXT NOT NULL, received_at REAL NOT NULL,
        by TEXT NOT NULL, reason TEXT NOT NULL, subject TEXT NOT NULL, sessions INTEGER NOT NULL,
        restrictions TEXT NOT NULL, outcome TEXT NOT NULL DEFAULT ''
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX held_signals_action ON held_signals (source, id)",
    """CREATE TABLE streams (
        name TEXT PRIMARY KEY, heard_at REAL, status TEXT NOT NULL DEFAULT '', status_at REAL
    ) STRICT, WITHOUT ROWID""",
)

_ACTION: Final = "id, source, kind, received_at, by, reason"
_HAPPENINGS: Final = f"SELECT position, {_ACTION}, outcome, detail, subject, number FROM signals"  # noqa: S608 — constants
_HELD: Final = f"SELECT name, {_ACTION}, subject, sessions, restrictions FROM held_signals WHERE outcome = ''"  # noqa: S608 — constants


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """An event or action that was heard.

    Attributes:
        position: in the list; later ones are greater, and none is given twice.
        action: what it was.
        outcome: what became of it, in a word.
        detail: the same in a sentence.
        subject: whom it was about, as its source said it.
        number: the change of the restrictions that contains it; 0 for none.
    """

    position: int
    action: Action
    outcome: str
    detail: str
    subject: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An event that waits for a person.

    Attributes:
        id: names it.
        action: what it is.
        subject: whom it is about, as its source said it.
        sessions: live sessions that it would have ended when it came.
        restrictions: what it would put in force.
    """

    id: str
    action: Action
    subject: str
    sessions: int
    restrictions: tuple[Restriction, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamHeard:
    """How a stream fares.

    Attributes:
        name: of the stream.
        heard_at: when anything valid came from it last; None for never.
        status: `enabled`, `paused`, `disabled`, as its transmitter said last; empty when it never did.
        status_at: when it said so.
    """

    name: str
    heard_at: Instant | None
    status: str = ""
    status_at: Instant | None = None


def remember(  # noqa: PLR0913, PLR0917 — each is a column
    connection: sqlite3.Connection,
    action: Action,
    outcome: str,
    detail: str,
    subject: str,
    number: int,
    until: Instant,
) -> bool:
    """Write down an event or action, inside the transaction that carries it out.

    Args:
        connection: of that transaction.
        action: what it was.
        outcome: what became of it, in a word.
        detail: the same in a sentence.
        subject: whom it was about.
        number: the change of the restrictions that contains it; 0 for none.
        until: when it can be forgotten, so that it would take effect once more.

    Returns:
        Whether it is new: False when its source has said it before, and nothing is written.
    """
    done = connection.execute(
        f"INSERT INTO signals ({_ACTION}, outcome, detail, subject, number, until)"  # noqa: S608 — a constant
        " VALUES (?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (source, id) DO NOTHING",
        (*_action_values(action), outcome, detail, subject, number, float(until)),
    )
    return done.rowcount == 1


def find_action(query: Query, source: str, id_: str) -> Happening | None:
    """Return what is known of an event or action; None when it is new."""
    rows = query(_HAPPENINGS + " WHERE source = ? AND id = ?", (source, id_))
    return _happening(rows[0]) if rows else None


def tail(query: Query, after: int | None, limit: int) -> tuple[Happening, ...]:
    """Return what was heard after a position, or the newest where that is None; the oldest first."""
    if after is None:
        rows = query(_HAPPENINGS + " ORDER BY position DESC LIMIT ?", (limit,))
        return tuple(_happening(row) for row in reversed(rows))
    rows = query(_HAPPENINGS + " WHERE position > ? ORDER BY position LIMIT ?", (after, limit))
    return tuple(_happening(row) for row in rows)


def collect_signals(connection: sqlite3.Connection, at: Instant, limit: int) -> int:
    """Remove events and actions that can be forgotten at `at`, at most `limit`; inside a transaction.

    With each goes what had waited for a person because of it, unless it still does.
    """
    rows = connection.execute(
        "SELECT position, source, id FROM signals WHERE until <= ? ORDER BY until LIMIT ?", (float(at), limit)
    ).fetchall()
    connection.executemany("DELETE FROM signals WHERE position = ?", [row[:1] for row in rows])
    connection.executemany(
        "DELETE FROM held_signals WHERE source = ? AND id = ? AND outcome <> ''", [row[1:] for row in rows]
    )
    return len(rows)


def hold(  # noqa: PLR0913, PLR0917 — each is a column
    connection: sqlite3.Connection,
    name: str,
    action: Action,
    subject: str,
    sessions: int,
    restrictions: Sequence[Restriction],
) -> bool:
    """Let an event wait for a person, inside a transaction.

    Args:
        connection: of that transaction.
        name: by which people name it.
        action: what it is.
        subject: whom it is about.
        sessions: live sessions that it would end.
        restrictions: what it would put in force.

    Returns:
        Whether it is new: False when something of that name waits, or has waited, and nothing is written.
    """
    text = json.dumps([to_document(each) for each in restrictions])
    done = connection.execute(
        f"INSERT INTO held_signals (name, {_ACTION}, subject, sessions, restrictions)"  # noqa: S608 — a constant
        " VALUES (?,?,?,?,?,?,?,?,?,?) ON CONFLICT (name) DO NOTHING",
        (name, *_action_values(action), subject, sessions, text),
    )
    return done.rowcount == 1


def held(query: Query) -> tuple[Held, ...]:
    """Return what waits for a person, the oldest first."""
    return tuple(_held(row) for row in query(_HELD + " ORDER BY received_at, name", ()))


def find_held(query: Query, name: str) -> Held | None:
    """Return what waits under a name; None where nothing does, or not any more."""
    rows = query(_HELD + " AND name = ?", (name,))
    return _held(rows[0]) if rows else None


def settle_held(connection: sqlite3.Connection, name: str, outcome: str) -> bool:
    """Write down what a person made of it, in a word, inside a transaction. Returns whether it waited until now."""
    done = connection.execute(
        "UPDATE held_signals SET outcome = ?, restrictions = '[]' WHERE name = ? AND outcome = ''", (outcome, name)
    )
    return done.rowcount == 1


def stream_heard(connection: sqlite3.Connection, name: str, at: Instant) -> None:
    """Write down that something valid came from a stream; an earlier instant than is known changes nothing."""
    connection.execute(
        "INSERT INTO streams (name, heard_at) VALUES (?1, ?2)"
        " ON CONFLICT (name) DO UPDATE SET heard_at = max(coalesce(heard_at, ?2), ?2)",
        (name, float(at)),
    )


def stream_status(connection: sqlite3.Connection, name: str, status: str, at: Instant) -> None:
    """Write down what a transmitter says about its stream; what it said earlier than what is known changes nothing."""
    connection.execute(
        "INSERT INTO streams (name, status, status_at) VALUES (?1, ?2, ?3)"
        " ON CONFLICT (name) DO UPDATE SET status = ?2, status_at = ?3 WHERE coalesce(status_at, ?3) <= ?3",
        (name, status, float(at)),
    )


def note_stream(connection: sqlite3.Connection, stream: StreamHeard) -> None:
    """Write down what another machine of ours says of a stream: what it heard of it, and what its transmitter said."""
    if stream.heard_at is not None:
        stream_heard(connection, stream.name, stream.heard_at)
    if stream.status_at is not None:
        stream_status(connection, stream.name, stream.status, stream.status_at)


def read_streams(query: Query) -> dict[str, StreamHeard]:
    """Return how each stream fares that was ever heard, by name."""
    rows = query("SELECT name, heard_at, status, status_at FROM streams", ())
    return {
        name: StreamHeard(name=name, heard_at=heard_at, status=status, status_at=status_at)
        for name, heard_at, status, status_at in rows
    }


def _action_values(action: Action) -> tuple[str | float, ...]:
    return (action.id, action.source, action.kind, float(action.received_at), action.by, action.reason)


def _action(id_: str, source: str, kind: str, received_at: float, by: str, reason: str) -> Action:  # noqa: PLR0913, PLR0917 — the columns in their order
    return Action(id=id_, source=source, kind=kind, received_at=Instant(received_at), by=by, reason=reason)


def _happening(row: tuple[Any, ...]) -> Happening:
    position, *action, outcome, detail, subject, number = row
    return Happening(
        position=position,
        action=_action(*action),
        outcome=outcome,
        detail=detail,
        subject=subject,
        number=number,
    )


def _held(row: tuple[Any, ...]) -> Held:
    name, *action, subject, sessions, text = row
    restrictions = tuple(from_document(each) for each in json.loads(text))
    return Held(id=name, action=_action(*action), subject=subject, sessions=sessions, restrictions=restrictions)
