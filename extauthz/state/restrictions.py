"""The table of restrictions: who has been revoked, quarantined, disabled, believed less.

1. A row is what one source says about one effect on one target (`Restriction.identity`). What is said again or later is
   merged into it, so that any order and any repetition of the same words give the same table: the latest word holds
   (`Restriction.succeeds`), of equal ones the greater text, and how long it is kept only ever grows, for what was
   in force and for what was lifted apart. So nobody ends a restriction by repeating it with a shorter life.
2. A row in force needs no MAC. One that is lifted counts as lifted only while its MAC holds; else as in force.
3. Lifted rows stay until they can be forgotten, so that an older word that arrives late does not bring them back.
4. Decisions look rows up in the file by their targets. Nothing is held in memory that grows with the table.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf, isfinite, nextafter
from typing import TYPE_CHECKING, Final, NamedTuple

from extauthz.clock import Instant
from extauthz.state.changes import RESTRICTION, ChangedNames, newest_number, next_number, note_forgotten, read_changed
from extauthz.state.restriction_rows import (
    COLUMNS,
    SELECT,
    Numbered,
    also_text,
    read_row,
    seal_restriction,
    to_row,
    to_until,
    unheard,
)
from extauthz.state.seal import count_sealed

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from extauthz.model.restriction import Mark, Restriction
    from extauthz.state.follower import Query
    from extauthz.state.seal import Alarm, Seal, Sealed

RESTRICTION_TABLES: Final = (
    """CREATE TABLE restrictions (
        changed INTEGER PRIMARY KEY, name TEXT NOT NULL, effect TEXT NOT NULL, source TEXT NOT NULL, also TEXT NOT NULL,
        event_at REAL NOT NULL, in_force INTEGER NOT NULL, force_until REAL NOT NULL, lift_until REAL NOT NULL,
        signal TEXT NOT NULL, by TEXT NOT NULL, reason TEXT NOT NULL, own INTEGER NOT NULL, mac BLOB,
        until REAL GENERATED ALWAYS AS (iif(in_force = 0, lift_until, force_until)) VIRTUAL
    ) STRICT""",
    "CREATE UNIQUE INDEX restrictions_identity ON restrictions (name, effect, source, also)",
    "CREATE INDEX restrictions_until ON restrictions (until)",
)
"""`until` is infinite as long as there is no end. The number of the change is the key of the row: a row that is changed
moves to the end, so reading what is new is reading from there on."""

FORGET_AFTER: Final = 600.0
"""Seconds that rows stay when they could be forgotten: clocks of other machines may be behind, and ours may go back."""

_FIND_ROW: Final = SELECT + " WHERE name = ? AND effect = ? AND source = ? AND also = ?"
_INSERT: Final = f"INSERT INTO restrictions ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"  # noqa: S608 — likewise
_CHANGED: Final = "SELECT name FROM restrictions WHERE changed > ? ORDER BY changed LIMIT ?"
_NEWEST: Final = 2**62
_EXPIRED: Final = "SELECT changed FROM restrictions WHERE until < ? ORDER BY until LIMIT ?"


class Applied(NamedTuple):
    """What has become of restrictions.

    Attributes:
        number: the newest change of the table; whoever has seen it decides by all of them.
        changed: the rows that are another than before, as they are now.
    """

    number: int
    changed: tuple[Restriction, ...]


def apply_restrictions(
    connection: sqlite3.Connection, wanted: Sequence[Restriction], seal: Seal, *, own: bool
) -> Applied:
    """Merge restrictions into the table, inside a transaction.

    Args:
        connection: of the caller's transaction.
        wanted: in any order; also what is known already.
        seal: of this file.
        own: whether this machine heard it first; once it did, the row stays its own.

    Raises:
        ValueError: an instant is not finite, or something lifted has no end.
    """
    changed = [row for row in (_merge(connection, each, seal, own=own) for each in wanted) if row is not None]
    return Applied(newest_number(connection, RESTRICTION), tuple(changed))


def lift(  # noqa: PLR0913 — each is a field of the word
    row: Restriction, at: Instant, until: Instant, *, signal: str = "", by: str = "", reason: str = ""
) -> Restriction:
    """Return the word that lifts what `row` says: at `at`, or just after the event where that is later."""
    event_at = Instant(max(at, nextafter(row.event_at, inf)))
    return replace(row, in_force=False, event_at=event_at, until=until, signal=signal, by=by, reason=reason)


def put_by_hand(query: Query, wanted: Restriction, seal: Seal) -> Restriction:
    """Return the word that puts in force what a person wants now, also where it was lifted by a clock ahead of ours.

    The newest word of a person is the one that was given last, whatever the clocks say: else a clock that was set
    back, or another machine's, would make it an older one that changes nothing.
    """
    key = (wanted.mark.name.of, wanted.effect.value, wanted.source, also_text(wanted))
    for row in query(_FIND_ROW, key):
        known = read_row(row, seal, unheard).restriction
        if not known.in_force and known.event_at >= wanted.event_at:
            return replace(wanted, event_at=Instant(nextafter(known.event_at, inf)))
    return wanted


def find_restrictions(
    query: Query, marks: Sequence[Mark], seal: Seal, at: Instant, *, on_alarm: Alarm
) -> tuple[Restriction, ...]:
    """Return what is in force at `at` on one of `marks`; `also` is for the caller to compare.

    A row that says nothing that we can use counts as `QUARANTINED` for its target.
    """
    names = [mark.name.of for mark in marks]
    statement = f"{SELECT} WHERE name IN ({','.join('?' * len(names))})"
    rows = [read_row(row, seal, on_alarm) for row in query(statement, tuple(names))]
    return tuple([row.restriction for row in rows if row.restriction.in_force and _is_kept(row.restriction, at)])


def read_changed_marks(query: Query, since: int, limit: int) -> ChangedNames:
    """Return the names (`Mark.name.of`) of targets about which something has changed since change `since`."""
    return read_changed(query, RESTRICTION, _CHANGED, since, limit)


def list_restrictions(  # noqa: PLR0913 — each narrows the list
    query: Query,
    seal: Seal,
    *,
    mark: Mark | None = None,
    source: str | None = None,
    at: Instant | None = None,
    limit: int,
    in_force_only: bool = True,
) -> tuple[Restriction, ...]:
    """Return what the table says, the newest change first.

    Args:
        query: reads the state.
        seal: of this file.
        mark: only on this target.
        source: only of this source.
        at: leave out what was over then; None leaves out nothing.
        limit: how many at most.
        in_force_only: leave out what is lifted.
    """
    found: list[Restriction] = []
    target = "name = ?1 AND" if mark is not None else ""
    statement = f"{SELECT} WHERE {target} changed < ?2 AND (?3 IS NULL OR source = ?3) ORDER BY changed DESC LIMIT ?4"
    before = _NEWEST
    while len(found) < limit:
        rows = query(statement, (mark.name.of if mark is not None else None, before, source, limit))
        read = [read_row(row, seal, unheard).restriction for row in rows]
        found += [each for each in read if (each.in_force or not in_force_only) and (at is None or _is_kept(each, at))]
        if len(rows) < limit:
            break
        before = rows[-1][0]
    return tuple(found[:limit])


def read_since(query: Query, since: int, limit: int, seal: Seal) -> tuple[Numbered, ...]:
    """Return rows that changed after change `since`, the oldest change first; for sending them to other machines."""
    rows = query(SELECT + " WHERE changed > ? ORDER BY changed LIMIT ?", (since, limit))
    return tuple(read_row(row, seal, unheard) for row in rows)


def collect(connection: sqlite3.Connection, at: Instant, limit: int) -> int:
    """Remove rows that could be forgotten `FORGET_AFTER` ago, at most `limit`; inside a transaction.

    Do not call it with a clock that may just have jumped forward: what is forgotten does not come back.
    """
    rows = [row[0] for row in connection.execute(_EXPIRED, (at - FORGET_AFTER, limit))]
    connection.executemany("DELETE FROM restrictions WHERE changed = ?", [(row,) for row in rows])
    if rows:
        note_forgotten(connection, RESTRICTION, max(rows))
    return len(rows)


def count_sealed_lifts(query: Query, seal: Seal) -> Sealed:
    """Return how many of the lifted rows are ours; the others count as in force."""
    rows = query(SELECT + " WHERE in_force = 0", ())
    return count_sealed(read_row(row, seal, unheard).sealed for row in rows)


def reseal_restrictions(connection: sqlite3.Connection, old: Seal, new: Seal) -> None:
    """Seal lifted rows again that `old` holds for, inside a transaction; others stay as they are, and in force."""
    rows = connection.execute(SELECT + " WHERE in_force = 0").fetchall()
    lifted = [read for read in (read_row(row, old, unheard) for row in rows) if read.sealed]
    connection.executemany(
        "UPDATE restrictions SET mac = ? WHERE changed = ?",
        [(seal_restriction(new, read.restriction), read.number) for read in lifted],
    )


def count_restrictions(query: Query) -> int:
    """Return how many rows there are, lifted ones included."""
    ((rows,),) = query("SELECT count(*) FROM restrictions", ())
    return int(rows)


def count_in_force(query: Query, at: Instant) -> dict[tuple[str, str], int]:
    """Return how many are in force at `at` by form of target and effect; reads all of the table."""
    form = "substr(name, 1, instr(name, ' ') - 1)"
    rows = query(
        f"SELECT {form}, effect, count(*) FROM restrictions WHERE in_force = 1 AND until > ? GROUP BY 1, 2",  # noqa: S608 — a constant of this function
        (float(at),),
    )
    return {(str(kind), str(effect)): int(count) for kind, effect, count in rows}


def _merge(connection: sqlite3.Connection, wanted: Restriction, seal: Seal, *, own: bool) -> Restriction | None:
    """Return the row as it is now where it is another than before."""
    stands = replace(wanted, also=tuple(sorted(wanted.also, key=lambda mark: mark.name.of)))
    key = (stands.mark.name.of, stands.effect.value, stands.source, also_text(stands))
    force_until, lift_until = _lives(stands)
    row = connection.execute(_FIND_ROW, key).fetchone()
    if row is not None:
        known = read_row(row, seal, unheard)
        own = own or known.own
        force_until = max(force_until, row[7] if known.sealed else inf)
        lift_until = max(lift_until, row[8])
        stands = stands if _is_later(stands, known.restriction) else known.restriction
    stands = replace(stands, until=to_until(force_until if stands.in_force else lift_until))
    values = to_row(stands, force_until, lift_until, seal, own=own)
    if row is not None:
        if values == row[1:]:
            return None
        connection.execute("DELETE FROM restrictions WHERE changed = ?", (row[0],))
    connection.execute(_INSERT, (next_number(connection, RESTRICTION), *values))
    return stands


def _lives(wanted: Restriction) -> tuple[float, float]:
    """Return how long a word is kept: as one in force, and as one that is lifted."""
    until = inf if wanted.until is None else float(wanted.until)
    endless = wanted.until is None and wanted.in_force
    if not isfinite(wanted.event_at) or not (isfinite(until) or endless):
        message = "a restriction has an instant that is not finite, or is lifted without an end"
        raise ValueError(message)
    return (until, -inf) if wanted.in_force else (-inf, until)


def _is_later(wanted: Restriction, known: Restriction) -> bool:
    if wanted.succeeds(known) or known.succeeds(wanted):
        return wanted.succeeds(known)
    return (wanted.signal, wanted.by, wanted.reason) > (known.signal, known.by, known.reason)


def _is_kept(restriction: Restriction, at: Instant) -> bool:
    return restriction.until is None or at < restriction.until
