"""A circuit breaker: a remote that fails is left alone for a while, and those who need it are told so at once.

*Closed*: calls are made. After some failures in a row it is *open*: none is. When the pause is over it is *half open*:
one call is made as a probe; others are not, until it is back. A good probe closes it, a bad one opens it for twice as
long, up to a limit. Pauses are jittered, so that many servers do not come back to a recovering remote in one moment.

A failure is that no usable answer came. "This token is not active" is an answer. An answer that cannot be used because
of what it is about (`AnswerError`) is neither: whoever sends a token that an issuer chokes on must not have it left
alone for everybody else.
"""

from __future__ import annotations

import threading
from enum import Enum
from typing import TYPE_CHECKING, Final

from extauthz.ids import new_random_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from extauthz.clock import Clock

FAILURES: Final = 5
"""Failures in a row that open it; fewer would let a single lost packet refuse others' tokens."""

FIRST_PAUSE: Final = 0.5
"""Seconds until the first probe."""

LONGEST_PAUSE: Final = 30.0
"""Seconds between probes at most, so that a recovered remote is noticed soon."""


def random_share() -> float:
    """Return a random number from 0.5 to 1."""
    return 0.5 + int.from_bytes(new_random_bytes(2), "big") / 131070


class State(Enum):
    """Whether calls are made."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Guards one remote. Use it from any thread.

    Args:
        clock: for pauses; only its monotonic side is read.
        jitter: returns a factor for a pause, between 0.5 and 1.
    """

    def __init__(self, clock: Clock, jitter: Callable[[], float] = random_share) -> None:
        self._clock = clock
        self._jitter = jitter
        self._lock = threading.Lock()
        self._failures = 0
        self._pause = FIRST_PAUSE
        self._open_until: float | None = None
        self._probing = False

    @property
    def state(self) -> State:
        """Return whether calls are made now."""
        with self._lock:
            if self._open_until is None:
                return State.CLOSED
            return State.OPEN if self._clock.monotonic() < self._open_until else State.HALF_OPEN

    def admit(self) -> bool:
        """Return whether a call may be made now; if so, `succeeded`, `failed` or `passed_over` must follow."""
        with self._lock:
            if self._open_until is None:
                return True
            if self._probing or self._clock.monotonic() < self._open_until:
                return False
            self._probing = True
            return True

    def succeeded(self) -> None:
        """Note that a usable answer came."""
        with self._lock:
            self._failures = 0
            self._pause = FIRST_PAUSE
            self._open_until = None
            self._probing = False

    def passed_over(self) -> None:
        """Note that an answer came which says nothing about the remote; another call may be the probe."""
        with self._lock:
            self._probing = False

    def failed(self) -> None:
        """Note that none came."""
        with self._lock:
            self._failures += 1
            probe, self._probing = self._probing, False
            if probe:
                self._pause = min(2 * self._pause, LONGEST_PAUSE)
            if probe or (self._open_until is None and self._failures >= FAILURES):
                self._open_until = self._clock.monotonic() + self._pause * self._jitter()
