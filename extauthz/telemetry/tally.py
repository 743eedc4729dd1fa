"""Counts decisions: a counter, a histogram and a gauge that cost little, because every answer passes here.

They show as `extauthz_decisions_total`, `extauthz_decision_seconds` and `extauthz_inflight`, as those of the library
would, at a fraction of its price for each observation (one lock, one addition, one search among bucket bounds).
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from extauthz.model.reason import Reason
from extauthz.model.shadow import ShadowChange
from extauthz.model.verdict import Allow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from extauthz.model.decision import Decision
    from extauthz.model.shadow import ShadowOutcome

SECONDS: Final = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.5, 1.0)
"""Bucket bounds: from a cached answer to beyond Envoy's default timeout of 200 ms."""


@dataclass(slots=True)
class _Histogram:
    buckets: list[int] = field(default_factory=lambda: [0] * (len(SECONDS) + 1))
    total: float = 0.0


class DecisionTally(Collector):
    """Counts decisions by outcome, reason and resource, and their seconds by outcome. Safe on any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[bool, Reason, str], int] = {}
        self._seconds = {True: _Histogram(), False: _Histogram()}
        self._shadows: dict[ShadowChange, int] = {}
        self._observed: dict[str, int] = {}
        self._under_way = 0

    def began(self) -> None:
        """Note that a decision is under way; `ended` must follow."""
        with self._lock:
            self._under_way += 1

    def ended(self) -> None:
        """Note that a decision under way has come to its end."""
        with self._lock:
            self._under_way -= 1

    def add(self, decision: Decision, latency: float) -> None:
        """Count a decision.

        Args:
            decision: what was decided.
            latency: seconds from question to answer.
        """
        target, verdict = decision.target, decision.verdict
        allowed = isinstance(verdict, Allow)
        key = (allowed, Reason.ALLOWED if allowed else verdict.reason, target.resource if target is not None else "")
        bucket = bisect_left(SECONDS, latency)
        seconds = self._seconds[allowed]
        counts = self._counts
        with self._lock:
            counts[key] = counts.get(key, 0) + 1
            seconds.buckets[bucket] += 1
            seconds.total += latency
            if decision.observed is not None:
                would = decision.observed.would
                observed = would.reason.value if would is not None else "allowed"
                self._observed[observed] = self._observed.get(observed, 0) + 1
        if decision.shadow is not None:
            decision.shadow.hear(self._hear)

    def _hear(self, outcome: ShadowOutcome) -> None:
        change = outcome.change
        with self._lock:
            self._shadows[change] = self._shadows.get(change, 0) + 1

    def collect(self) -> Iterator[Metric]:
        """Yield all families as they are now."""
        with self._lock:
            counts = dict(self._counts)
            seconds = {allowed: (list(each.buckets), each.total) for allowed, each in self._seconds.items()}
            shadows = dict(self._shadows)
            observed = dict(self._observed)
            under_way = self._under_way
        decisions = CounterMetricFamily(
            "extauthz_decisions", "Decisions made.", labels=["outcome", "reason", "resource"]
        )
        for (allowed, reason, resource), count in counts.items():
            decisions.add_metric([_outcome(allowed), reason.value, resource], count)
        yield decisions
        family = HistogramMetricFamily("extauthz_decision_seconds", "Time from question to answer.", labels=["outcome"])
        for allowed, (buckets, total) in seconds.items():
            family.add_metric([_outcome(allowed)], _cumulated(buckets), total)
        yield family
        observations = CounterMetricFamily(
            "extauthz_observed",
            "Requests that went through because they are only observed, by what enforcing would have said.",
            labels=["would"],
        )
        for would, count in observed.items():
            observations.add_metric([would], count)
        yield observations
        yield CounterMetricFamily(
            "extauthz_shadow_decisions", "Decisions that a shadow policy was asked about.", sum(shadows.values())
        )
        differences = CounterMetricFamily(
            "extauthz_shadow_differences",
            "Decisions that the shadow policy answers otherwise, or did not answer.",
            labels=["change"],
        )
        for change in ShadowChange:
            if change is not ShadowChange.NONE:
                differences.add_metric([change.value], shadows.get(change, 0))
        yield differences
        yield GaugeMetricFamily("extauthz_inflight", "Decisions under way.", under_way)


def _outcome(allowed: bool) -> str:  # noqa: FBT001 — it is the value
    return "allow" if allowed else "deny"


def _cumulated(buckets: list[int]) -> list[tuple[str, float]]:
    """Return upper bounds with how many observations were not above them, as the text format wants them."""
    bounds = [*map(repr, SECONDS), "+Inf"]
    sums = [sum(buckets[: position + 1]) for position in range(len(bounds))]
    return list(zip(bounds, map(float, sums), strict=True))
