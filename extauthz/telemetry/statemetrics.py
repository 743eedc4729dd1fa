"""Metrics of what changes after login: signals, actions of people, how quickly they are in force, how old we are.

Their labels are bounded like all others: streams are configured, kinds and outcomes are closed vocabularies, workers
are few; of machines that share a state the first 64 have names, all others together are `other`.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from prometheus_client import Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

Alarm = Literal["forged_row", "outside_authority", "clock_jump", "incarnation"]
"""What somebody should look at: a row of the state whose seal does not hold; a stream that reports beyond its
authority; a wall clock that was set; a shared state that is another one than before."""

ALARMS: Final[tuple[Alarm, ...]] = ("forged_row", "outside_authority", "clock_jump", "incarnation")

PROPAGATION_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bucket bounds: from the next look of a worker to the longest that another machine is waited for."""

AGE_SECONDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 86400.0)
"""Bucket bounds: from a transmitter that tells at once to one that was away for a day."""

MAX_NAMED_REPLICAS: Final = 64
STREAM_STATES: Final = ("enabled", "paused", "disabled")
OTHER: Final = "other"


class StreamHeard(NamedTuple):
    """How a stream of signals fares.

    Attributes:
        name: of the configured stream.
        status: what its transmitter says of it: one of `STREAM_STATES`; something else counts as none of them.
        silent: seconds since anything was heard; None when nothing ever was.
    """

    name: str
    status: str
    silent: float | None


class StateMetrics:
    """The metrics of continuous authorization of one process. All methods are safe to call from any thread.

    Args:
        registry: where they are shown.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._replicas: set[str] = set()
        self._workers_took = Histogram(
            "extauthz_propagation_worker_seconds",
            "Time from receiving a change until a worker of this machine said that it decides by it.",
            ("worker",),
            buckets=PROPAGATION_SECONDS,
            registry=registry,
        )
        self._replicas_took = Histogram(
            "extauthz_propagation_replica_seconds",
            "Time from receiving a change until another machine said that it decides by it.",
            ("replica",),
            buckets=PROPAGATION_SECONDS,
            registry=registry,
        )
        self._ages = Histogram(
            "extauthz_signal_age_seconds",
            "Age of what a signal reports when it was in force on this machine.",
            ("stream",),
            buckets=AGE_SECONDS,
            registry=registry,
        )
        self._signals = Counter(
            "extauthz_signals",
            "Security events by what became of them.",
            ("stream", "kind", "outcome"),
            registry=registry,
        )
        self._actions = Counter(
            "extauthz_operator_actions",
            "Actions of people by what became of them.",
            ("kind", "outcome"),
            registry=registry,
        )
        self._alarms = Counter("extauthz_alarms", "What somebody should look at.", ("what",), registry=registry)
        for what in ALARMS:
            self._alarms.labels(what)  # An alert on an increase needs the zero before it.

    def worker_confirmed(self, worker: int, seconds: float) -> None:
        """Note how long a worker of this machine took to decide by a change, counted from its arrival."""
        self._workers_took.labels(str(worker)).observe(seconds)

    def replica_confirmed(self, replica: str, seconds: float) -> None:
        """Note how long another machine took to decide by a change, counted from its arrival here."""
        with self._lock:
            if len(self._replicas) < MAX_NAMED_REPLICAS:
                self._replicas.add(replica)
            name = replica if replica in self._replicas else OTHER
        self._replicas_took.labels(name).observe(seconds)

    def signal_done(self, stream: str, kind: str, outcome: str, age: float | None = None) -> None:
        """Count an event.

        Args:
            stream: a configured one.
            kind: of the event, from the closed list; empty when it could not be read.
            outcome: what became of it, a closed vocabulary of the caller's.
            age: seconds from when it happened until it was in force; None when it had no effect.
        """
        self._signals.labels(stream, kind, outcome).inc()
        if age is not None:
            self._ages.labels(stream).observe(max(age, 0.0))  # Clocks differ a little; nothing is younger than now.

    def action_done(self, kind: str, outcome: str) -> None:
        """Count what a person did: `revoke`, `quarantine`, `release`, `admit`, `dismiss`, and what became of it."""
        self._actions.labels(kind, outcome).inc()

    def alarm(self, what: Alarm) -> None:
        """Count something that somebody should look at."""
        self._alarms.labels(what).inc()

    def follow_streams(self, read: Callable[[], Iterable[StreamHeard]]) -> None:
        """Show when streams were heard, asked for at each scrape. Call it once."""
        self._registry.register(_StreamCollector(read))

    def follow_beat(self, read: Callable[[], float | None]) -> None:
        """Show the seconds since the keeper's last beat, asked for at each scrape; None when there was none."""
        self._registry.register(_BeatCollector(read))

    def follow_held(self, read: Callable[[], int | None]) -> None:
        """Show how many events wait for a person, asked for at each scrape; None when nobody knows. Call it once."""
        self._registry.register(_HeldCollector(read))

    def follow_restrictions(self, read: Callable[[], Mapping[tuple[str, str], int]]) -> None:
        """Show what is in force, (form, effect) → how many, asked for at each scrape. Call it once."""
        self._registry.register(_RestrictionCollector(read))

    def follow_shared(self, read: Callable[[], tuple[float | None, int]]) -> None:
        """Show how current the state is that machines share, and how many others there are. Call it once.

        Args:
            read: returns the seconds since all that other machines were told was known here, None when it never was,
                and how many machines are heard; asked for at each scrape.
        """
        self._registry.register(_SharedCollector(read))


class _StreamCollector(Collector):
    def __init__(self, read: Callable[[], Iterable[StreamHeard]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        silent = GaugeMetricFamily(
            "extauthz_stream_silent_seconds", "Time since anything was heard of a stream.", labels=["stream"]
        )
        status = GaugeMetricFamily(
            "extauthz_stream_status", "1 for what a stream's transmitter says of it.", labels=["stream", "status"]
        )
        for stream in self._read():
            if stream.silent is not None:
                silent.add_metric([stream.name], stream.silent)
            for each in STREAM_STATES:
                status.add_metric([stream.name, each], int(stream.status == each))
        yield silent
        yield status


class _BeatCollector(Collector):
    def __init__(self, read: Callable[[], float | None]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        age = self._read()
        family = GaugeMetricFamily(
            "extauthz_state_beat_age_seconds", "Time since the keeper last said that the state is up to date."
        )
        if age is not None:
            family.add_metric([], age)
        yield family


class _HeldCollector(Collector):
    def __init__(self, read: Callable[[], int | None]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        waiting = self._read()
        family = GaugeMetricFamily("extauthz_held_events", "Events that wait for a person.")
        if waiting is not None:
            family.add_metric([], waiting)
        yield family


class _RestrictionCollector(Collector):
    def __init__(self, read: Callable[[], Mapping[tuple[str, str], int]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily("extauthz_restrictions", "Restrictions in force.", labels=["form", "effect"])
        for (form, effect), count in self._read().items():
            family.add_metric([form, effect], count)
        yield family


class _SharedCollector(Collector):
    def __init__(self, read: Callable[[], tuple[float | None, int]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        lag, machines = self._read()
        family = GaugeMetricFamily(
            "extauthz_shared_lag_seconds", "Time since all that other machines were told was known here."
        )
        if lag is not None:
            family.add_metric([], lag)
        yield family
        yield GaugeMetricFamily("extauthz_shared_replicas", "Other machines that share the state.", value=machines)
