"""Metrics: what is counted, and with which labels."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from extauthz.ids import PolicyRevision
from extauthz.model.reason import Reason
from extauthz.ports import Fetched
from extauthz.server.recall import RecallCounts
from extauthz.telemetry.metrics import Metrics
from tests.simulators.decisions import ALLOW, decision_of, denial


def samples_of(metrics: Metrics) -> dict[str, float]:
    """Return each sample under its name and labels, as a scraper reads them."""
    found = {}
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def test_decisions_are_counted_by_outcome_reason_and_resource() -> None:
    """Each decision raises one counter and one histogram; what was not routed has an empty resource."""
    metrics = Metrics()
    for _ in range(2):
        metrics.decided(decision_of(ALLOW), 0.0003)
    metrics.decided(decision_of(denial(Reason.MALFORMED_REQUEST), target=None), 0.3)
    samples = samples_of(metrics)
    assert samples["extauthz_decisions_total{outcome=allow,reason=allowed,resource=deployment}"] == 2
    assert samples["extauthz_decisions_total{outcome=deny,reason=malformed_request,resource=}"] == 1
    assert samples["extauthz_decision_seconds_count{outcome=allow}"] == 2
    assert samples["extauthz_decision_seconds_bucket{le=0.00025,outcome=allow}"] == 0
    assert samples["extauthz_decision_seconds_bucket{le=0.0005,outcome=allow}"] == 2
    assert samples["extauthz_decision_seconds_bucket{le=0.2,outcome=deny}"] == 0


def test_decisions_under_way_are_shown() -> None:
    """`began` and `ended` move the gauge."""
    metrics = Metrics()
    metrics.began()
    metrics.began()
    metrics.ended()
    assert samples_of(metrics)["extauthz_inflight{}"] == 1


def test_one_registry_is_in_force() -> None:
    """A newly loaded registry replaces the one before; a rejected one is counted and changes nothing."""
    metrics = Metrics()
    metrics.registry_loaded("a")
    metrics.registry_loaded("b")
    metrics.registry_rejected()
    samples = samples_of(metrics)
    assert samples["extauthz_registry_info{revision=b}"] == 1
    assert "extauthz_registry_info{revision=a}" not in samples
    assert samples["extauthz_registry_loads_total{outcome=loaded}"] == 2
    assert samples["extauthz_registry_loads_total{outcome=rejected}"] == 1


def test_one_policy_is_in_force() -> None:
    """A newly loaded policy replaces the one before; a rejected one is counted and changes nothing."""
    metrics = Metrics()
    metrics.policy_loaded(PolicyRevision("a"))
    metrics.policy_loaded(PolicyRevision("b"))
    metrics.policy_rejected()
    samples = samples_of(metrics)
    assert samples["extauthz_policy_info{revision=b}"] == 1
    assert "extauthz_policy_info{revision=a}" not in samples
    assert samples["extauthz_policy_loads_total{outcome=loaded}"] == 2
    assert samples["extauthz_policy_loads_total{outcome=rejected}"] == 1


def test_fetches_and_waits_are_counted() -> None:
    """Fetches by issuer and outcome, waits by outcome."""
    metrics = Metrics()
    metrics.keys_fetched("https://issuer.example", Fetched.DONE)
    metrics.evidence_awaited(Fetched.UNAVAILABLE)
    samples = samples_of(metrics)
    assert samples["extauthz_key_fetches_total{issuer=https://issuer.example,outcome=done}"] == 1
    assert samples["extauthz_evidence_waits_total{outcome=unavailable}"] == 1


@dataclass
class Counts:
    """Counts of a record writer, as a test sets them."""

    written: int = 0
    refused: int = 0
    dropped: int = 0
    waiting: int = 0
    failing: bool = False
    sampled_out: int = 7


def test_records_are_counted_when_scraped() -> None:
    """The counts are read at each scrape, not when they were registered."""
    counts = Counts()
    metrics = Metrics()
    metrics.follow_records(lambda: counts)
    counts.written, counts.refused, counts.dropped, counts.waiting, counts.failing = 5, 4, 3, 2, True
    samples = samples_of(metrics)
    assert samples["extauthz_records_written_total{}"] == 5
    assert samples["extauthz_records_refused_total{}"] == 4
    assert samples["extauthz_records_dropped_total{}"] == 3
    assert samples["extauthz_records_waiting{}"] == 2
    assert samples["extauthz_records_failing{}"] == 1
    assert samples["extauthz_records_sampled_out_total{}"] == 7


def test_the_cache_can_be_followed() -> None:
    """Hits and the like are counters by result."""
    metrics = Metrics()
    metrics.follow_recall(lambda: RecallCounts(hits=6, misses=5, stale=4, unnamed=3, evicted=2, kept=1))
    samples = samples_of(metrics)
    by_result = {"hit": 6, "miss": 5, "stale": 4, "unnamed": 3}
    for result, number in by_result.items():
        assert samples[f"extauthz_cache_questions_total{{result={result}}}"] == number
    assert samples["extauthz_cache_evictions_total{}"] == 2
    assert samples["extauthz_cache_decisions{}"] == 1


def test_servers_do_not_share_metrics() -> None:
    """Each `Metrics` has a registry of its own."""
    Metrics().decided(decision_of(ALLOW), 0.1)
    assert not [name for name in samples_of(Metrics()) if name.startswith("extauthz_decisions_total")]
