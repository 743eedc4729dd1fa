"""Several workers behind a real Envoy: all of them are asked, and one that is lost is not missed."""

from __future__ import annotations

import os
import re
import signal
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.config.settings import Settings
from extauthz.demo.stage import Ports, Script, Stage, find_free_port
from extauthz.demo.tour import REPORT
from extauthz.processes.clusters import to_clusters
from extauthz.server.probe import find_health
from tests.e2e.asks import eventually, read_records, read_report
from tests.e2e.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.envoy

WORKERS = 2


def find_free_row() -> int:
    """Return the first of so many free ports in a row."""
    row = [find_free_port()]
    while len(row) < WORKERS:
        port = find_free_port()
        row = [*row, port] if port == row[-1] + 1 else [port]
    return row[0]


def serves(port: int) -> bool:
    """Return whether a worker says that it serves."""
    return find_health(f"127.0.0.1:{port}", 5) == "SERVING"


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Run workers, a keeper and a receiver; Envoy has the cluster that `extauthz config --envoy` prints."""
    first, found = find_free_row(), list[dict[str, Any]]()

    def change_settings(settings: dict[str, Any]) -> None:
        settings["server"]["workers"] = WORKERS
        settings["telemetry"]["metrics"] = None
        found.extend(to_clusters(Settings.model_validate(settings)))

    def change_bootstrap(bootstrap: dict[str, Any]) -> None:
        resources = bootstrap["static_resources"]
        others = [cluster for cluster in resources["clusters"] if cluster["name"] != "extauthz"]
        resources["clusters"] = [*others, *found]

    script = Script(
        root=ROOT,
        folder=tmp_path_factory.mktemp("workers"),
        ports=Ports(extauthz=first),
        change_settings=change_settings,
        change_bootstrap=change_bootstrap,
        signals=True,
    )
    with Stage(script) as running:
        for worker in range(WORKERS):
            assert eventually(partial(serves, first + worker))
        # The receiver comes last, and after it the banner.
        assert eventually(lambda: "  listening  " in running.extauthz.read_log())
        yield running


def recorded(stage: Stage, worker: int) -> int:
    """Return how many decisions a worker has recorded."""
    return sum("decision_id" in record for record in read_records(stage.folder / f"records-{worker}.jsonl"))


def test_envoy_asks_every_worker(crowd: Stage) -> None:
    """Which one port for all would not do: Envoy has few connections and keeps them."""
    token = crowd.issuer.mint("reporting")

    def all_have_decided() -> bool:
        assert 200 in {read_report(crowd, token).status for _ in range(20)}
        return all(recorded(crowd, worker) > 5 for worker in range(WORKERS))

    assert eventually(all_have_decided)


def test_what_the_receiver_is_sent_is_in_force_on_every_worker(crowd: Stage) -> None:
    """From the receiver's process through the keeper's to all workers, before the transmitter has its answer."""
    token = crowd.issuer.mint("reporting", sub="batch-7")
    assert eventually(lambda: {read_report(crowd, token).status for _ in range(20)} == {200})
    subject = {"format": "iss_sub", "iss": crowd.issuer.issuer, "sub": "batch-7"}

    def is_taken() -> bool:
        return crowd.transmitter.push("session-revoked", subject, {}).status == 202

    assert eventually(is_taken)  # A transmitter sends again what a worker was too late to confirm.
    assert 200 not in {read_report(crowd, token).status for _ in range(20)}
    assert read_report(crowd, token).headers["x-extauthz-reason"] == "identity_quarantined"
    assert eventually(lambda: read_report(crowd).status == 200)


def test_a_lost_worker_is_not_missed(crowd: Stage) -> None:
    """Nobody without a token is let through meanwhile, and soon all callers with one are served again."""
    log = (crowd.folder / "extauthz.log").read_text()
    os.kill(int(re.findall(r"child=worker-0 pid=(\d+)", log)[-1]), signal.SIGKILL)
    assert 200 not in {crowd.edge.send(REPORT).status for _ in range(20)}
    token = crowd.issuer.mint("reporting")
    assert eventually(lambda: {read_report(crowd, token).status for _ in range(20)} == {200})
    assert crowd.extauthz.pid
