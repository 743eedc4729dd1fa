"""The root's resources keep their requests, whatever a team declares on its own hosts."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extauthz.errors import PolicyError, Refusal
from tests.simulators.policies import make_request
from tests.unit.policy.test_namespaces import ROOT, compile_all, problems_of

if TYPE_CHECKING:
    from extauthz.model.request import Request
    from extauthz.policy.ruleset import Ruleset

_GUARD = "guards:\n  - {id: audited, on: ledger.*, require: [{roles: [auditor]}]}\n"


def _root(host: str, path: str, methods: str) -> str:
    ledger = f"  - {{name: ledger, action: read, match: {{host: '{host}', path: '{path}', methods: [{methods}]}}}}\n"
    return ROOT.replace("guards:\n", ledger + _GUARD)


def _team(host: str, path: str, methods: str) -> str:
    match = f"{{host: '{host}', path: '{path}', methods: [{methods}]}}"
    rule = "permits: [{id: mine-for-all, who: anyone, may: mine.*}]\n"
    return f"namespace: billing\nresources: [{{name: mine, action: a, match: {match}}}]\n{rule}"


_OWN = "billing.example.com"
_EU = "eu.pay.example.com"
_ANY = "*.pay.example.com"


@pytest.mark.parametrize(
    ("root", "team"),
    [
        ((_OWN, "/admin/{rest=**}", "GET"), (_OWN, "/admin/users", "GET")),
        ((_OWN, "/admin/{rest=**}", "GET"), (_OWN, "/admin/{one}", "GET")),
        ((_OWN, "/admin/{rest=**}", "GET"), (_OWN, "/admin/{one}/deep", "POST, GET")),
        ((_OWN, "/{rest=**}", "GET"), (_OWN, "/admin/{rest=**}", "GET")),
        ((_OWN, "/{one}/users", "GET"), (_OWN, "/admin/{two}", "GET")),
        ((_OWN, "/admin", "GET"), (_OWN, "/admin", "HEAD")),
        ((_OWN, "/{one}", "HEAD"), (_OWN, "/admin", "GET")),
        ((_ANY, "/admin", "GET"), (_EU, "/admin", "GET")),
        ((_ANY, "/admin", "GET"), (_EU, "/{rest=**}", "GET")),
    ],
)
def test_a_team_does_not_take_requests_from_the_root(root: tuple[str, str, str], team: tuple[str, str, str]) -> None:
    """They would escape the guards that the root wrote for its own resource."""
    found = problems_of(root=_root(*root), t=_team(*team))
    assert "t.yaml:2 it would take requests from the root's `ledger` at root.yaml:9" in found


@pytest.mark.parametrize(
    ("root", "team", "asked"),
    [
        ((_OWN, "/admin/users", "GET"), (_OWN, "/admin/{one}", "GET"), f"GET {_OWN}/admin/users"),
        ((_OWN, "/admin/{one}", "GET"), (_OWN, "/admin/{rest=**}", "GET"), f"HEAD {_OWN}/admin/x"),
        ((_OWN, "/admin/{two}", "GET"), (_OWN, "/{one}/users", "GET"), f"GET {_OWN}/admin/users"),
        ((_OWN, "/admin/{rest=**}", "GET"), (_OWN, "/admin/users", "POST"), f"GET {_OWN}/admin/users"),
        ((_OWN, "/admin/{rest=**}", "GET"), (_OWN, "/admin/", "GET"), f"GET {_OWN}/admin/x"),
        ((_OWN, "/admin", "HEAD"), (_OWN, "/admin", "GET"), f"HEAD {_OWN}/admin"),
        ((_OWN, "/admin", "GET"), (_OWN, "/admin/x", "GET"), f"GET {_OWN}/admin"),
        ((_OWN, "/admin", "GET"), (_OWN, "/other", "GET"), f"GET {_OWN}/admin"),
        ((_EU, "/admin", "GET"), (_ANY, "/admin", "GET"), f"GET {_EU}/admin"),
        ((_ANY, "/admin", "GET"), (_OWN, "/admin", "GET"), f"GET {_EU}/admin"),
        ((_ANY, "/admin", "GET"), (_EU, "/admin", "POST"), f"GET {_EU}/admin"),
    ],
)
def test_a_team_gets_what_the_root_leaves(root: tuple[str, str, str], team: tuple[str, str, str], asked: str) -> None:
    """The negative control: these are accepted, and the look-up gives the root what is the root's."""
    method, url = asked.split(" ")
    route = compile_all(root=_root(*root), t=_team(*team)).route(make_request(method, url))
    assert (route.target.resource, [rule.id for rule in route.rules.guards]) == ("ledger", ["audited", "people-only"])


def _names(ruleset: Ruleset, request: Request) -> str:
    """Return the resource that a request means; empty for none."""
    try:
        return ruleset.route(request).target.resource
    except Refusal:
        return ""


_STEPS = st.sampled_from(["a", "b", "{NAME}"])
_LAST = st.sampled_from(["a", "b", "", "{NAME}", "{NAME=**}"])
_PATHS = [
    "/" + "/".join((*steps, last))
    for length in range(3)
    for steps in product("ab", repeat=length)
    for last in ("a", "b", "")
]


@st.composite
def _matches(draw: st.DrawFn) -> tuple[str, str, str]:
    """Return host, path template and method of a declaration."""
    steps = [*draw(st.lists(_STEPS, max_size=2)), draw(_LAST)]
    path = "/" + "/".join(step.replace("NAME", f"p{position}") for position, step in enumerate(steps))
    return draw(st.sampled_from([_EU, _ANY])), path, draw(st.sampled_from(["GET", "HEAD"]))


@given(_matches(), _matches())
def test_what_is_accepted_leaves_every_request_to_the_root(
    root: tuple[str, str, str], team: tuple[str, str, str]
) -> None:
    """Whatever means the root's resource without the team's file still means it with that file."""
    alone = compile_all(root=_root(*root))
    try:
        together = compile_all(root=_root(*root), t=_team(*team))
    except PolicyError:
        return
    for path, host, method in product(_PATHS, (_EU, "us.pay.example.com"), ("GET", "HEAD")):
        request = make_request(method, f"{host}{path}")
        if _names(alone, request) == "ledger":
            assert _names(together, request) == "ledger", (root, team, path)
