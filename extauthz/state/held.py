"""A connection that is kept, and that notices when the file it leads to is no longer the one at its path.

A backup that was put in the file's place is another file under the same name; a connection would go on with the old
one, unlinked, in which nothing ever changes. So device and inode are compared before each use. They are read before
the file is opened: when it is replaced in between, the next look sees that.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

from extauthz.state.store import connect, to_state_error, verify_current

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path


class HeldConnection:
    """One connection at a time; for one thread at a time.

    Args:
        path: of the state file.
        wait: seconds to wait for a lock, until the holder changes that.
    """

    def __init__(self, path: Path, *, wait: float) -> None:
        self._path = path
        self._name = str(path)
        self._wait = wait
        self._file: tuple[int, int] | None = None
        self._connection: sqlite3.Connection | None = None

    def get(self) -> tuple[sqlite3.Connection, bool]:
        """Return the connection, and whether it is another one than the last time.

        Raises:
            StateError: there is no file, or it cannot be used.
        """
        path = self._path
        try:
            seen = os.stat(self._name)  # noqa: PTH116 — looked at before every use, and half as expensive so
        except OSError as error:
            raise to_state_error(path, error) from error
        file = (seen.st_dev, seen.st_ino)
        if self._connection is not None and file == self._file:
            return self._connection, False
        self.drop()
        connection = connect(path, wait=self._wait)
        with ExitStack() as undo:
            undo.callback(connection.close)
            verify_current(path, connection)
            undo.pop_all()
        self._connection, self._file = connection, file
        return connection, True

    def drop(self) -> None:
        """Close the connection: after an error, since nothing is known about it, and at the end."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
