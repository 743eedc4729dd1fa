"""Verification events that we have asked for (SSF 1.0, stream verification): the state that each must bring back.

A state is known again by what is in it, so nothing is remembered: the event may come back to another machine that has
our key, or after a restart. It is the time at which we asked, something random, and a MAC over both and the stream.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from extauthz.ids import new_random_bytes
from extauthz.state.seal import Seal

if TYPE_CHECKING:
    from extauthz.clock import Clock

ACCEPTED_SECONDS: Final = 600.0
"""How old a state may be, and how far ahead of us: longer than a transmitter takes that delivers late or once more and
than clocks of machines differ, and short enough that one from an old log proves nothing about the stream of today."""

_PURPOSE: Final = b"verification states"
_TIME_DIGITS: Final = 10
_RANDOM_BYTES: Final = 12
_TOLD: Final = _TIME_DIGITS + 2 * _RANDOM_BYTES
_MAC_BYTES: Final = 16
"""Of the MAC: 128 bits are beyond guessing, and a state stays short."""


class Verifications:
    """Makes states and knows them again. Use it from any thread.

    Args:
        key: of the state file, which machines that share a Redis share.
        clock: for the age of a state.
    """

    def __init__(self, key: bytes, clock: Clock) -> None:
        self._seal = Seal(key, _PURPOSE)
        self._clock = clock

    def ask(self, stream: str) -> str:
        """Return a new state to ask the stream's transmitter with."""
        return self._sealed(stream, f"{int(self._clock.now()):0{_TIME_DIGITS}x}{new_random_bytes(_RANDOM_BYTES).hex()}")

    def knows(self, stream: str, state: str | None) -> bool:
        """Return whether a verification event that brings `state` is in order; where not, the error is `invalid_state`.

        Without a state it is, because a transmitter may send one unasked. With one that one of our machines made for
        this stream within `ACCEPTED_SECONDS` it is, also when it comes again.
        """
        if state is None:
            return True
        told = state[:_TOLD]
        ours = state.isascii() and hmac.compare_digest(state, self._sealed(stream, told))
        return ours and abs(self._clock.now() - int(told[:_TIME_DIGITS], 16)) <= ACCEPTED_SECONDS

    def _sealed(self, stream: str, told: str) -> str:
        return told + self._seal.seal("state", stream, told)[:_MAC_BYTES].hex()
