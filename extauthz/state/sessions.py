"""The live table of sessions: who uses which, since when, from where, and how much.

It is what the sizes of revocations are counted in before they take effect, and what requirements about sessions look
at. It is bounded: beyond its capacity the sessions are left that were not seen for longest. It narrows or informs; a
session that is not in it is simply not known.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from extauthz.clock import Instant
from extauthz.model.restriction import Form, Mark
from extauthz.model.standing_facts import SessionUse

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from extauthz.state.follower import Query

SESSION_TABLES: Final = (
    """CREATE TABLE sessions (
        issuer TEXT NOT NULL, session TEXT NOT NULL, subject TEXT NOT NULL, client TEXT NOT NULL, tenant TEXT NOT NULL,
        workload TEXT NOT NULL, device TEXT NOT NULL, first_seen REAL NOT NULL, last_seen REAL NOT NULL,
        sources TEXT NOT NULL, decisions INTEGER NOT NULL, longest_pause REAL NOT NULL, UNIQUE (issuer, session)
    ) STRICT""",
    "CREATE INDEX sessions_seen ON sessions (last_seen)",
    "CREATE INDEX sessions_subject ON sessions (subject, issuer, last_seen)",
    "CREATE INDEX sessions_client ON sessions (client, issuer, last_seen)",
    "CREATE INDEX sessions_tenant ON sessions (tenant, issuer, last_seen)",
    "CREATE INDEX sessions_workload ON sessions (workload, last_seen) WHERE workload <> ''",
    "CREATE INDEX sessions_device ON sessions (device, issuer, last_seen) WHERE device <> ''",
)

MAX_SOURCES: Final = 16
"""Addresses that are kept of one session, the newest."""

IDLE_SECONDS: Final = 12 * 3600.0
"""A session that was not seen for longer is not live: nobody is counted by it."""

_COLUMNS: Final = (
    "issuer, session, subject, client, tenant, workload, device, first_seen, last_seen, sources, decisions,"
    " longest_pause"
)
_SELECT: Final = f"SELECT {_COLUMNS} FROM sessions"  # noqa: S608 — constants of this module
_FIND: Final = _SELECT + " WHERE issuer = ? AND session = ?"
_PUT: Final = f"INSERT OR REPLACE INTO sessions ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)"  # noqa: S608 — likewise
_LEAVE: Final = "DELETE FROM sessions WHERE rowid IN (SELECT rowid FROM sessions ORDER BY last_seen LIMIT ?)"
_COLUMN_OF: Final = {
    Form.SESSION: "session",
    Form.TOKEN: "session",
    Form.SUBJECT: "subject",
    Form.CLIENT: "client",
    Form.TENANT: "tenant",
    Form.DEVICE: "device",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSeen:
    """Some use of a session. Texts are empty where the credential says nothing.

    Attributes:
        issuer: of the credential.
        session: its name there; for credentials without one whatever stands for it.
        subject: whose.
        client: OAuth client.
        tenant: of the caller.
        workload: the stable workload key.
        device: of the caller.
        source: address that it was used from; empty for unknown.
        at: when, the last time.
        decisions: how many there were since the last word about it.
    """

    issuer: str
    session: str
    subject: str = ""
    client: str = ""
    tenant: str = ""
    workload: str = ""
    device: str = ""
    source: str = ""
    at: Instant
    decisions: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSession:
    """A row of the table.

    Attributes:
        issuer: of the credential.
        session: its name there.
        subject: whose.
        client: OAuth client.
        tenant: of the caller.
        workload: the stable workload key.
        device: of the caller.
        first_seen: when it was used first.
        last_seen: when it was used last.
        sources: the newest addresses that it was used from, and when last, the newest first.
        decisions: how many there were.
        longest_pause: the longest time between two uses so far, in seconds.
    """

    issuer: str
    session: str
    subject: str
    client: str
    tenant: str
    workload: str
    device: str
    first_seen: Instant
    last_seen: Instant
    sources: tuple[tuple[str, Instant], ...]
    decisions: int
    longest_pause: float = 0.0


def note_sessions(connection: sqlite3.Connection, seen: Sequence[SessionSeen], capacity: int) -> None:
    """Add uses to the table, inside a transaction.

    Args:
        connection: of that transaction.
        seen: in any order; uses of one session are added up.
        capacity: rows that may be left in the table.
    """
    for use in seen:
        row = connection.execute(_FIND, (use.issuer, use.session)).fetchone()
        connection.execute(_PUT, _merged(use, _live(row) if row is not None else None))
    (rows,) = connection.execute("SELECT count(*) FROM sessions").fetchone()
    if rows > capacity:
        connection.execute(_LEAVE, (rows - capacity,))


def find_session(query: Query, issuer: str, session: str) -> SessionUse | None:
    """Return how a session is used, as requirements look at it; None when it is not known."""
    rows = query(_FIND, (issuer, session))
    if not rows:
        return None
    live = _live(rows[0])
    sources = frozenset(source for source, _ in live.sources)
    return SessionUse(
        started_at=live.first_seen, seen_at=live.last_seen, sources=sources, longest_pause=live.longest_pause
    )


def count_sessions(query: Query, marks: Sequence[Mark], also: Sequence[Mark], at: Instant) -> int:
    """Return how many live sessions are about one of `marks`, and about each of `also`.

    A mark of `also` is met where the session says nothing about it, as with restrictions. Certificates are not in the
    table, and so count nothing.
    """
    targets = [_condition(mark) for mark in marks]
    if not targets:
        return 0
    limits = [_condition(mark, silent_is_met=True) for mark in also]
    where = [" OR ".join(condition for condition, _ in targets), *(condition for condition, _ in limits)]
    parameters = [value for _, values in (*targets, *limits) for value in values]
    statement = "SELECT count(*) FROM sessions WHERE last_seen > ? AND (" + ") AND (".join(where) + ")"  # noqa: S608 — column names of this module, values are parameters
    ((count,),) = query(statement, (at - IDLE_SECONDS, *parameters))
    return int(count)


def list_sessions(
    query: Query, *, issuer: str = "", subject: str = "", tenant: str = "", limit: int
) -> tuple[LiveSession, ...]:
    """Return sessions, the one that was used last first; each text narrows the list unless it is empty."""
    wanted = [(name, text) for name, text in (("issuer", issuer), ("subject", subject), ("tenant", tenant)) if text]
    where = " WHERE " + " AND ".join(f"{name} = ?" for name, _ in wanted) if wanted else ""
    rows = query(f"{_SELECT}{where} ORDER BY last_seen DESC LIMIT ?", (*(text for _, text in wanted), limit))
    return tuple(_live(row) for row in rows)


def total_sessions(query: Query) -> int:
    """Return how many sessions the table holds."""
    ((rows,),) = query("SELECT count(*) FROM sessions", ())
    return int(rows)


def _condition(mark: Mark, *, silent_is_met: bool = False) -> tuple[str, tuple[str, ...]]:
    """Return what holds of the sessions that a mark is about, and its parameters."""
    column = _COLUMN_OF.get(mark.form)
    if column is not None:
        held = f"issuer = ? AND {column} = ?"
        return (f"{held} OR {column} = ''" if silent_is_met else held), (mark.issuer, mark.value)
    match mark.form:
        case Form.WORKLOAD:
            return ("workload = ? OR workload = ''" if silent_is_met else "workload = ?"), (mark.value,)
        case Form.ISSUER:
            return "issuer = ?", (mark.issuer,)
        case Form.EVERYBODY:
            return "1", ()
        case _:
            return ("1" if silent_is_met else "0"), ()


def _merged(use: SessionSeen, before: LiveSession | None) -> tuple[str | float | int, ...]:
    sources = dict(before.sources) if before is not None else {}
    if use.source:
        sources[use.source] = max(use.at, sources.get(use.source, use.at))
    newest = sorted(sources.items(), key=lambda item: (-item[1], item[0]))[:MAX_SOURCES]
    return (
        use.issuer,
        use.session,
        use.subject,
        use.client,
        use.tenant,
        use.workload,
        use.device,
        float(min(use.at, before.first_seen) if before is not None else use.at),
        float(max(use.at, before.last_seen) if before is not None else use.at),
        json.dumps(newest),
        use.decisions + (before.decisions if before is not None else 0),
        max(before.longest_pause, use.at - before.last_seen) if before is not None else 0.0,
    )


def _live(row: tuple[Any, ...]) -> LiveSession:
    *texts, first_seen, last_seen, sources, decisions, longest_pause = row
    issuer, session, subject, client, tenant, workload, device = texts
    return LiveSession(
        issuer=issuer,
        session=session,
        subject=subject,
        client=client,
        tenant=tenant,
        workload=workload,
        device=device,
        first_seen=Instant(first_seen),
        last_seen=Instant(last_seen),
        sources=tuple((source, Instant(at)) for source, at in json.loads(sources)),
        decisions=decisions,
        longest_pause=longest_pause,
    )
