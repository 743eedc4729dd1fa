"""Noticing at once that the state was changed, by whomever.

`PRAGMA data_version` changes when another connection has committed, in this process or another. It is worth asking only
on a connection that nothing else uses: a half-read cursor or an open transaction would freeze it, and what is written
through the same connection does not count. Here every statement is read to its end before anything else is asked.
"""

from __future__ import annotations

import sqlite3
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from extauthz.errors import StateError
from extauthz.state.held import HeldConnection
from extauthz.state.store import to_state_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    Rows = Sequence[tuple[Any, ...]]
    Query = Callable[[str, tuple[object, ...]], Rows]
    """Runs one statement that only reads, and returns all of its rows."""

_LOCK_SECONDS: Final = 0.02
"""Readers wait for nobody in WAL mode, except for the moments in which another process recovers after a crash."""


class Seen(Enum):
    """What became of the file since the last look."""

    SAME = "same"
    CHANGED = "changed"
    """Somebody has committed something."""
    REPLACED = "replaced"
    """It is another file, or it could not be read in between: nothing that was read before counts any more."""


class Follower:
    """Follows one state file; for one thread at a time.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held = HeldConnection(path, wait=_LOCK_SECONDS)
        self._connection: sqlite3.Connection | None = None
        self._version: object = None

    def look(self) -> Seen:
        """Return what became of the file. What is read afterwards is at least as new.

        Raises:
            StateError: it cannot be read; the look after that returns `REPLACED`.
        """
        self._connection, fresh = self._held.get()
        ((version,),) = self.read("PRAGMA data_version", ())
        same = version == self._version
        self._version = version
        if fresh:
            return Seen.REPLACED
        return Seen.SAME if same else Seen.CHANGED

    def read(self, statement: str, parameters: tuple[object, ...]) -> Rows:
        """Return all rows of a statement that only reads, from the file that was looked at last.

        Raises:
            StateError: they cannot be read.
        """
        if self._connection is None:
            message = f"{self._path}: it was not looked at since it could not be read"
            raise StateError(message)
        try:
            return self._connection.execute(statement, parameters).fetchall()
        except sqlite3.Error as error:
            self.close()
            raise to_state_error(self._path, error) from error

    def close(self) -> None:
        """Let go of the file."""
        self._connection = None
        self._held.drop()
