"""A whole server that nobody reports facts to: requirements that look for them refuse, each with its own reason."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from extauthz.model.state import STANDING
from tests.integration.running import Running, running
from tests.simulators.grpc_client import outcome_of

if TYPE_CHECKING:
    from collections.abc import Iterator

CLAUSES = {
    "approval": ("{by: lead, covers: request, lasts: 5m}", "approval_required"),
    "ticket": ("{from: id}", "ticket_required"),
    "posture": ("{max_age: 5m, of: workload}", "posture_missing"),
    "task": ("{}", "task_missing"),
    "risk": ("{below: 100}", "risk_too_high"),
    "familiar": ("{unknown: deny}", "unfamiliar_action"),
    "workflow": ("{name: release, step: publish}", "workflow_departure"),
}
RESOURCE = """\
  - name: {kind}
    match: {{host: api.example.com, path: "/{kind}/{{id}}", methods: [GET]}}
    action: read
    attributes: {{id: path.id}}
"""
RULE = "  - {{id: needs-{kind}, on: {kind}.read, require: [{{{kind}: {argument}}}]}}\n"
POLICY = (
    "resources:\n"
    + "".join(RESOURCE.format(kind=kind) for kind in CLAUSES)
    + "  - {name: free, match: {host: api.example.com, path: /free, methods: [GET]}, action: read}\npermits:\n"
    + '  - {id: all, who: {kind: [ci]}, may: "*"}\nguards:\n'
    + "".join(RULE.format(kind=kind, argument=argument) for kind, (argument, _) in CLAUSES.items())
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run one server."""
    with running(tmp_path_factory.mktemp("unheld"), policy=POLICY) as found:
        yield found


def test_every_kind_is_looked_at() -> None:
    """But sessions: one that nobody has seen is proven by its token, and begins."""
    assert {*CLAUSES, "session"} == set(STANDING)


@pytest.mark.parametrize("kind", CLAUSES)
def test_what_nobody_reports_lets_nothing_through(server: Running, kind: str) -> None:
    """It is a refusal with a reason, the second time too, and not a failure of ours."""
    token = server.mint()
    for _ in range(2):
        asked = server.ask(token, path=f"/{kind}/7", stream_id=str(time.monotonic_ns()))
        assert outcome_of(asked) == (403, CLAUSES[kind][1])


def test_the_same_caller_gets_through_where_nothing_is_asked(server: Running) -> None:
    """So it is the requirement that refuses."""
    assert outcome_of(server.ask(server.mint(), path="/free")) == (200, "allowed")
