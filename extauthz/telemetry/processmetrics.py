"""Metrics of the processes of one server, as their supervisor sees them; each name is one of a bounded set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from prometheus_client.metrics_core import Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessCounts:
    """How one process fares.

    Attributes:
        name: `worker-0`, `keeper`, `receiver`.
        up: whether it runs and has answered.
        ready: whether it does all that it is for.
        restarts: how often it was started anew, by why.
        metrics: Prometheus text of its own, for processes that show none themselves.
    """

    name: str
    up: bool
    ready: bool
    restarts: Mapping[str, int]
    metrics: str = ""


def process_exposition(read: Iterable[ProcessCounts]) -> bytes:
    """Return Prometheus text about the processes, followed by what they say of themselves."""
    counts = tuple(read)
    registry = CollectorRegistry()
    registry.register(_Collector(counts))
    return generate_latest(registry) + "".join(each.metrics for each in counts).encode()


class _Collector(Collector):
    def __init__(self, counts: Iterable[ProcessCounts]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("extauthz_process_up", "Whether a process runs and has answered.", labels=["process"])
        ready = GaugeMetricFamily(
            "extauthz_process_ready", "Whether a process does all that it is for.", labels=["process"]
        )
        restarts = CounterMetricFamily(
            "extauthz_process_restarts",
            "How often a process was started anew, because it ended, did not answer, or was late.",
            labels=["process", "why"],
        )
        for each in self._counts:
            up.add_metric([each.name], int(each.up))
            ready.add_metric([each.name], int(each.ready))
            for why in ("ended", "unanswered", "late"):  # An alert on an increase needs the zero before it.
                restarts.add_metric([each.name, why], each.restarts.get(why, 0))
        yield up
        yield ready
        yield restarts
