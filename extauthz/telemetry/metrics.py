"""Prometheus metrics, each with a bounded set of labels.

Label values come from closed vocabularies (outcomes, reason codes) or from files that the operator wrote (resources,
issuers, revisions), never from a request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.metrics_core import Metric

    from extauthz.ids import PolicyRevision
    from extauthz.model.decision import Decision
    from extauthz.ports import Fetched, Spent

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Media type of `Metrics.exposition`."""

_SECONDS: Final = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.5, 1.0)
"""Bucket bounds: from a cached answer to beyond Envoy's default timeout of 200 ms."""


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


class Metrics:
    """Every metric of one server, on a registry of its own. All methods are safe to call from any thread."""

    def __init__(self) -> None:
        # `_created` series double the output and say nothing that the process start time does not.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library types only part of itself
        self.registry = CollectorRegistry(auto_describe=True)
        self._decisions = Counter(
            "extauthz_decisions", "Decisions made.", ("outcome", "reason", "resource"), registry=self.registry
        )
        self._known_decisions: dict[tuple[bool, str, str], Counter] = {}
        self._seconds = Histogram(
            "extauthz_decision_seconds",
            "Time from question to answer.",
            ("outcome",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._seconds_of = {
            True: self._seconds.labels(outcome="allow"),
            False: self._seconds.labels(outcome="deny"),
        }
        self._inflight = Gauge("extauthz_inflight", "Decisions under way.", registry=self.registry)
        self._key_fetches = Counter(
            "extauthz_key_fetches", "Fetches of an issuer's keys.", ("issuer", "outcome"), registry=self.registry
        )
        self._policy_loads = Counter(
            "extauthz_policy_loads", "Attempts to load the policy.", ("outcome",), registry=self.registry
        )
        self._policy = Gauge("extauthz_policy_info", "The policy in force.", ("revision",), registry=self.registry)
        self._engine = Gauge("extauthz_engine_info", "The engine that serves.", ("engine",), registry=self.registry)
        self._waits = Counter(
            "extauthz_evidence_waits", "Decisions that waited for a fetch.", ("outcome",), registry=self.registry
        )
        self._spends = Counter(
            "extauthz_spends", "Decisions that use something up.", ("outcome", "kind"), registry=self.registry
        )

    def decided(self, decision: Decision, latency: float) -> None:
        """Count a decision.

        Args:
            decision: what was decided.
            latency: seconds from question to answer.
        """
        resource = decision.target.resource if decision.target is not None else ""
        allowed = decision.allowed
        key = (allowed, decision.reason.value, resource)
        counter = self._known_decisions.get(key)
        if counter is None:
            counter = self._decisions.labels("allow" if allowed else "deny", key[1], resource)
            self._known_decisions[key] = counter
        counter.inc()
        self._seconds_of[allowed].observe(latency)

    def began(self) -> None:
        """Note that a decision is under way; `ended` must follow."""
        self._inflight.inc()

    def ended(self) -> None:
        """Note that a decision under way has come to its end."""
        self._inflight.dec()

    def keys_fetched(self, issuer: str, outcome: Fetched) -> None:
        """Count a fetch of the keys of a configured issuer."""
        self._key_fetches.labels(issuer, outcome.value).inc()

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

    def follow_records(self, read: Callable[[], RecordCounts]) -> None:
        """Show the counts of a record writer, asked for at each scrape. Call it once."""
        self.registry.register(_RecordCollector(read))

    def follow_recall(self, read: Callable[[], RecallCounts]) -> None:
        """Show the counts of the cache of decisions, asked for at each scrape. Call it once."""
        self.registry.register(_RecallCollector(read))

    def exposition(self) -> bytes:
        """Return all metrics in the Prometheus text format."""
        return generate_latest(self.registry)


class _RecordCollector(Collector):
    def __init__(self, read: Callable[[], RecordCounts]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        counts = self._read()
        yield CounterMetricFamily("extauthz_records_written", "Decision records written.", counts.written)
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
