"""The table of facts that requirements ask for: approvals, tickets, posture, tasks, risk, workflows.

Every one of them can let somebody do more, so a row counts only with a MAC that holds, and nothing is known otherwise.
Values are the frozen ones of `model/standing_facts.py`; in the file they are JSON. A fact that was taken back stays as
a row that is over, until `FORGET_AFTER` later, so that whoever follows the changes sees it go.
"""

from __future__ import annotations

import json
from math import inf
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from extauthz.model.state import STANDING, StateName
from extauthz.state.changes import FACT, next_number, note_forgotten, read_changed
from extauthz.state.factvalues import to_value
from extauthz.state.seal import count_sealed

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from extauthz.clock import Instant
    from extauthz.state.follower import Query
    from extauthz.state.seal import Alarm, Seal, Sealed

FACT_TABLES: Final = (
    """CREATE TABLE facts (
        kind TEXT NOT NULL, of TEXT NOT NULL, value TEXT NOT NULL, until REAL NOT NULL, source TEXT NOT NULL,
        changed INTEGER NOT NULL, mac BLOB, PRIMARY KEY (kind, of)
    ) STRICT, WITHOUT ROWID""",
    "CREATE UNIQUE INDEX facts_changed ON facts (changed)",
    "CREATE INDEX facts_until ON facts (until)",
)
"""`until` is infinite for what has no end."""

FACT_KINDS: Final = frozenset(STANDING) - {"session"}
FORGET_AFTER: Final = 600.0

_KIND: Final = "fact"
_GONE: Final = "null"
_PUT: Final = "INSERT OR REPLACE INTO facts (kind, of, value, until, source, changed, mac) VALUES (?,?,?,?,?,?,?)"
_CHANGED: Final = "SELECT kind || ' ' || of FROM facts WHERE changed > ? ORDER BY changed LIMIT ?"
_EXPIRED: Final = "SELECT kind, of, changed FROM facts WHERE until < ? ORDER BY until LIMIT ?"


class ChangedFacts(NamedTuple):
    """What has changed in the table.

    Attributes:
        number: the newest change that is contained.
        names: of what has changed; None when it cannot be said, or is too much to say.
    """

    number: int
    names: tuple[StateName, ...] | None


def put_fact(  # noqa: PLR0913, PLR0917 — each is a column
    connection: sqlite3.Connection,
    name: StateName,
    value: Mapping[str, Any],
    until: Instant | None,
    seal: Seal,
    source: str,
) -> int:
    """Put a fact in the place of what was known, inside a transaction; return the number of the change.

    Args:
        connection: of that transaction.
        name: of the fact.
        value: members of its value (`model/standing_facts.py`) as JSON has them: lists for sets, texts for words.
        until: first instant at which it is not known any more; None for no end.
        seal: of this file.
        source: who says so.

    Raises:
        ValueError: it is no fact of that kind.
    """
    to_value(name.kind, value)
    number = next_number(connection, FACT)
    text, end = json.dumps(value, sort_keys=True), inf if until is None else float(until)
    mac = seal.seal(_KIND, name.kind, name.of, text, end, source)
    connection.execute(_PUT, (name.kind, name.of, text, end, source, number, mac))
    return number


def remove_fact(connection: sqlite3.Connection, name: StateName, at: Instant, source: str) -> int:
    """Take a fact back at `at`, inside a transaction; return the number of the change."""
    number = next_number(connection, FACT)
    connection.execute(_PUT, (name.kind, name.of, _GONE, float(at), source, number, None))
    return number


def find_fact(query: Query, name: StateName, seal: Seal, at: Instant, *, on_alarm: Alarm) -> object | None:
    """Return the value of a fact; None when it is not known at `at`, or was not written by us."""
    rows = query("SELECT value, until, source, mac FROM facts WHERE kind = ? AND of = ?", (name.kind, name.of))
    if not rows:
        return None
    value, until, source, mac = rows[0]
    if value == _GONE or at >= until:
        return None
    if not seal.holds(mac, _KIND, name.kind, name.of, value, until, source):
        on_alarm(f"the fact {name.kind} {name.of!r} was not written by us")
        return None
    try:
        return to_value(name.kind, json.loads(value))
    except ValueError:
        on_alarm(f"the fact {name.kind} {name.of!r} says nothing that we can use")
        return None


def read_changed_facts(query: Query, since: int, limit: int) -> ChangedFacts:
    """Return the names of facts that have changed since change `since`."""
    changed = read_changed(query, FACT, _CHANGED, since, limit)
    if changed.names is None:
        return ChangedFacts(changed.number, None)
    return ChangedFacts(changed.number, tuple(StateName(*name.split(" ", 1)) for name in changed.names))


def count_sealed_facts(query: Query, seal: Seal) -> Sealed:
    """Return how many facts that are known are ours."""
    rows = query("SELECT kind, of, value, until, source, mac FROM facts WHERE value <> ?", (_GONE,))
    return count_sealed(seal.holds(mac, _KIND, *row) for *row, mac in rows)


def reseal_facts(connection: sqlite3.Connection, old: Seal, new: Seal) -> None:
    """Seal rows again that `old` holds for, inside a transaction; others stay as they are, and are not known."""
    rows = connection.execute("SELECT kind, of, value, until, source, mac FROM facts").fetchall()
    ours = [(new.seal(_KIND, *row), *row[:2]) for *row, mac in rows if old.holds(mac, _KIND, *row)]
    connection.executemany("UPDATE facts SET mac = ? WHERE kind = ? AND of = ?", ours)


def collect_facts(connection: sqlite3.Connection, at: Instant, limit: int) -> int:
    """Remove facts that were over `FORGET_AFTER` ago, at most `limit`; inside a transaction."""
    rows = connection.execute(_EXPIRED, (at - FORGET_AFTER, limit)).fetchall()
    connection.executemany("DELETE FROM facts WHERE kind = ? AND of = ?", [(kind, of) for kind, of, _ in rows])
    if rows:
        note_forgotten(connection, FACT, max(number for _, _, number in rows))
    return len(rows)
