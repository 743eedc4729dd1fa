"""Metrics of what changes after login: what is counted, and that nobody outside chooses how many series there are."""

from __future__ import annotations

from extauthz.telemetry.metrics import Metrics
from extauthz.telemetry.statemetrics import ALARMS, MAX_NAMED_REPLICAS, StreamHeard
from tests.unit.telemetry.test_metrics import samples_of


def test_propagation_is_told_by_worker_and_by_machine() -> None:
    """Each has a histogram of its own."""
    metrics = Metrics()
    metrics.state.worker_confirmed(0, 0.0003)
    metrics.state.worker_confirmed(3, 0.02)
    metrics.state.replica_confirmed("node-b", 0.2)
    samples = samples_of(metrics)
    assert samples["extauthz_propagation_worker_seconds_bucket{le=0.0005,worker=0}"] == 1
    assert samples["extauthz_propagation_worker_seconds_bucket{le=0.01,worker=3}"] == 0
    assert samples["extauthz_propagation_worker_seconds_count{worker=3}"] == 1
    assert samples["extauthz_propagation_replica_seconds_sum{replica=node-b}"] == 0.2


def test_machines_that_come_and_go_share_a_name() -> None:
    """Their names are not ours, so only the first have series of their own; these keep them."""
    metrics = Metrics()
    for number in range(MAX_NAMED_REPLICAS + 10):
        metrics.state.replica_confirmed(f"node-{number}", 0.1)
    metrics.state.replica_confirmed("node-0", 0.1)
    samples = samples_of(metrics)
    counts = {name: value for name, value in samples.items() if "replica_seconds_count" in name}
    assert len(counts) == MAX_NAMED_REPLICAS + 1
    assert samples["extauthz_propagation_replica_seconds_count{replica=other}"] == 10
    assert samples["extauthz_propagation_replica_seconds_count{replica=node-0}"] == 2


def test_signals_are_counted_and_their_age_told_where_they_had_an_effect() -> None:
    """An event that changed nothing has no age; one from a clock ahead of ours has none below zero."""
    metrics = Metrics()
    metrics.state.signal_done("okta", "session-revoked", "in_force", 0.7)
    metrics.state.signal_done("okta", "session-revoked", "in_force", -0.2)
    metrics.state.signal_done("okta", "", "refused")
    samples = samples_of(metrics)
    assert samples["extauthz_signals_total{kind=session-revoked,outcome=in_force,stream=okta}"] == 2
    assert samples["extauthz_signals_total{kind=,outcome=refused,stream=okta}"] == 1
    assert samples["extauthz_signal_age_seconds_count{stream=okta}"] == 2
    assert samples["extauthz_signal_age_seconds_sum{stream=okta}"] == 0.7


def test_actions_and_alarms_are_counted() -> None:
    """Every alarm is there from the start, so that its first increase is seen."""
    metrics = Metrics()
    assert {samples_of(metrics)[f"extauthz_alarms_total{{what={what}}}"] for what in ALARMS} == {0}
    metrics.state.alarm("forged_row")
    metrics.state.action_done("revoke", "in_force")
    samples = samples_of(metrics)
    assert samples["extauthz_alarms_total{what=forged_row}"] == 1
    assert samples["extauthz_operator_actions_total{kind=revoke,outcome=in_force}"] == 1


def test_what_is_looked_up_at_each_scrape() -> None:
    """Streams, the keeper's beat, what waits and what is in force; what is not known is not there."""
    metrics = Metrics()
    streams = [StreamHeard("okta", "paused", 12.5), StreamHeard("mdm", "enabled", None)]
    beat: list[float | None] = [None]
    metrics.state.follow_streams(lambda: streams)
    metrics.state.follow_beat(lambda: beat[0])
    metrics.state.follow_held(lambda: 2)
    metrics.state.follow_restrictions(lambda: {("client", "revoked"): 3})
    samples = samples_of(metrics)
    assert samples["extauthz_stream_silent_seconds{stream=okta}"] == 12.5
    assert "extauthz_stream_silent_seconds{stream=mdm}" not in samples
    assert samples["extauthz_stream_status{status=paused,stream=okta}"] == 1
    assert samples["extauthz_stream_status{status=enabled,stream=okta}"] == 0
    assert samples["extauthz_stream_status{status=enabled,stream=mdm}"] == 1
    assert "extauthz_state_beat_age_seconds{}" not in samples
    assert samples["extauthz_held_events{}"] == 2
    assert samples["extauthz_restrictions{effect=revoked,form=client}"] == 3
    beat[0] = 0.25
    assert samples_of(metrics)["extauthz_state_beat_age_seconds{}"] == 0.25
