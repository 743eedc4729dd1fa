"""`mcp`: which tools, prompts, resources and methods of a server are used."""

from __future__ import annotations

import json
from typing import Any

import pytest

from extauthz.model.reason import Reason
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.policy.requirements.mcp import ALWAYS
from extauthz.policy.rules import MET, Unmet
from tests.simulators.policies import found, json_body, make_facts, make_request, refused

TOOLS = "{tools: [read_ticket]}"


def asked(method: str, **params: Any) -> Any:
    """Return the facts of a message."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    return make_facts(request=make_request("POST", **json_body(body)))


@pytest.mark.parametrize(
    ("argument", "method", "params", "holds"),
    [
        (TOOLS, "tools/call", {"name": "read_ticket"}, True),
        (TOOLS, "tools/call", {"name": "Read_ticket"}, False),
        (TOOLS, "tools/call", {"name": "delete_ticket"}, False),
        (TOOLS, "tools/list", {}, True),
        (TOOLS, "prompts/list", {}, False),
        (TOOLS, "prompts/get", {"name": "read_ticket"}, False),
        (TOOLS, "resources/read", {"uri": "read_ticket"}, False),
        (TOOLS, "some/new-method", {}, False),
        (TOOLS, "completion/complete", {}, False),
        ("{methods: [completion/complete]}", "completion/complete", {}, True),
        ("{methods: [completion/complete]}", "tools/list", {}, False),
        ("{prompts: [daily]}", "prompts/get", {"name": "daily"}, True),
        ("{prompts: [daily]}", "prompts/list", {}, True),
        ("{resources: ['file:///docs/*']}", "resources/read", {"uri": "file:///docs/a"}, True),
        ("{resources: ['file:///docs/*']}", "resources/subscribe", {"uri": "file:///docs/a"}, True),
        ("{resources: ['file:///docs/*']}", "resources/read", {"uri": "file:///docs"}, False),
        ("{resources: ['file:///docs/*']}", "resources/read", {"uri": "file:///docs/../etc"}, False),
        ("{resources: ['file:///docs/*']}", "resources/read", {"uri": "file:///docs/%2e%2e/etc"}, False),
        ("{resources: ['file:///docs/*']}", "resources/read", {"uri": "file:///docs/..\\etc"}, False),
        ("{resources: ['file:///docs/*']}", "resources/templates/list", {}, True),
        ("{resources: ['file:///a%20b']}", "resources/read", {"uri": "file:///a%20b"}, True),
    ],
)
def test_only_what_is_listed_is_allowed(argument: str, method: str, params: dict[str, Any], holds: bool) -> None:
    """By its exact name; a resource also by its beginning, unless it could lead elsewhere."""
    finding = found("mcp", argument, asked(method, **params))
    assert (finding is MET) is holds
    if not holds:
        assert isinstance(finding, Unmet)
        assert finding.reason is Reason.TOOL_NOT_ALLOWED


@pytest.mark.parametrize("method", sorted(ALWAYS))
def test_beginning_and_ending_is_always_allowed(method: str) -> None:
    """Nothing is done by it."""
    assert found("mcp", TOOLS, asked(method)) is MET


@pytest.mark.parametrize(
    ("argument", "fix"),
    [
        ("{methods: [tools/call]}", "list names under `tools`, `prompts` or `resources`"),
        ("{methods: [ping]}", "leave it out: it is always allowed"),
        ("{methods: [tools/lst]}", "tools/list"),
        ("{resources: ['file:///*/a*']}", "file:///docs/*"),
    ],
)
def test_slips_are_found(argument: str, fix: str) -> None:
    """With what to write instead."""
    assert fix in refused("mcp", argument).fix


def test_headers_count_only_where_messages_are_read() -> None:
    """So that questions elsewhere are not told apart by them."""
    resource = "{name: a, action: b, match: {host: a.example, path: /, methods: [POST]}}"
    for require, read in ((f"mcp: {TOOLS}", True), ("roles: [a]", False)):
        policy = f"resources: [{resource}]\npermits: [{{id: p, who: anyone, may: a.b, require: [{{{require}}}]}}]\n"
        ruleset = compile_policy({"p.yaml": policy.encode()}, PolicyContext())
        assert ("mcp-name" in ruleset.headers_read) is read
