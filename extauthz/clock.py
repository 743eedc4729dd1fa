"""The only file that reads the time. Everything else takes an instant as an argument."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NewType, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable

Instant = NewType("Instant", float)
"""Seconds since 1970-01-01T00:00:00Z, with fractions (a JWT NumericDate, RFC 7519 section 2)."""


class Clock(Protocol):
    """Where instants and durations come from."""

    def now(self) -> Instant:
        """Return the wall-clock time."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back, for measuring how long something took."""
        ...

    def boot(self) -> float:
        """Return seconds since the machine started, the same for all of its processes; sleep counts."""
        ...


class SystemClock:
    """The machine's clocks.

    The two that each decision reads several times are the standard library's functions themselves, under our names.
    """

    now = staticmethod(cast("Callable[[], Instant]", time.time))
    monotonic = staticmethod(time.monotonic)

    def boot(self) -> float:
        """Return seconds since the machine started."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)
