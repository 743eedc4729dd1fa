"""The heart-beat of whoever keeps the state up: who reads the state knows by it how old what it says may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from extauthz.clock import Instant

if TYPE_CHECKING:
    import sqlite3

    from extauthz.state.follower import Query

BEAT_TABLES: Final = (
    "CREATE TABLE beat (one INTEGER PRIMARY KEY CHECK (one = 1), wall REAL NOT NULL, boot REAL NOT NULL) STRICT",
)


class Beat(NamedTuple):
    """When the state was up to date.

    Attributes:
        wall: by the wall clock.
        boot: in seconds since the machine started, which every process on it counts alike.
    """

    wall: Instant
    boot: float


def write_beat(connection: sqlite3.Connection, wall: Instant, boot: float) -> None:
    """Say that the state is up to date now."""
    connection.execute("INSERT OR REPLACE INTO beat VALUES (1, ?, ?)", (float(wall), float(boot)))


def read_beat(query: Query) -> Beat | None:
    """Return the newest beat; None when there was none."""
    rows = query("SELECT wall, boot FROM beat", ())
    return Beat(Instant(rows[0][0]), rows[0][1]) if rows else None
