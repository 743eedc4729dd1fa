"""Says in the state file that it is up to date, in a process that nobody else keeps up."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from extauthz.state.beat import write_beat
from extauthz.state.held import HeldConnection
from extauthz.state.store import to_state_error
from extauthz.state.transaction import transaction

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.clock import Clock

_LOCK_SECONDS = 1.0


class Heartbeat:
    """Writes beats; for one thread at a time.

    Args:
        path: of the state file.
        clock: both of its clocks that others can compare are written down.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._held = HeldConnection(path, wait=_LOCK_SECONDS)

    def beat(self) -> None:
        """Say it.

        Raises:
            StateError: it cannot be written; the next beat opens the file anew.
        """
        connection, _ = self._held.get()
        try:
            with transaction(connection):
                write_beat(connection, self._clock.now(), self._clock.boot())
        except sqlite3.Error as error:
            self._held.drop()
            raise to_state_error(self._path, error) from error

    def close(self) -> None:
        """Let go of the file."""
        self._held.drop()
