"""The one connection by which restrictions, facts and whatever else is narrowed or widened is written."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from extauthz.state.held import HeldConnection
from extauthz.state.seal import Seal, open_seal
from extauthz.state.store import to_state_error
from extauthz.state.transaction import to_query, transaction

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from extauthz.state.follower import Query

WAIT_SECONDS: Final = 5.0
"""How long a transaction waits for those of other processes, which spend and note uses."""


class Writing(NamedTuple):
    """What a transaction works with.

    Attributes:
        connection: inside the transaction.
        seal: of the file.
        query: reads through the connection, so what was just written is there.
    """

    connection: sqlite3.Connection
    seal: Seal
    query: Query


class StateWriter:
    """Writes a state file that is there. For any thread: transactions wait for one another.

    Args:
        path: of the file.
        key: that records are sealed with.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self._path = path
        self._key = key
        self._held = HeldConnection(path, wait=WAIT_SECONDS)
        self._seal: Seal | None = None
        self._lock = threading.Lock()

    @contextmanager
    def transaction(self) -> Iterator[Writing]:
        """Yield a transaction: all of it is durable when the block ends, or nothing of it when that raises.

        Raises:
            StateError: the file cannot be used; the next transaction opens it anew.
        """
        with self._lock, self._used() as connection, transaction(connection):
            query = to_query(connection)
            if self._seal is None:
                self._seal = open_seal(query, self._key)
            yield Writing(connection, self._seal, query)

    def close(self) -> None:
        """Let go of the file, when nobody writes any more."""
        with self._lock:
            self._held.drop()
            self._seal = None

    @contextmanager
    def _used(self) -> Iterator[sqlite3.Connection]:
        connection, fresh = self._held.get()
        if fresh:
            self._seal = None
        try:
            yield connection
        except sqlite3.Error as error:
            self._held.drop()
            raise to_state_error(self._path, error) from error
