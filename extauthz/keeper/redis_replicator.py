"""The `Replicator` on Redis: one thread tells, one reads, and this says what that amounts to."""

from __future__ import annotations

from math import isfinite
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from extauthz.errors import StateError
from extauthz.keeper.redis_follower import RedisFollower
from extauthz.keeper.redis_nodes import Nodes
from extauthz.keeper.redis_sender import RedisSender
from extauthz.state.seal import default_key_file, read_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.clock import Clock
    from extauthz.config.state import RedisSettings, StateSettings
    from extauthz.keeper.keeper import Keeper
    from extauthz.keeper.redis_journal import Life
    from extauthz.telemetry.statemetrics import StateMetrics

ALIVE_BEATS: Final = 3.0
"""A machine that says nothing for so many beats is no longer waited for."""


class _Parts(NamedTuple):
    nodes: Nodes
    sender: RedisSender
    follower: RedisFollower


class RedisReplicator:
    """Carries changes both ways; see `keeper/replicator.py`.

    Args:
        redis: where.
        state: of this machine, with a path.
        clock: of the server.
        metrics: counts; None for none.
        silences: for how many seconds a stream of signals may be silent, by name.
    """

    def __init__(
        self,
        redis: RedisSettings,
        state: StateSettings,
        clock: Clock,
        metrics: StateMetrics | None = None,
        silences: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        self._redis = redis
        self._state = state
        self._clock = clock
        self._metrics = metrics
        self._silences = silences
        self._within = min(1.0, state.max_staleness / 5)
        self._parts: _Parts | None = None

    def start(self, keeper: Keeper) -> None:
        """Begin to carry changes both ways.

        Raises:
            StateError: the key that machines share cannot be read.
        """
        if self._state.path is None:
            message = "what machines share needs a state file of each: set `state.path`"
            raise StateError(message)
        key = read_key(self._state.key_file or default_key_file(self._state.path))
        nodes = Nodes(key, self._clock, alive=ALIVE_BEATS * self._within + self._redis.timeout, note=self._note)
        sender = RedisSender(
            self._redis,
            key,
            self._clock,
            keeper,
            nodes,
            beat=self._within,
            silences=self._silences,
            on_new_life=self._note_new_life,
        )

        def confirmed(life: Life, position: int) -> None:
            nodes.confirmed(life, position)
            sender.poke()

        follower = RedisFollower(
            self._redis,
            self._state,
            key,
            self._clock,
            keeper,
            beat=self._within,
            told_life=lambda: sender.life,
            on_other_life=sender.reconnect,
            on_confirmed=confirmed,
        )
        self._parts = _Parts(nodes, sender, follower)
        if self._metrics is not None:
            self._metrics.follow_shared(self._read_gauges)
        sender.start()
        follower.start()

    def stop(self) -> None:
        """End it, when what there is to tell is told."""
        parts, self._parts = self._parts, None
        if parts is not None:
            parts.nodes.stop()
            parts.follower.stop()
            parts.sender.stop()

    def publish(self, number: int) -> None:  # noqa: ARG002 — everything that is durable is sent
        """Send what was changed here."""
        if self._parts is not None:
            self._parts.sender.poke()

    def wait_for_replicas(self, number: int, timeout: float) -> tuple[int, int]:
        """Return on how many other machines, of how many, all up to `number` is in force, after `timeout` at most."""
        parts = self._parts
        if parts is None:
            return 0, 0
        parts.sender.poke()
        return parts.nodes.wait(number, timeout)

    def in_sync(self) -> bool:
        """Return whether Redis has answered just now, both ways, and everything that it has was read.

        Both ways, and in one life, because a server that is cut off may go on answering those who only read.
        """
        parts = self._parts
        lag, _ = self._read_gauges()
        return (
            parts is not None
            and lag is not None
            and lag <= self._within
            and parts.sender.life == parts.follower.life is not None
        )

    def _read_gauges(self) -> tuple[float | None, int]:
        """Return how many seconds ago Redis last answered so, None for never, and how many other machines there are."""
        parts = self._parts
        if parts is None:
            return None, 0
        since = min(parts.sender.beat_at, parts.follower.at_end)
        return (self._clock.boot() - since if isfinite(since) else None), parts.nodes.others

    def _note(self, replica: str, seconds: float) -> None:
        if self._metrics is not None:
            self._metrics.replica_confirmed(replica, seconds)

    def _note_new_life(self) -> None:
        if self._metrics is not None:
            self._metrics.alarm("incarnation")
