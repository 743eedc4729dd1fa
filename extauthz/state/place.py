"""Notes of who carries changes to other machines: how far that has come. They are about this file and no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

    from extauthz.state.follower import Query


def write_place(connection: sqlite3.Connection, name: str, value: bytes) -> None:
    """Keep a note in the place of what it said before, inside a transaction."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"place {name}", value))


def read_place(query: Query, name: str) -> bytes | None:
    """Return a note; None when there is none."""
    rows = query("SELECT value FROM meta WHERE name = ?", (f"place {name}",))
    return bytes(rows[0][0]) if rows and isinstance(rows[0][0], bytes) else None
