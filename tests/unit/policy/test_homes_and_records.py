"""What a target carries into decisions: whose it is, whose its rules are, and whose allows are sampled."""

from __future__ import annotations

import pytest

from extauthz.model.decision import Home
from extauthz.policy.compile import PolicyContext, compile_policy
from tests.simulators.policies import RESOURCE, compile_text, make_request, only_problem

GET_ORDER = make_request("GET", "api.example.com/orders/7")


@pytest.mark.parametrize(
    ("resource", "permit", "sampled"),
    [
        ("", "", False),
        ("sampled", "", True),
        ("", "sampled", True),
        ("sampled", "sampled", True),
        ("always", "", False),
        ("always", "sampled", False),
        ("sampled", "always", False),
    ],
)
def test_a_permit_or_its_resource_says_that_a_sample_is_enough(resource: str, permit: str, *, sampled: bool) -> None:
    """Whoever says `always` is heard."""
    text = RESOURCE.replace("action: read", f"action: read\n    record: {resource}" if resource else "action: read")
    text += f"permits: [{{id: p, who: anyone, may: '*'{f', record: {permit}' if permit else ''}}}]"
    target = compile_text(text).route(GET_ORDER).target
    assert ("p" in target.sampled) is sampled
    assert ("preflight" in target.sampled) is (resource == "sampled")


def test_a_misspelt_word_is_an_error() -> None:
    """It would record more or less than was meant."""
    problem = only_problem(RESOURCE + "permits: [{id: p, who: anyone, may: '*', record: sometimes}]")
    assert problem.line == 6


def test_targets_know_whose_they_are() -> None:
    """And which rules are somebody else's."""
    root = (
        b"root: true\nowner: platform\nnamespaces: {orders: {hosts: api.example.com, owner: team-orders}}\n"
        b"guards: [{id: g, on: '*', require: [{roles: [x]}]}]"
    )
    team = b"namespace: orders\npermits: [{id: p, who: anyone, may: '*'}]\n" + RESOURCE.encode()
    target = compile_policy({"root": root, "team": team}, PolicyContext()).route(GET_ORDER).target
    assert target.home == Home("orders", "team-orders")
    assert target.homes == {"g": Home("", "platform")}
    assert compile_text("owner: us\n" + RESOURCE).route(GET_ORDER).target.home == Home("", "us")
