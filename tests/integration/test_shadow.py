"""A whole server with a shadow policy, and its log replayed: what another policy would have done to real questions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.request import urlopen

from typer.testing import CliRunner

from extauthz.cli.policy import policy_app
from tests.integration.running import BROKEN, POLICY, Running, running, seconds_of_patience
from tests.simulators.grpc_client import SECONDS, outcome_of

if TYPE_CHECKING:
    from pathlib import Path

CANDIDATE = POLICY.replace("kind: [ci]", "kind: [service]")
ALLOWED = (200, "allowed")
NO_PERMIT = (403, "no_permit")


def counted(server: Running, change: str) -> float:
    """Return how often a change was counted, as the metrics endpoint says."""
    with urlopen(f"http://{server.application.metrics_address}/metrics", timeout=SECONDS) as page:
        lines = page.read().decode().splitlines()
    (line,) = [line for line in lines if line.startswith(f'extauthz_shadow_differences_total{{change="{change}"}}')]
    return float(line.split()[-1])


def test_a_shadow_is_counted_recorded_and_exchanged(tmp_path: Path) -> None:
    """Answers are those of the policy in force, also repeated ones; a broken shadow is kept out, a mended one asked."""
    candidate = tmp_path / "candidate.yaml"
    candidate.write_text(CANDIDATE)
    with running(tmp_path, policy_shadow=[str(candidate)]) as server:
        ci = server.mint(kind="ci", tenant="acme")
        service = server.mint(kind="service", tenant="acme")
        assert [outcome_of(server.ask(ci)) for _ in range(3)] == [ALLOWED] * 3
        assert outcome_of(server.ask(service)) == NO_PERMIT
        seconds_of_patience(lambda: counted(server, "allow_to_deny") == 3)
        seconds_of_patience(lambda: counted(server, "deny_to_allow") == 1)
        seconds_of_patience(lambda: len(server.records()) == 4)
        repeated = [record for record in server.records() if record.get("cached")]
        assert [record["shadow"]["outcome"] for record in repeated] == ["deny"] * len(repeated) != []
        revision = repeated[0]["shadow"]["policy"]
        assert revision != repeated[0]["policy"]
        candidate.write_text(BROKEN)
        assert outcome_of(server.ask(server.mint(kind="ci", tenant="acme"))) == ALLOWED
        candidate.write_text(POLICY)
        seconds_of_patience(lambda: _shadow_of_a_fresh_decision(server) not in {"", revision})
        assert outcome_of(server.ask(path="/ping")) == ALLOWED


def _shadow_of_a_fresh_decision(server: Running) -> str:
    """Return the revision that a new question is held against; empty when its record has none."""
    before = len(server.records())
    server.ask(server.mint(kind="ci", tenant="acme"))
    seconds_of_patience(lambda: len(server.records()) > before)
    return str(server.records()[before].get("shadow", {}).get("policy", ""))


def test_without_a_shadow_nothing_is_said_of_one(tmp_path: Path) -> None:
    """Neither in records nor in counts."""
    with running(tmp_path) as server:
        server.ask(path="/ping")
        seconds_of_patience(lambda: len(server.records()) == 1)
        assert "shadow" not in server.records()[0]
        assert counted(server, "allow_to_deny") == 0


def test_the_log_of_a_server_is_replayed(tmp_path: Path) -> None:
    """Under the same policy nothing changes; under another, what changes is what that one would have said."""
    with running(tmp_path) as server:
        for kind, tenant in (("ci", "acme"), ("service", "acme"), ("ci", "other"), ("ci", "acme")):
            server.ask(server.mint(kind=kind, tenant=tenant, scope="a b", roles=["r"]))
        server.ask("not-a-token")
        server.ask(path="/ping")
        server.ask(path="/nowhere")
        seconds_of_patience(lambda: len(server.records()) == 7)
    log, policy, candidate = tmp_path / "records.jsonl", tmp_path / "policy.yaml", tmp_path / "candidate.yaml"
    candidate.write_text(CANDIDATE)
    arguments = ["replay", str(log), "--json", "--policy"]
    same = json.loads(CliRunner().invoke(policy_app, [*arguments, str(policy)]).stdout)
    assert (same["total"], same["same"]) == (7, 7)
    other = json.loads(CliRunner().invoke(policy_app, [*arguments, str(candidate)]).stdout)
    assert {(group["before"], group["after"], group["count"]) for group in other["groups"]} == {
        ("allow", "deny no_permit", 2),
        ("deny no_permit", "allow", 1),
        ("deny tenant_mismatch", "deny no_permit", 1),
    }
