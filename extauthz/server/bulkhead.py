"""How many decisions may wait for something remote at once, so that the others never wait behind them."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Bulkhead:
    """Waiting slots, taken without blocking.

    The per-remote bound stands with each remote; this one is for all of them together and is smaller than the number of
    threads, so at least one thread always decides what needs nothing remote.

    Args:
        slots: how many may wait at once; at least 1.
    """

    def __init__(self, slots: int) -> None:
        self._free = threading.BoundedSemaphore(slots)

    @contextmanager
    def enter(self) -> Iterator[bool]:
        """Yield whether a slot was free; it is given back at the end of the block."""
        taken = self._free.acquire(blocking=False)
        try:
            yield taken
        finally:
            if taken:
                self._free.release()
