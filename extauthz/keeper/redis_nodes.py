"""Where the other machines are: what they said last, and who waits until they have come as far as a change.

What a machine says of itself carries a MAC over the life that it is about, so nobody else can say that a change is in
force there, and what it said before another server took over does not count.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from extauthz.keeper.redis_rows import shared_seal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from extauthz.clock import Clock
    from extauthz.keeper.redis_journal import Life
    from extauthz.state.seal import Seal

REMEMBERED: Final = 1024
"""Changes whose positions are remembered; who asks for an older one gets that of the oldest of them."""

_KIND: Final = "node"


class Sent(NamedTuple):
    """How far this machine has told the others.

    Attributes:
        number: the newest change of the file that was sent.
        offered: whether all that was in the file before this life began was offered in it.
        before: the newest change of that.
    """

    number: int
    offered: bool
    before: int


_NOTHING: Final = Sent(-1, offered=False, before=0)


class Nodes:
    """Knows positions; from any thread.

    Args:
        key: that machines share.
        clock: only its monotonic side is read.
        alive: seconds after which a machine that says nothing is no longer waited for.
        note: told which machine has confirmed, and after how many seconds of waiting.
    """

    def __init__(self, key: bytes, clock: Clock, *, alive: float, note: Callable[[str, float], object]) -> None:
        self._key = key
        self._clock = clock
        self._alive = alive
        self._note = note
        # Everything below is read and written under this lock only.
        self._lock = threading.Condition()
        self._there_is = False
        self._life: Life | None = None
        self._newest = 0
        self._confirmed: tuple[Life, int] | None = None
        self._sent = _NOTHING
        self._positions: deque[tuple[int, int]] = deque(maxlen=REMEMBERED)
        self._others: dict[str, int | None] = {}
        self._waiting = 0
        self._stopping = False

    @property
    def others(self) -> int:
        """Return how many other machines were heard lately."""
        with self._lock:
            return len(self._others)

    @property
    def waiting(self) -> bool:
        """Return whether somebody waits."""
        return self._waiting > 0

    def enter(self, life: Life, newest: int) -> None:
        """Note that Redis answers, in this life, with this newest position: what was sent before is not beyond it."""
        with self._lock:
            if self._life != life:
                self._positions.clear()
                self._sent = _NOTHING
            self._there_is, self._life, self._newest = True, life, newest
            self._lock.notify_all()

    def lose(self) -> None:
        """Note that Redis does not answer: nobody need wait."""
        with self._lock:
            self._there_is = False
            self._lock.notify_all()

    def stop(self) -> None:
        """Let nobody wait any more."""
        with self._lock:
            self._stopping = True
            self._lock.notify_all()

    def confirmed(self, life: Life, position: int) -> None:
        """Note the position that every worker of this machine decides by."""
        with self._lock:
            self._confirmed = (life, position)

    def sent(self, sent: Sent, position: int | None) -> None:
        """Note what was told to the others; the position that contains it, None when nothing had to be sent."""
        with self._lock:
            self._sent = sent
            if position is not None:
                self._newest = position
                self._positions.append((sent.number, position))
            self._lock.notify_all()

    def say(self, node: str, life: Life) -> bytes:
        """Return what this machine says of itself in a life."""
        with self._lock:
            confirmed = self._confirmed
        position = confirmed[1] if confirmed is not None and confirmed[0] == life else 0
        mac = shared_seal(self._key, life.incarnation).seal(_KIND, node, life.run, position)
        return f"{life.incarnation} {position} {mac.hex()}".encode("ascii")

    def heard(self, node: str, life: Life, said: Mapping[str, tuple[bytes, float]]) -> None:
        """Note what the other machines said, and how many seconds ago; `node` is this one."""
        seal = shared_seal(self._key, life.incarnation)
        others = {
            other: _read_position(says, other, life, seal)
            for other, (says, age) in said.items()
            if other != node and age <= self._alive
        }
        with self._lock:
            self._others = others
            self._lock.notify_all()

    def wait(self, number: int, timeout: float) -> tuple[int, int]:
        """Return on how many machines of how many change `number` is in force, after `timeout` seconds at most."""
        begun = self._clock.monotonic()
        with self._lock:
            self._waiting += 1
            try:
                self._lock.wait_for(lambda: self._is_over(number), timeout)
            finally:
                self._waiting -= 1
            there = self._there(number)
            of = len(self._others)
        for other in there:
            self._note(other, self._clock.monotonic() - begun)
        return len(there), of

    def _is_over(self, number: int) -> bool:
        if self._stopping or not self._there_is:
            return True
        return self._is_sent(number) and len(self._there(number)) == len(self._others)

    def _is_sent(self, number: int) -> bool:
        sent = self._sent
        return sent.number >= number and (sent.offered or number > sent.before)

    def _there(self, number: int) -> list[str]:
        """Return the machines that decide by change `number`."""
        if not self._there_is or not self._is_sent(number):
            return []
        place = bisect_left(self._positions, (number, 0))
        wanted = self._positions[place][1] if place < len(self._positions) else self._newest
        return [other for other, position in self._others.items() if position is not None and position >= wanted]


def _read_position(says: bytes, node: str, life: Life, seal: Seal) -> int | None:
    """Return the position that a machine says it is at; None when it is in another life, or did not say it."""
    incarnation, _, rest = says.partition(b" ")
    digits, _, mac = rest.partition(b" ")
    if incarnation.decode("ascii", "replace") != life.incarnation or not digits.isdigit():
        return None
    try:
        sealed = bytes.fromhex(mac.decode("ascii"))
    except ValueError:
        return None
    return int(digits) if seal.holds(sealed, _KIND, node, life.run, int(digits)) else None
