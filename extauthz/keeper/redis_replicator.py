"""The `Replicator` on Redis: one thread tells, one reads, and this says what that amounts to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from extauthz.errors import StateError
from extauthz.keeper.redis_follower import RedisFollower
from extauthz.keeper.redis_nodes import Nodes
from extauthz.keeper.redis_sender import RedisSender
from extauthz.state.seal import default_key_file, read_key

if TYPE_CHECKING:
    from extauthz.clock import Clock
    from extauthz.config.state import RedisSettings, StateSettings
    from extauthz.keeper.keeper import Keeper
    from extauthz.keeper.redis_journal import Life
    from extauthz.telemetry.statemetrics import StateMetrics

ALIVE_BEATS: Final = 3.0
"""A machine that says nothing for so many beats is no longer waited for."""


class RedisReplicator:
    """Carries changes both ways; see `keeper/replicator.py`.

    Args:
        redis: where.
        state: of this machine, with a path.
        clock: of the server.
        metrics: counts; None for none.
    """

    def __init__(
        self, redis: RedisSettings, state: StateSettings, clock: Clock, metrics: StateMetrics | None = None
    ) -> None:
        self._redis = redis
        self._state = state
        self._clock = clock
        self._metrics = metrics
        self._within = min(1.0, state.max_staleness / 5)
        self._nodes: Nodes | None = None
        self._sender: RedisSender | None = None
        self._follower: RedisFollower | None = None

    def start(self, keeper: Keeper) -> None:
        """Begin to carry changes both ways.

        Raises:
            StateError: the key that machines share cannot be read.
        """
        if self._state.path is None:
            message = "what machines share needs a state file of each: set `state.path`"
            raise StateError(message)
        key = read_key(self._state.key_file or default_key_file(self._state.path))
        self._nodes = nodes = Nodes(
            key, self._clock, alive=ALIVE_BEATS * self._within + self._redis.timeout, note=self._note
        )
        self._sender = RedisSender(
            self._redis, key, self._clock, keeper, nodes, beat=self._within, on_new_life=self._note_new_life
        )
        self._follower = RedisFollower(
            self._redis, self._state, key, self._clock, keeper, beat=self._within, on_confirmed=self._confirmed
        )
        self._sender.start()
        self._follower.start()

    def stop(self) -> None:
        """End it, when what there is to tell is told."""
        if self._nodes is not None and self._sender is not None and self._follower is not None:
            self._nodes.stop()
            self._follower.stop()
            self._sender.stop()

    def publish(self, number: int) -> None:
        """Send what was changed here; `number` is durable here."""
        if self._sender is not None and number:
            self._sender.poke()

    def wait_for_replicas(self, number: int, timeout: float) -> tuple[int, int]:
        """Return on how many other machines, of how many, all up to `number` is in force, after `timeout` at most."""
        if self._nodes is None or self._sender is None:
            return 0, 0
        self._sender.poke()
        return self._nodes.wait(number, timeout)

    def in_sync(self) -> bool:
        """Return whether Redis has answered just now, both ways, and everything that it has was read.

        Both ways, because one that is cut off from the others may go on answering those who only read.
        """
        if self._sender is None or self._follower is None:
            return False
        return self._clock.monotonic() - min(self._sender.beat_at, self._follower.at_end) <= self._within

    def _confirmed(self, life: Life, position: int) -> None:
        if self._nodes is not None and self._sender is not None:
            self._nodes.confirmed(life, position)
            self._sender.poke()

    def _note(self, replica: str, seconds: float) -> None:
        if self._metrics is not None:
            self._metrics.replica_confirmed(replica, seconds)

    def _note_new_life(self) -> None:
        if self._metrics is not None:
            self._metrics.alarm("incarnation")
