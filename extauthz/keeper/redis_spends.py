"""Spends what can be used up for all machines that share a Redis (`ports.Spender` says what that means).

1. All of an order or none of it: each is one script. Orders that wait together are sent together.
2. A question that is asked again gets the answer that it had, as in the state file.
3. What counts as over is decided by the clock of the machine that asks, which has also given the ends: what one accepts
   by its clock it remembers by that clock. The clock of Redis plays no part: it is told how long to remember,
   which is until the end and `GRACE_SECONDS` longer, so that machines may differ by that much.
4. Memory is bounded by the ends, and by Redis: a server that is full refuses, and evicting ones are not used.
5. Whatever goes wrong is `UNKNOWN`, which is a denial and counts as spent. Nothing is sent a second time.

Names are digests, so whoever reads Redis learns nothing that could be presented. Whoever can write to it can forget
what was used up; that is what its ACL is for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from extauthz.errors import SharedStoreError
from extauthz.keeper.redis_connection import RedisConnection
from extauthz.keeper.redis_scripts import SPEND
from extauthz.ports import SpendOutcome, Spent
from extauthz.server.spender import QueuedSpender
from extauthz.state.spends import name_question, name_spend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extauthz.clock import Clock, Instant
    from extauthz.config.state import RedisSettings
    from extauthz.keeper.redis_connection import Command
    from extauthz.state.spends import Order

GRACE_SECONDS: Final = 60.0
"""How much longer than needed Redis remembers: the most that the clocks of machines may differ."""


class RedisSpends:
    """What has been used up, in Redis; for one thread at a time.

    Args:
        connection: that has loaded `SPEND`.
        prefix: of all keys.
    """

    def __init__(self, connection: RedisConnection, prefix: str) -> None:
        self._connection = connection
        self._prefix = prefix.encode()

    def take(self, orders: Sequence[Order], at: Instant) -> list[Spent]:
        """Take each order or refuse it, the earlier first.

        Args:
            orders: what is wanted.
            at: now, by the wall clock.

        Raises:
            SharedStoreError: nothing is known about any of them.
        """
        # What is over already would not be remembered, and so could be spent again and again.
        sound = [bool(order.spends) and all(spend.until > at for spend in order.spends) for order in orders]
        commands = [self._command(order, at) for order, good in zip(orders, sound, strict=True) if good]
        answers = iter(self._connection.ask_all(commands) if commands else ())
        return [
            _read_answer(next(answers), order) if good else Spent(SpendOutcome.UNKNOWN)
            for order, good in zip(orders, sound, strict=True)
        ]

    def _command(self, order: Order, at: Instant) -> Command:
        keys = [self._key(b"question", name_question(order))]
        arguments: list[str | bytes] = [repr(float(at)), repr(GRACE_SECONDS)]
        for spend in order.spends:
            keys.append(self._key(b"members" if spend.member else b"spend", name_spend(spend)))
            arguments += [str(spend.limit), repr(float(spend.until)), spend.member]
        return SPEND.call(keys, *arguments)

    def _key(self, kind: bytes, name: bytes) -> bytes:
        return b":".join((self._prefix, kind, name.hex().encode()))


class RedisSpender(QueuedSpender):
    """Spends in Redis; `start` it before, `stop` it after everybody who asks.

    Args:
        settings: of the Redis.
        clock: both of its clocks are read.
    """

    def __init__(self, settings: RedisSettings, clock: Clock) -> None:
        super().__init__(clock)
        self._connection = RedisConnection(settings, (SPEND,), clock)
        self._spends = RedisSpends(self._connection, settings.prefix)

    def _take(self, orders: list[Order], until: float) -> list[Spent]:
        if self._clock.monotonic() >= until:
            # Redis held up the queue, and nobody waits any more. Not one of these was sent.
            return [Spent(SpendOutcome.UNKNOWN) for _ in orders]
        return self._spends.take(orders, self._clock.now())

    def _let_go(self) -> None:
        self._connection.close()


def _read_answer(answer: object, order: Order) -> Spent:
    """Return what the script's answer means; anything unexpected is no success."""
    match answer:
        case 0:
            return Spent(SpendOutcome.DONE)
        case int() if 0 < answer <= len(order.spends):
            return Spent(SpendOutcome.REFUSED, order.spends[answer - 1])
    message = "the shared Redis answers what no script of ours says; is something in between?"
    raise SharedStoreError(message)
