"""A clock that stands still until a test moves it."""

from __future__ import annotations

from extauthz.clock import Instant
from tests.simulators.tokens import NOW


class ManualClock:
    """Both clocks of a machine, moved by hand.

    Attributes:
        instant: the wall-clock time, in seconds since the epoch.
        elapsed: the monotonic clock, in seconds.
    """

    def __init__(self, instant: float = NOW) -> None:
        self.instant = instant
        self.elapsed = 1000.0

    def now(self) -> Instant:
        """Return the wall-clock time."""
        return Instant(self.instant)

    def monotonic(self) -> float:
        """Return the monotonic clock."""
        return self.elapsed

    def advance(self, seconds: float) -> None:
        """Let time pass on both."""
        self.instant += seconds
        self.elapsed += seconds
