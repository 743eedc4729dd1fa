"""Threads for questions that wait for evidence, so that a loop which answers the others never does."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class EvidencePool:
    """A pool that says at once when it has enough.

    Args:
        threads: questions under way at once.
        backlog: questions that may wait for a thread.
    """

    def __init__(self, threads: int, backlog: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="evidence")
        self._room = threads + backlog
        self._changed = threading.Condition()
        self._unfinished = 0

    def submit(self, job: Callable[[], None]) -> bool:
        """Run `job` on a thread; return False, without waiting, when there is no room for it."""
        with self._changed:
            if self._unfinished >= self._room:
                return False
            self._unfinished += 1
        self._threads.submit(self._run, job)
        return True

    def drain(self, seconds: float) -> None:
        """Return when nothing is under way or waits, at the latest after `seconds`."""
        with self._changed:
            self._changed.wait_for(lambda: self._unfinished == 0, seconds)

    def shutdown(self) -> None:
        """Drop what waits, and return when what is under way has ended."""
        self._threads.shutdown(cancel_futures=True)

    def _run(self, job: Callable[[], None]) -> None:
        try:
            job()
        finally:
            with self._changed:
                self._unfinished -= 1
                self._changed.notify_all()
