"""A clock that stands still until a test moves it."""

from __future__ import annotations

from extauthz.clock import Instant
from tests.simulators.tokens import NOW


class ManualClock:
    """The clocks of a machine, moved by hand.

    Attributes:
        instant: the wall-clock time, in seconds since the epoch.
        elapsed: the monotonic clock, in seconds.
        booted: seconds since the machine started.
    """

    def __init__(self, instant: float = NOW) -> None:
        self.instant = instant
        self.elapsed = 1000.0
        self.booted = 5000.0

    def now(self) -> Instant:
        """Return the wall-clock time."""
        return Instant(self.instant)

    def monotonic(self) -> float:
        """Return the monotonic clock."""
        return self.elapsed

    def boot(self) -> float:
        """Return the seconds since the machine started."""
        return self.booted

    def advance(self, seconds: float) -> None:
        """Let time pass on all of them."""
        self.instant += seconds
        self.elapsed += seconds
        self.booted += seconds
