"""What machines share through Redis, opened as one. The only module that others import of it: it needs an extra."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from extauthz.errors import ConfigError, Problem

try:
    from extauthz.keeper.redis_replicator import RedisReplicator
    from extauthz.keeper.redis_spends import RedisSpender
except ModuleNotFoundError as error:
    if error.name != "redis":
        raise
    raise ConfigError(
        [Problem("state.redis", 0, 0, "the client for Redis is not installed; install `extauthz[redis]`")]
    ) from error

if TYPE_CHECKING:
    from extauthz.clock import Clock
    from extauthz.config.settings import Settings
    from extauthz.telemetry.statemetrics import StateMetrics


class Shared(NamedTuple):
    """Both of it.

    Attributes:
        replicator: carries what was taken away from somebody; the keeper starts and stops it.
        spender: takes what can be used up; whoever has it starts and stops it.
    """

    replicator: RedisReplicator
    spender: RedisSpender


def open_shared(settings: Settings, clock: Clock, metrics: StateMetrics | None = None) -> Shared | None:
    """Return what carries changes between machines and counts for all of them; None where nothing is shared.

    Args:
        settings: whose `state.redis` counts.
        clock: of the server.
        metrics: counts; None for none.
    """
    state = settings.state
    if state is None or state.redis is None:
        return None
    silences = {each.name: each.max_silence for each in settings.signals.streams if each.max_silence is not None}
    return Shared(RedisReplicator(state.redis, state, clock, metrics, silences), RedisSpender(state.redis, clock))
