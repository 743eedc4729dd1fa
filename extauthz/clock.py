"""The only file that reads the time. Everything else takes an instant as an argument."""

from __future__ import annotations

import time
from typing import NewType, Protocol

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
    """The machine's clocks."""

    def now(self) -> Instant:
        """Return the wall-clock time."""
        return Instant(time.time())

    def monotonic(self) -> float:
        """Return seconds of the monotonic clock."""
        return time.monotonic()

    def boot(self) -> float:
        """Return seconds since the machine started."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)
