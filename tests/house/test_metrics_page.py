"""The page of metrics lists what the code makes, with its labels."""

from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from extauthz.telemetry.metrics import Metrics
from extauthz.telemetry.processmetrics import process_exposition
from extauthz.telemetry.statemetrics import StreamHeard
from tools.make_metrics import ALERTS, families, families_in, page
from tools.make_reference import METRICS

_ALWAYS = {"le"}


def test_the_page_is_current() -> None:
    """`make docs` would change nothing."""
    assert METRICS.read_text(encoding="utf-8") == page()


def test_what_is_scraped_is_on_the_page() -> None:
    """Names and labels of a scrape are those that were found in the source."""
    metrics = Metrics()
    metrics.state.follow_streams(lambda: [StreamHeard("okta", "enabled", 1.0)])
    metrics.state.follow_beat(lambda: 0.5)
    metrics.state.follow_held(lambda: 0)
    metrics.state.follow_restrictions(lambda: {("client", "revoked"): 1})
    metrics.state.worker_confirmed(0, 0.1)
    metrics.state.signal_done("okta", "session-revoked", "applied", 0.1)
    metrics.state.action_done("revoke", "in_force")
    text = metrics.exposition() + process_exposition([])
    known = {family.shown: set(family.labels) for family in families()}
    scraped = {family.name: family for family in text_string_to_metric_families(text.decode())}
    assert len(scraped) > 20
    for name, family in scraped.items():
        shown = f"{name}_total" if family.type == "counter" else name
        assert shown in known
        for sample in family.samples:
            assert set(sample.labels) - _ALWAYS <= known[shown]


@pytest.mark.parametrize("call", ['Counter(NAME, "text")', 'Gauge("extauthz_x", "text", labels=LABELS)'])
def test_a_name_that_nobody_can_read_is_told(call: str) -> None:
    """A metric whose name or labels are computed cannot be listed, and so may not be."""
    with pytest.raises(ValueError, match="are constants"):
        list(families_in(f"# extauthz_\n{call}\n"))


def test_alerts_name_metrics_that_there_are() -> None:
    """An alert on what nobody counts would never fire."""
    shown = {family.shown for family in families()}
    named = set(re.findall(r"extauthz_\w+", " ".join(when for when, _ in ALERTS)))
    assert {name.removesuffix("_bucket") for name in named} <= shown


def test_each_name_is_made_once() -> None:
    """No two places make a metric of one name."""
    names = [family.name for family in families()]
    assert sorted(set(names)) == names
