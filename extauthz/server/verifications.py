"""Verification events that we have asked for (SSF 1.0, stream verification): the state that each must bring back."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

from extauthz.ids import new_random_bytes

_STATE_BYTES: Final = 18
_REMEMBERED: Final = 8
"""States of one stream that may still come back; a transmitter that is slow is asked again meanwhile."""


class Verifications:
    """The states that were sent, in memory: after a restart it is asked anew. Use it from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent: dict[str, deque[str]] = {}

    def ask(self, stream: str) -> str:
        """Return a new state to ask the stream's transmitter with."""
        state = new_random_bytes(_STATE_BYTES).hex()
        with self._lock:
            self._sent.setdefault(stream, deque(maxlen=_REMEMBERED)).append(state)
        return state

    def knows(self, stream: str, state: str | None) -> bool:
        """Return whether a verification event that brings `state` is in order; where not, the error is `invalid_state`.

        Without a state it is, because a transmitter may send one unasked. With one that we sent it is, also when it
        comes again.
        """
        if state is None:
            return True
        with self._lock:
            return state in self._sent.get(stream, ())
