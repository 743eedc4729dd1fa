"""A step that is repeated on a thread of its own, whatever happens."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

_log = structlog.get_logger(__name__)

_AFTER_A_FAULT: Final = 30.0
"""Seconds until the next step after one that failed in a way that nobody foresaw."""


class Background:
    """Repeats a step.

    Args:
        name: of the thread.
        step: does something and returns the seconds until the next time.
        stopping: set when there is to be no next time.
    """

    def __init__(self, name: str, step: Callable[[], float], stopping: threading.Event) -> None:
        self._step = step
        self._stopping = stopping
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait for the end; a step that takes longer is abandoned."""
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                pause = self._step()
            except Exception as error:  # noqa: BLE001 — without this thread a feed would fall silent for good
                _log.exception("a step of the receiver failed", thread=self._thread.name, error=type(error).__name__)
                pause = _AFTER_A_FAULT
            self._stopping.wait(pause)
