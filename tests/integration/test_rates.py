"""A whole server and what policy counts: a rate is exact, a refusal says when to come again, and nothing is kept."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.running import Running, running, seconds_of_patience
from tests.simulators.grpc_client import outcome_of

if TYPE_CHECKING:
    from collections.abc import Iterator

POLICY = """\
resources:
  - name: thing
    match: {host: api.example.com, path: "/things/{id}", methods: [GET]}
    action: read
  - name: export
    match: {host: api.example.com, path: "/exports/{id}", methods: [GET]}
    action: read
guards:
  - id: not-too-often
    on: thing.read
    require:
      - rate: {at_most: 3, per: 31d, by: subject}
permits:
  - id: machines-read
    who: {kind: [ci]}
    may: thing.read
  - id: machines-export
    who: {kind: [ci]}
    may: export.read
    require:
      - budget: {name: exports, at_most: 1, per: month}
"""
ALLOWED = (200, "allowed")
TOO_OFTEN = (429, "rate_exceeded")
USED_UP = (403, "budget_exhausted")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run one server; each test has callers of its own."""
    with running(tmp_path_factory.mktemp("rates"), policy=POLICY, state={"memory": True}) as found:
        yield found


def ask(server: Running, token: str, path: str = "/things/7") -> tuple[int, str]:
    """Ask as another stream of Envoy's each time; return what came out."""
    return outcome_of(server.ask(token, path=path, stream_id=str(time.monotonic_ns())))


def test_a_rate_allows_as_often_as_it_says_and_not_once_more(server: Running) -> None:
    """Over all things that the rule speaks of; another caller has a count of its own."""
    token = server.mint(sub="often")
    assert [ask(server, token, f"/things/{number}") for number in range(4)] == [ALLOWED] * 3 + [TOO_OFTEN]
    assert ask(server, server.mint(sub="another")) == ALLOWED


def test_who_comes_too_often_is_told_when_to_come_again(server: Running) -> None:
    """In a header for programs that only know HTTP, and in the body."""
    token = server.mint(sub="told")
    for _ in range(3):
        assert ask(server, token) == ALLOWED
    response = server.ask(token, stream_id="told-4")
    denied = response.denied_response
    headers = {option.header.key: option.header.value for option in denied.headers}
    assert 1 <= int(headers["retry-after"]) <= 31 * 86400
    (remedy,) = json.loads(denied.body)["remedies"]
    assert remedy["kind"] == "window"


def test_a_question_that_is_asked_again_counts_once(server: Running) -> None:
    """Envoy repeats a question that got lost, with the same stream id."""
    token = server.mint(sub="again")
    assert {outcome_of(server.ask(token, stream_id="same")) for _ in range(5)} == {ALLOWED}
    assert [ask(server, token) for _ in range(3)] == [ALLOWED] * 2 + [TOO_OFTEN]


def test_what_is_refused_anyway_counts_for_nothing(server: Running) -> None:
    """A caller that no permit is for uses nothing up."""
    refused = server.mint(sub="careful", kind="service")
    outcomes = {ask(server, refused) for _ in range(4)}
    assert ALLOWED not in outcomes
    assert ask(server, server.mint(sub="careful")) == ALLOWED


def test_a_budget_is_used_up(server: Running) -> None:
    """It is counted by the calendar."""
    token = server.mint(sub="exporter")
    assert [ask(server, token, "/exports/7") for _ in range(2)] == [ALLOWED, USED_UP]


def test_a_refusal_names_its_rule_in_the_record(server: Running) -> None:
    """A guard's rate and a permit's budget; who allowed before is named by the permit."""
    token = server.mint(sub="named")
    outcomes = [ask(server, token) for _ in range(4)] + [ask(server, token, "/exports/7") for _ in range(2)]
    assert [code for _, code in outcomes] == [*["allowed"] * 3, "rate_exceeded", "allowed", "budget_exhausted"]

    def rules() -> list[str]:
        return [each["rule"] for each in server.records() if each["subject"]["subject"] == "named"]

    seconds_of_patience(lambda: len(rules()) == 6)
    assert rules() == [*["machines-read"] * 3, "not-too-often", "machines-export", "machines-export"]


def test_counting_needs_a_state(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A policy that counts is kept out by settings without one: nothing is allowed by it, and the log says why."""
    with running(tmp_path_factory.mktemp("stateless"), policy=POLICY) as found:
        assert ask(found, found.mint(sub="often"))[0] == 503
