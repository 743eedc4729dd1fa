"""How long to leave a transmitter alone that fails."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from extauthz.server.breaker import random_share

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LONGEST_PAUSE: Final = 60.0
"""Seconds between two attempts at most, so that a transmitter that is back is noticed soon."""

LONGEST_WISH: Final = 3600.0
"""Seconds that a transmitter may ask to be left alone."""

_FIRST_PAUSE: Final = 1.0
_SECONDS: Final = re.compile(r"[0-9]{1,9}")


class Backoff:
    """Pauses that double from failure to failure.

    Args:
        chance: returns a factor for a pause, between 0.5 and 1, so that many receivers do not come back at one moment.
    """

    def __init__(self, chance: Callable[[], float] = random_share) -> None:
        self._chance = chance
        self._failures = 0

    def failed(self) -> float:
        """Note a failure; return the seconds to wait."""
        pause = min(_FIRST_PAUSE * 2.0 ** min(self._failures, 16), LONGEST_PAUSE)
        self._failures += 1
        return pause * self._chance()

    def succeeded(self) -> bool:
        """Note that it went well; return whether it had failed before."""
        failed, self._failures = self._failures > 0, 0
        return failed


def retry_after(headers: Mapping[str, str]) -> float:
    """Return for how many seconds a remote asks to be left alone (RFC 9110 section 10.2.3); 0 if it does not say.

    Only seconds are understood: a date would have its clock matter.
    """
    text = headers.get("retry-after", "").strip()
    return min(float(text), LONGEST_WISH) if _SECONDS.fullmatch(text) is not None else 0.0
