"""What the keeper shows when its metrics are scraped."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from extauthz.errors import StateError
from extauthz.state import signals
from extauthz.state.beat import read_beat
from extauthz.state.restrictions import count_in_force
from extauthz.telemetry.statemetrics import StreamHeard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extauthz.clock import Clock
    from extauthz.keeper.keeper import Keeper
    from extauthz.telemetry.statemetrics import StateMetrics

COUNT_EVERY: Final = 30.0
"""Seconds between two counts of restrictions, which read the whole table."""

_ENABLED: Final = "enabled"


def follow_keeper(metrics: StateMetrics, keeper: Keeper, clock: Clock, streams: Sequence[str]) -> None:
    """Show how a keeper fares, asked for at each scrape. Call it once.

    Args:
        metrics: where.
        keeper: which.
        clock: of the machine.
        streams: the configured ones.
    """
    gauges = _Gauges(keeper, clock, tuple(streams))
    metrics.follow_streams(gauges.read_streams)
    metrics.follow_beat(gauges.read_beat)
    metrics.follow_held(gauges.read_held)
    metrics.follow_restrictions(gauges.read_restrictions)


class _Gauges:
    def __init__(self, keeper: Keeper, clock: Clock, streams: tuple[str, ...]) -> None:
        self._keeper = keeper
        self._clock = clock
        self._streams = streams
        self._lock = threading.Lock()
        self._counted_at: float | None = None
        self._counts: dict[tuple[str, str], int] = {}

    def read_streams(self) -> tuple[StreamHeard, ...]:
        """Return how each configured stream fares; nothing while the state cannot be read."""
        try:
            with self._keeper.reading() as query:
                known = signals.read_streams(query)
        except StateError:
            return ()
        return tuple(self._heard(name, known.get(name)) for name in self._streams)

    def _heard(self, name: str, known: signals.StreamHeard | None) -> StreamHeard:
        if known is None:
            return StreamHeard(name, _ENABLED, None)
        silent = None if known.heard_at is None else max(0.0, self._clock.now() - known.heard_at)
        return StreamHeard(name, known.status or _ENABLED, silent)

    def read_beat(self) -> float | None:
        """Return the age of the newest beat in seconds; None while there is none."""
        try:
            with self._keeper.reading() as query:
                beat = read_beat(query)
        except StateError:
            return None
        return None if beat is None else max(0.0, self._clock.boot() - beat.boot)

    def read_held(self) -> int | None:
        """Return how many events wait for a person; None while the state cannot be read."""
        try:
            with self._keeper.reading() as query:
                return len(signals.held(query))
        except StateError:
            return None

    def read_restrictions(self) -> dict[tuple[str, str], int]:
        """Return what is in force, as it was counted last."""
        with self._lock:
            now = self._clock.monotonic()
            if self._counted_at is None or now - self._counted_at >= COUNT_EVERY:
                try:
                    with self._keeper.reading() as query:
                        self._counts = count_in_force(query, self._clock.now())
                except StateError:
                    return self._counts
                self._counted_at = now
            return self._counts
