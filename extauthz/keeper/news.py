"""What was heard and done, for those who wait for it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from extauthz.state import signals

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from extauthz.clock import Clock
    from extauthz.state.follower import Query
    from extauthz.state.signals import Happening


class News:
    """Tells those who wait. Use it from any thread.

    Args:
        reading: gives a view of the state.
        clock: only its monotonic side is read.
    """

    def __init__(self, reading: Callable[[], AbstractContextManager[Query]], clock: Clock) -> None:
        self._reading = reading
        self._clock = clock
        # Everything below is read and written under this lock only.
        self._lock = threading.Condition()
        self._told = 0
        self._stopping = False

    def tell(self) -> None:
        """Have everybody look who waits."""
        with self._lock:
            self._told += 1
            self._lock.notify_all()

    def stop(self) -> None:
        """Let nobody wait any more."""
        with self._lock:
            self._stopping = True
            self._lock.notify_all()

    def tail(self, after: int | None, limit: int, wait: float) -> tuple[Happening, ...]:
        """Return what came after a position, the oldest first; the newest where that is None.

        Args:
            after: a position; None for none.
            limit: how many at most.
            wait: seconds to wait where there is nothing yet.

        Raises:
            StateError: it cannot be read.
        """
        until = self._clock.monotonic() + wait
        while True:
            told = self._told
            with self._reading() as query:
                found = signals.tail(query, after, limit)
            if found or not self._wait(told, until - self._clock.monotonic()):
                return found

    def _wait(self, told: int, seconds: float) -> bool:
        """Wait until more was told than `told`; False when it is time to give up."""
        if seconds <= 0:
            return False
        with self._lock:
            told_more = self._lock.wait_for(lambda: self._told != told or self._stopping, seconds)
            return told_more and not self._stopping
