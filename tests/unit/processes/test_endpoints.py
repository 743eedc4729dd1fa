"""Where each worker listens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from extauthz.config.settings import Settings
from extauthz.errors import ConfigError
from extauthz.processes.endpoints import find_endpoints, to_worker_settings


def settings(*addresses: str, workers: int = 3, metrics: str | None = "127.0.0.1:9464", **changes: Any) -> Settings:
    """Return settings with these listeners."""
    listeners = [{"address": address} for address in addresses]
    telemetry = {"metrics": metrics}
    return Settings.model_validate(
        {"policy": ["p"], "listeners": listeners, "server": {"workers": workers}, "telemetry": telemetry, **changes}
    )


def shown(found: Settings) -> list[list[str]]:
    """Return the endpoints as text."""
    return [[str(address) for address in each] for each in find_endpoints(found)]


def test_workers_stand_side_by_side_above_the_listener() -> None:
    """By port, on IPv6 too, and by a number in a socket's name; port 0 stays."""
    found = settings("127.0.0.1:9191", "[::1]:7000", "unix:/run/x/check.sock", "127.0.0.1:0")
    assert shown(found) == [
        ["127.0.0.1:9191", "127.0.0.1:9192", "127.0.0.1:9193"],
        ["[::1]:7000", "[::1]:7001", "[::1]:7002"],
        ["unix:/run/x/check-0.sock", "unix:/run/x/check-1.sock", "unix:/run/x/check-2.sock"],
        ["127.0.0.1:0"] * 3,
    ]


def test_one_process_listens_where_the_settings_say() -> None:
    """Nothing is renamed for whoever has no workers."""
    assert shown(settings("unix:/run/check.sock", workers=0)) == [["unix:/run/check.sock"]]


def test_a_worker_has_its_own_endpoint_metrics_and_records() -> None:
    """All else is as it was read."""
    whole = settings("127.0.0.1:9191", records={"path": "/var/log/decisions.jsonl"})
    worker = to_worker_settings(whole, 2)
    assert worker.listeners[0].address == "127.0.0.1:9193"
    assert worker.telemetry.metrics == "127.0.0.1:9467"
    assert worker.records.path == Path("/var/log/decisions-2.jsonl")
    same = {"listeners": whole.listeners, "telemetry": whole.telemetry, "records": whole.records}
    assert worker.model_copy(update=same) == whole


def test_what_is_off_or_shared_stays_so() -> None:
    """No metrics, and records on standard output."""
    worker = to_worker_settings(settings("127.0.0.1:9191", metrics=None), 1)
    assert (worker.telemetry.metrics, worker.records.path) == (None, "-")


@pytest.mark.parametrize(
    ("addresses", "metrics", "message"),
    [
        (("127.0.0.1:9191", "127.0.0.1:9193"), None, "two parts of the server would listen on it"),
        (("127.0.0.1:9463",), "127.0.0.1:9464", "two parts of the server would listen on it"),
        (("127.0.0.1:9465",), "127.0.0.1:9464", "two parts of the server would listen on it"),
        (("127.0.0.1:65534",), None, "not enough ports above it"),
        (("nonsense",), None, "not an address"),
    ],
)
def test_endpoints_that_meet_are_refused(addresses: tuple[str, ...], metrics: str | None, message: str) -> None:
    """Before anything is started; on one machine only one of them would get the port."""
    with pytest.raises(ConfigError, match=message):
        find_endpoints(settings(*addresses, metrics=metrics))
