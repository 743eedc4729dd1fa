"""Resources told apart by headers, bodies and forms, and a team's file, behind a real Envoy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from extauthz.demo.ask import Ask
from extauthz.demo.child import whole_lines
from extauthz.demo.run import find_record
from extauthz.demo.stage import Script, Stage
from tests.e2e.asks import eventually
from tests.e2e.conftest import ROOT
from tests.simulators.decisionpoint import deciding

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.envoy

ROOT_FILE = """\
root: true
owner: platform
includes: [teams/orders.yaml]
namespaces: {orders: {hosts: api.example.com, owner: team-orders}}
lists: {calm: [low, normal]}
forbids:
  - {id: nobody-deletes, on: "*", when: resource.name == "order" && resource.action == "delete"}
"""

TEAM_FILE = """\
namespace: orders
constants: {largest: 5}
resources:
  - name: order
    action: create
    credential: none
    match: {host: api.example.com, path: /orders, methods: [POST], body: {type: new}}
    attributes: {size: {from: body.size, type: int, default: 1}}
  - name: order
    action: delete
    credential: none
    match: {host: api.example.com, path: /orders, methods: [POST], body: {type: delete}}
    attributes: {size: {from: body.size, type: int, default: 1}}
  - name: mood
    action: set
    credential: none
    body: form
    match: {host: api.example.com, path: /mood, methods: [POST], headers: {x-version: ["1", "2"]}}
    attributes: {mood: {from: body.mood, one_of: $calm}}
  - name: shipment
    action: read
    credential: none
    match: {host: api.example.com, path: "/shipments/{shipment}", methods: [GET]}
    attributes: {shipment: path.shipment}
  - name: tools
    action: use
    credential: none
    match: {host: api.example.com, path: /mcp, methods: [POST]}
permits:
  - {id: shipments, who: anyone, may: shipment.read, require: [{external: {ask: pdp, id: resource.shipment}}]}
  - {id: tools, who: anyone, may: tools.use, require: [{mcp: {tools: [search]}}]}
  - {id: small-orders, who: anyone, may: order.create, when: resource.size <= constants.largest, record: sampled}
  - {id: moods, who: anyone, may: "*"}
""".replace('may: "*"', "may: mood.set")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Run a policy of a root and a team."""
    folder = tmp_path_factory.mktemp("language")
    policy = folder / "policy"
    (policy / "teams").mkdir(parents=True)
    (policy / "root.yaml").write_text(ROOT_FILE)
    (policy / "teams" / "orders.yaml").write_text(TEAM_FILE)

    with deciding() as point:

        def change(settings: dict[str, Any]) -> None:
            settings["policy"] = [str(policy / "root.yaml")]
            settings["decision_points"] = {"pdp": {"url": point.url}}

        with Stage(Script(root=ROOT, folder=folder, change_settings=change)) as running:
            yield running


JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


def post(stage: Stage, path: str, body: str, content_type: str, **headers: str) -> tuple[int, str]:
    """Return status and reason."""
    lines = [("content-type", content_type), *((name.replace("_", "-"), value) for name, value in headers.items())]
    answer = stage.edge.send(Ask(method="POST", path=path, headers=tuple(lines), body=body.encode()))
    return answer.status, answer.headers.get("x-extauthz-reason", "")


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ('{"type": "new"}', 200, ""),
        ('{"type": "new", "size": 5}', 200, ""),
        ('{"type": "new", "size": 6}', 403, "no_permit"),
        ('{"type": "delete"}', 403, "forbidden"),
        ('{"type": "New"}', 403, "no_resource"),
        ("{}", 403, "no_resource"),
        ('{"type": "new", "type": "delete"}', 400, "unreadable_body"),
        ('{"type": "new", "Type": "delete"}', 400, "unreadable_body"),
        ("type=new", 400, "unreadable_body"),
        ("", 400, "unreadable_body"),
    ],
)
def test_the_body_says_what_is_meant(stage: Stage, body: str, status: int, reason: str) -> None:
    """Also when the same question was decided a moment before."""
    for _ in range(2):
        assert post(stage, "/orders", body, JSON) == (status, reason)


@pytest.mark.parametrize(
    ("body", "version", "status", "reason"),
    [
        ("mood=low", "1", 200, ""),
        ("mood=n%6Frmal", "2", 200, ""),
        ("mood=low", "3", 403, "no_resource"),
        ("mood=angry", "1", 400, "unreadable_body"),
        ("mood=low&mood=normal", "1", 400, "unreadable_body"),
        ("mood=low&mood[]=normal", "1", 400, "unreadable_body"),
        ("mood=low;x=1", "1", 400, "unreadable_body"),
        ("mood=low&_method=DELETE", "1", 400, "unreadable_body"),
    ],
)
def test_a_header_and_a_form_say_what_is_meant(stage: Stage, body: str, version: str, status: int, reason: str) -> None:
    """A kept decision for one value of the header is none for another."""
    for _ in range(2):
        assert post(stage, "/mood", body, FORM, x_version=version) == (status, reason)


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason"),
    [
        ('{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "search"}}', {}, 200, ""),
        (
            '{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "shell"}}',
            {},
            403,
            "tool_not_allowed",
        ),
        (
            '{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "search"}}',
            {"mcp_name": "shell"},
            400,
            "malformed_request",
        ),
        ('[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]', {}, 400, "unreadable_body"),
        ('{"jsonrpc": "2.0", "id": 1, "method": "ping"}', {}, 200, ""),
    ],
)
def test_tools_are_called_by_name(stage: Stage, body: str, headers: dict[str, str], status: int, reason: str) -> None:
    """A kept decision for one tool, or one header, is none for another."""
    for _ in range(2):
        assert post(stage, "/mcp", body, JSON, **headers) == (status, reason)


def test_another_decision_point_is_asked(stage: Stage) -> None:
    """It refuses one thing and allows others, also when it was asked before."""
    for _ in range(2):
        assert stage.edge.send(Ask(path="/shipments/7")).status == 200
        refused = stage.edge.send(Ask(path="/shipments/13"))
        assert (refused.status, refused.reason) == (403, "external_denied")


def test_records_say_whose_decision_it_was(stage: Stage) -> None:
    """The team's permit, and the root's forbid."""
    for body, rule, namespace, owner in (
        ('{"type": "new", "size": 2}', "orders/small-orders", "orders", "team-orders"),
        ('{"type": "delete", "size": 2}', "nobody-deletes", None, "platform"),
    ):
        post(stage, "/orders", body, JSON)
        found: list[dict[str, object] | None] = []

        def is_recorded(rule: str = rule, found: list[dict[str, object] | None] = found) -> bool:
            found.append(find_record(whole_lines(stage.records), f'"rule":"{rule}"'))
            return found[-1] is not None

        assert eventually(is_recorded)
        record = found[-1] or {}
        assert (record.get("namespace"), record["policy_owner"]) == (namespace, owner)
