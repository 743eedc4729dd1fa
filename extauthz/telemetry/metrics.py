"""Prometheus metrics, each with a bounded set of labels.

Label values come from closed vocabularies (outcomes, reason codes) or from files that the operator wrote (resources,
issuers, revisions), never from a request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from extauthz.telemetry.statemetrics import StateMetrics
from extauthz.telemetry.tally import DecisionTally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    from extauthz.ids import PolicyRevision
    from extauthz.ports import Fetched, Spent

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Media type of `Metrics.exposition`."""


class RecordCounts(Protocol):
    """How the record writer fares; read when metrics are scraped."""

    @property
    def written(self) -> int:
        """Return how many records were written."""
        ...

    @property
    def refused(self) -> int:
        """Return how many records found no room and were refused."""
        ...

    @property
    def dropped(self) -> int:
        """Return how many records found no room and were lost."""
        ...

    @property
    def waiting(self) -> int:
        """Return how many records wait to be written."""
        ...

    @property
    def sampled_out(self) -> int:
        """Return how many allows are not in the sample that is recorded."""
        ...

    @property
    def failing(self) -> bool:
        """Return whether the last attempt to write failed."""
        ...


class RecallCounts(Protocol):
    """How the cache of decisions fares; read when metrics are scraped."""

    @property
    def hits(self) -> int:
        """Return how many questions were answered from it."""
        ...

    @property
    def misses(self) -> int:
        """Return how many questions could be named and were not there."""
        ...

    @property
    def stale(self) -> int:
        """Return how many kept decisions were found and no longer held."""
        ...

    @property
    def unnamed(self) -> int:
        """Return how many questions could not be named."""
        ...

    @property
    def evicted(self) -> int:
        """Return how many kept decisions made room for others."""
        ...

    @property
    def kept(self) -> int:
        """Return how many decisions are kept."""
        ...


class StateCounts(Protocol):
    """How the state fares; read when metrics are scraped."""

    @property
    def spend_rows(self) -> int:
        """Return how many rows there are for what has been used up."""
        ...

    @property
    def spends_waiting(self) -> int:
        """Return how many spends wait to be taken."""
        ...

    @property
    def api_keys(self) -> int:
        """Return how many API keys are held, expired and revoked ones included."""
        ...

    @property
    def failing(self) -> bool:
        """Return whether the state could not be read or written the last time."""
        ...


class Metrics:
    """Every metric of one server, on a registry of its own. All methods are safe to call from any thread."""

    def __init__(self) -> None:
        # `_created` series double the output and say nothing that the process start time does not.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library types only part of itself
        self.registry = CollectorRegistry(auto_describe=True)
        self._tally = DecisionTally()
        self.registry.register(self._tally)
        self.decided, self.counter = self._tally.add, self._tally.counter
        """Count a decision, and return what counts it; see `DecisionTally`."""
        self.began, self.ended = self._tally.began, self._tally.ended
        """Note that a decision is under way, and that it has come to its end."""
        self.state = StateMetrics(self.registry)
        """What changes after login."""
        self._key_fetches = Counter(
            "extauthz_key_fetches", "Fetches of an issuer's keys.", ("issuer", "outcome"), registry=self.registry
        )
        self._evidence_fetches = Counter(
            "extauthz_evidence_fetches",
            "Questions to issuers, other decision points and plug-ins that wait, by name; fetches of status lists.",
            ("kind", "issuer", "outcome"),
            registry=self.registry,
        )
        self._policy_loads = Counter(
            "extauthz_policy_loads", "Attempts to load the policy.", ("outcome",), registry=self.registry
        )
        self._policy = Gauge("extauthz_policy_info", "The policy in force.", ("revision",), registry=self.registry)
        self._registry_loads = Counter(
            "extauthz_registry_loads", "Attempts to load the registry.", ("outcome",), registry=self.registry
        )
        self._registry = Gauge(
            "extauthz_registry_info", "The registry in force.", ("revision",), registry=self.registry
        )
        self._engine = Gauge("extauthz_engine_info", "The engine that serves.", ("engine",), registry=self.registry)
        self._waits = Counter(
            "extauthz_evidence_waits", "Decisions that waited for a fetch.", ("outcome",), registry=self.registry
        )
        self._spends = Counter(
            "extauthz_spends", "Decisions that use something up.", ("outcome", "kind"), registry=self.registry
        )

    def keys_fetched(self, issuer: str, outcome: Fetched) -> None:
        """Count a fetch of the keys of a configured issuer."""
        self._key_fetches.labels(issuer, outcome.value).inc()

    def evidence_fetched(self, kind: str, issuer: str, outcome: Fetched) -> None:
        """Count a fetch from a configured issuer; `kind` is `introspection` or `status_list`."""
        self._evidence_fetches.labels(kind, issuer, outcome.value).inc()

    def evidence_awaited(self, outcome: Fetched) -> None:
        """Count a decision that waited for evidence."""
        self._waits.labels(outcome.value).inc()

    def spent(self, spent: Spent) -> None:
        """Count a decision that uses something up, and what was used up already."""
        self._spends.labels(spent.outcome.value, spent.refused.kind if spent.refused is not None else "").inc()

    def policy_loaded(self, revision: PolicyRevision) -> None:
        """Count a loaded policy and name it as the one in force."""
        self._policy_loads.labels("loaded").inc()
        self._policy.clear()
        self._policy.labels(revision).set(1)

    def engine_chosen(self, name: str) -> None:
        """Name the engine that serves."""
        self._engine.labels(name).set(1)

    def policy_rejected(self) -> None:
        """Count a policy that could not be loaded; the one in force stays."""
        self._policy_loads.labels("rejected").inc()

    def registry_loaded(self, revision: str) -> None:
        """Count a loaded registry and name it as the one in force."""
        self._registry_loads.labels("loaded").inc()
        self._registry.clear()
        self._registry.labels(revision).set(1)

    def registry_rejected(self) -> None:
        """Count a registry that could not be loaded; the one in force stays."""
        self._registry_loads.labels("rejected").inc()

    def follow_records(self, read: Callable[[], RecordCounts]) -> None:
        """Show the counts of a record writer, asked for at each scrape. Call it once."""
        self.registry.register(_RecordCollector(read))

    def follow_recall(self, read: Callable[[], RecallCounts]) -> None:
        """Show the counts of the cache of decisions, asked for at each scrape. Call it once."""
        self.registry.register(_RecallCollector(read))

    def follow_state(self, read: Callable[[], StateCounts]) -> None:
        """Show how the state fares, asked for at each scrape. Call it once."""
        self.registry.register(_StateCollector(read))

    def follow_breakers(self, read: Callable[[], Mapping[str, Mapping[str, str]]]) -> None:
        """Show whether issuers are asked: kind → issuer → `closed`, `open` or `half_open`. Call it once."""
        self.registry.register(_BreakerCollector(read))

    def exposition(self) -> bytes:
        """Return all metrics in the Prometheus text format."""
        return generate_latest(self.registry)


class _RecordCollector(Collector):
    def __init__(self, read: Callable[[], RecordCounts]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        counts = self._read()
        yield CounterMetricFamily("extauthz_records_written", "Decision records written.", counts.written)
        yield CounterMetricFamily(
            "extauthz_records_sampled_out", "Allows left out of the sample that is recorded.", counts.sampled_out
        )
        yield CounterMetricFamily("extauthz_records_refused", "Records refused for want of room.", counts.refused)
        yield CounterMetricFamily("extauthz_records_dropped", "Records lost for want of room.", counts.dropped)
        yield GaugeMetricFamily("extauthz_records_waiting", "Records not written yet.", counts.waiting)
        yield GaugeMetricFamily("extauthz_records_failing", "1 while records cannot be written.", int(counts.failing))


class _RecallCollector(Collector):
    def __init__(self, read: Callable[[], RecallCounts]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        counts = self._read()
        questions = CounterMetricFamily(
            "extauthz_cache_questions", "Questions by how the cache knew them.", labels=["result"]
        )
        questions.add_metric(["hit"], counts.hits)
        questions.add_metric(["miss"], counts.misses)
        questions.add_metric(["stale"], counts.stale)
        questions.add_metric(["unnamed"], counts.unnamed)
        yield questions
        yield CounterMetricFamily("extauthz_cache_evictions", "Kept decisions that made room.", counts.evicted)
        yield GaugeMetricFamily("extauthz_cache_decisions", "Kept decisions.", counts.kept)


class _StateCollector(Collector):
    def __init__(self, read: Callable[[], StateCounts]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        counts = self._read()
        yield GaugeMetricFamily("extauthz_spend_rows", "Rows for what has been used up.", counts.spend_rows)
        yield GaugeMetricFamily("extauthz_spends_waiting", "Spends that wait to be taken.", counts.spends_waiting)
        yield GaugeMetricFamily("extauthz_api_keys", "API keys held, ended ones included.", counts.api_keys)
        yield GaugeMetricFamily(
            "extauthz_state_failing", "1 while the state cannot be read or written.", int(counts.failing)
        )


class _BreakerCollector(Collector):
    def __init__(self, read: Callable[[], Mapping[str, Mapping[str, str]]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        states = GaugeMetricFamily(
            "extauthz_breaker_open",
            "1 while an issuer or decision point is not asked because it fails.",
            labels=["kind", "issuer"],
        )
        for kind, issuers in self._read().items():
            for issuer, state in issuers.items():
                states.add_metric([kind, issuer], int(state != "closed"))
        yield states
