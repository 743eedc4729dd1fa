"""Counts decisions: a counter, a histogram and a gauge that cost little, because every answer passes here.

They show as `extauthz_decisions_total`, `extauthz_decision_seconds` and `extauthz_inflight`, as those of the library
would, at a fraction of its price for each observation (one lock, one addition, one search among bucket bounds).
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from functools import partial
from typing import TYPE_CHECKING, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from extauthz.model.reason import Reason
from extauthz.model.shadow import ShadowChange
from extauthz.model.verdict import Allow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.metrics_core import Metric

    from extauthz.model.decision import Decision
    from extauthz.model.shadow import ShadowOutcome

SECONDS: Final = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.5, 1.0)
"""Bucket bounds: from a cached answer to beyond Envoy's default timeout of 200 ms."""

_NONE: Final = (0,) * (len(SECONDS) + 1)


class _Count:
    """Decisions of one outcome, reason and resource, and their seconds.

    Args:
        lock: of the whole tally, so that it can be read at one instant.
    """

    __slots__ = ("_lock", "buckets", "seconds", "seen")

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self.seen = 0
        self.seconds = 0.0
        self.buckets = list(_NONE)

    def add(self, latency: float) -> None:
        """Count one that took so many seconds."""
        bucket = bisect_left(SECONDS, latency)
        with self._lock:
            self.seen += 1
            self.seconds += latency
            self.buckets[bucket] += 1


class DecisionTally(Collector):
    """Counts decisions by outcome, reason and resource, and their seconds by outcome. Safe on any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[bool, Reason, str], _Count] = {}
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
        self.counter(decision)(latency)

    def counter(self, decision: Decision) -> Callable[[float], None]:
        """Return what counts a decision, given the seconds that it took; for one that is given again and again."""
        target, verdict = decision.target, decision.verdict
        allowed = isinstance(verdict, Allow)
        key = (allowed, Reason.ALLOWED if allowed else verdict.reason, target.resource if target is not None else "")
        count = self._counts.get(key)
        if count is None:
            with self._lock:
                count = self._counts.setdefault(key, _Count(self._lock))
        if decision.observed is None and decision.shadow is None:
            return count.add
        return partial(self._add_watched, count, decision)

    def _add_watched(self, count: _Count, decision: Decision, latency: float) -> None:
        """Count a decision that is only observed, or that a shadow policy is asked about."""
        count.add(latency)
        if decision.observed is not None:
            would = decision.observed.would
            observed = would.reason.value if would is not None else "allowed"
            with self._lock:
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
            counts = {key: (count.seen, count.seconds, tuple(count.buckets)) for key, count in self._counts.items()}
            shadows = dict(self._shadows)
            observed = dict(self._observed)
            under_way = self._under_way
        decisions = CounterMetricFamily(
            "extauthz_decisions", "Decisions made.", labels=["outcome", "reason", "resource"]
        )
        for (allowed, reason, resource), (seen, _, _) in counts.items():
            decisions.add_metric([_outcome(allowed), reason.value, resource], seen)
        yield decisions
        family = HistogramMetricFamily("extauthz_decision_seconds", "Time from question to answer.", labels=["outcome"])
        for outcome in (True, False):
            counted = [count for (allowed, _, _), count in counts.items() if allowed is outcome]
            buckets = [sum(column) for column in zip(_NONE, *(buckets for _, _, buckets in counted), strict=True)]
            family.add_metric([_outcome(outcome)], _cumulated(buckets), sum(seconds for _, seconds, _ in counted))
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
