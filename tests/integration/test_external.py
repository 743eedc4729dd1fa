"""Another decision point is asked by a running server: its word counts as long as it says, and its silence never."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

from tests.integration.running import running, seconds_of_patience
from tests.simulators.decisionpoint import deciding
from tests.simulators.grpc_client import outcome_of

if TYPE_CHECKING:
    from pathlib import Path

POLICY = """\
resources:
  - name: thing
    match: {host: api.example.com, path: "/things/{thing}", methods: [GET]}
    action: read
    attributes: {thing: path.thing}
guards:
  - {id: elsewhere, on: thing.read, require: [{external: {ask: risk-engine, id: resource.thing}}]}
permits:
  - {id: machines-read, who: {kind: [ci]}, may: [thing.read]}
"""


def elsewhere(url: str, *, cache: str) -> dict[str, Any]:
    """Return the setting `decision_points` with one."""
    return {"risk-engine": {"url": url, "cache": cache, "timeout": "10s"}}


def test_what_another_decides_counts(tmp_path: Path) -> None:
    """For what was asked and nothing else; kept for as long as settings believe it; a breakdown refuses."""
    with (
        deciding() as point,
        running(tmp_path, policy=POLICY, decision_points=elsewhere(point.url, cache="5m")) as server,
    ):
        token = server.mint(sub="job")

        def ask(thing: str) -> tuple[int, str]:
            return outcome_of(server.ask(token, path=f"/things/{thing}"))

        assert [ask("7") for _ in range(3)] == [(200, "allowed")] * 3
        assert [ask("13") for _ in range(2)] == [(403, "external_denied")] * 2
        assert [question["resource"] for question in point.asked] == [
            {"type": "thing", "id": thing, "properties": {"thing": thing}} for thing in ("7", "13")
        ]
        point.status = 500
        assert ask("8") == (503, "evidence_unavailable")
        assert ask("7") == (200, "allowed")

        def metrics() -> str:
            return str(urlopen(f"http://{server.application.metrics_address}/metrics").read().decode())

        # A fetch is counted by its own thread, after whoever waited for it has gone on.
        done = 'extauthz_evidence_fetches_total{issuer="risk-engine",kind="external",outcome="done"} 2.0'
        seconds_of_patience(lambda: done in metrics())


def test_without_a_cache_every_decision_asks(tmp_path: Path) -> None:
    """Nothing of it is kept."""
    with (
        deciding() as point,
        running(tmp_path, policy=POLICY, decision_points=elsewhere(point.url, cache="0s")) as server,
    ):
        token = server.mint(sub="job")
        outcomes = [outcome_of(server.ask(token, path="/things/7")) for _ in range(3)]
    assert outcomes == [(200, "allowed")] * 3
    assert len(point.asked) == 3
