"""Writing to the state: all or nothing."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extauthz.state.follower import Query, Rows


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write all of it or nothing. The lock for writing is taken first, so that nothing read inside can be outdated."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            with suppress(sqlite3.Error):  # What went wrong is raised; nothing is written either way.
                connection.execute("ROLLBACK")


def to_query(connection: sqlite3.Connection) -> Query:
    """Return what reads through a connection; every statement is read to its end."""

    def query(statement: str, parameters: tuple[object, ...]) -> Rows:
        return connection.execute(statement, parameters).fetchall()

    return query
