"""What a request costs does not grow with the policy: the same calls at ten resources and at ten thousand."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from bench.index import policy_of
from extauthz.policy.cel.condition import CelCondition
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.policy.evaluate import evaluate
from extauthz.policy.index import Index
from tests.simulators.policies import make_facts, make_request

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

    from extauthz.policy.ruleset import Ruleset

NODES = Index._candidates.__code__, "pop"
"""Each node that is visited is taken off the list of ways to go."""
CONDITIONS = CelCondition.holds.__code__, ""


def calls_of(action: Callable[[], object]) -> Counter[tuple[CodeType, str]]:
    """Return how often each function is entered during `action`, and each built-in one from where it is called."""
    calls: Counter[tuple[CodeType, str]] = Counter()

    def note(frame: FrameType, event: str, called: Any) -> None:
        if event == "call":
            calls[frame.f_code, ""] += 1
        elif event == "c_call":
            calls[frame.f_code, called.__name__] += 1

    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(None)
    return calls


def cost(ruleset: Ruleset, url: str) -> tuple[int, int]:
    """Return the nodes visited and conditions evaluated for one request."""
    request = make_request("GET", url)

    def decide() -> None:
        route = ruleset.route(request)
        evaluate(route.rules, make_facts(attributes=route.read_attributes(request), request=request))

    calls = calls_of(decide)
    return calls[NODES], calls[CONDITIONS]


@pytest.fixture(scope="module")
def rulesets() -> dict[int, Ruleset]:
    """Return policies of three sizes, made alike."""
    return {size: compile_policy(policy_of(size), PolicyContext()) for size in (10, 1_000, 10_000)}


@pytest.mark.parametrize("number", [0, 4, 9])
def test_nodes_and_conditions_stay_the_same(rulesets: dict[int, Ruleset], number: int) -> None:
    """For a request that exists in all of them."""
    costs = {size: cost(ruleset, f"api.example.com/v1/service{number}/items/7") for size, ruleset in rulesets.items()}
    assert len(set(costs.values())) == 1, costs
    nodes, conditions = costs[10]
    assert nodes == 5
    assert conditions == 2


def test_counting_notices_more_nodes_and_conditions() -> None:
    """The negative control: a path with more ways to go, and a rule more, cost more."""
    files = policy_of(10)
    base = cost(compile_policy(files, PolicyContext()), "api.example.com/v1/service0/items/7")
    match = b"{host: api.example.com, path: '/v1/service0/items/7', methods: [PUT]}"
    ways = b"resources: [{name: x, action: a, match: %s, attributes: {item: query.item}}]" % match
    rule = b"guards: [{id: more, on: service0.read, when: 'resource.item == \"9\"', require: [{roles: [x]}]}]"
    more = cost(compile_policy({**files, "ways.yaml": ways}, PolicyContext()), "api.example.com/v1/service0/items/7")
    ruled = cost(compile_policy({**files, "rule.yaml": rule}, PolicyContext()), "api.example.com/v1/service0/items/7")
    assert more[0] > base[0]
    assert ruled[1] == base[1] + 1
