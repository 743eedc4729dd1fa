"""One thread that looks at files at intervals, or when it is woken."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

_log = structlog.get_logger(__name__)


class Watcher:
    """Calls each of `looks` every `interval` seconds and after `wake`, on a thread of its own.

    A look that fails is logged and called again the next time: a watcher that died would leave old policy in force
    without anybody knowing.

    Args:
        interval: seconds; 0 looks only when woken.
        looks: what to call.
    """

    def __init__(self, interval: float, *looks: Callable[[], object]) -> None:
        self._interval = interval or None
        self._looks = looks
        self._woken = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def wake(self) -> None:
        """Look now. Safe in a signal handler's thread."""
        self._woken.set()

    def stop(self) -> None:
        """Look no more, and return when the thread has ended."""
        self._stopping = True
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while True:
            self._woken.wait(self._interval)
            self._woken.clear()
            if self._stopping:
                return
            for look in self._looks:
                try:
                    look()
                except Exception:  # noqa: BLE001 — one failed look must not end the watching
                    _log.exception("look failed")
