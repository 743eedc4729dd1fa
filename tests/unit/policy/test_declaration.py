"""What a resource declares, and every way to declare it wrong."""

from __future__ import annotations

import pytest

from extauthz.errors import Refusal
from extauthz.model.request import Headers
from tests.simulators.policies import compile_text, make_request, only_problem, problems_in

RESOURCE = """\
resources:
  - name: order
    action: read
    match: {host: [api.example.com, "*.example.org"], path: "/orders/{order}/{rest=**}", methods: GET}
"""
URL = "api.example.com/orders/7/a"


def test_a_full_declaration_is_understood() -> None:
    """Every attribute form, upgrades, forwarded credentials."""
    ruleset = compile_text(
        RESOURCE
        + """\
    upgrades: [websocket]
    forward: [x-vault-token]
    attributes:
      order: path.order
      rest: path.rest
      tenant: {value: acme}
      weight: {value: 7}
      sealed: {value: true}
      page: {from: query.page, type: int, optional: true}
      level: {from: header.x-level, type: int, one_of: [1, 2]}
      urgent: {from: context.urgent, type: bool}
"""
    )
    request = make_request(
        "GET",
        "www.example.org/orders/7/a/b",
        headers=Headers({"x-level": ("2",)}, exact=True),
        context={"urgent": "true"},
    )
    route = ruleset.route(request)
    assert route.read_attributes(request) == {
        "order": "7", "rest": "a/b", "tenant": "acme", "weight": 7, "sealed": True, "level": 2,
        "urgent": True,
    }  # fmt: skip
    assert route.upgrades == {"websocket"}
    assert route.target.forward == {"x-vault-token"}


@pytest.mark.parametrize(
    ("attribute", "message", "fix"),
    [
        ("a: path.ordr", "the path has no `{ordr}`", "`order`"),
        ("a: pth.order", "nowhere in a request", "`path`"),
        ("a: query", "nowhere in a request", "query.name"),
        ("a: header.X-Env", "not a lower-case header name", "`x-env`"),
        ("a: header.authorization", "credential", "records"),
        ("a: header.cookie", "credential", "records"),
        ("a: body.a..b", "empty member", ""),
        ("A: path.order", "cannot name an attribute", ""),
        ("name: path.order", "cannot name an attribute", ""),
        ("in: path.order", "cannot name an attribute", "CEL"),
        ("a: {from: path.order, value: x}", "exactly one of", ""),
        ("a: {optional: true}", "exactly one of", ""),
        ("a: {value: x, optional: true}", "fixed value", "remove"),
        ("a: {value: ''}", "never empty", ""),
        ("a: {value: [x]}", "must be text, a whole number", ""),
        ("a: {value: 1.5}", "must be text, a whole number", ""),
        ("a: {from: query.a, one_of: [x, 1]}", "`1` is not a string", "quote it"),
        ("a: {from: query.a, type: int, one_of: [x]}", "`x` is not a int", "type"),
        ("a: {from: query.a, one_of: []}", "must not be empty", ""),
        ("a: {from: query.a, type: text}", "'string'", ""),
        ("a: {form: query.a}", "unknown key `form`", "`from`"),
        ("a: 7", "must be a mapping", ""),
        ("a:", "there is nothing here", "remove the key"),
        ("a: header.dpop", "credential", "records"),
        ("a: {from: query.a, one_of: [x, y, x]}", "`x` stands twice", ""),
        ("a: {from: query.a, one_of: [x, '']}", "never empty", ""),
        ("a: {value: x, default: y}", "fixed value", "remove"),
        ("a: {from: path.order, default: x}", "never missing", "remove `default`"),
        ("a: {from: query.a, optional: false, default: x}", "may be missing", "remove"),
        ("a: {from: query.a, default: 1}", "`1` is not a string", "quote it"),
        ("a: {from: query.a, type: int, default: x}", "`x` is not a int", ""),
        ("a: {from: query.a, type: int, default: true}", "`True` is not a int", ""),
        ("a: {from: query.a, one_of: [staging, prod], default: stagin}", "not among `one_of`", "`staging`"),
        ("a: {from: query.a, default: ''}", "never empty", ""),
        (f"a: {{from: query.a, default: {'x' * 1025}}}", "at most 1024 characters", "shorten"),
        (f"a: {{value: {'x' * 1025}}}", "at most 1024 characters", "shorten"),
    ],
)
def test_a_wrong_attribute_is_a_problem_with_a_fix(attribute: str, message: str, fix: str) -> None:
    """Each slip is found at load, at its line."""
    problem = only_problem(f"{RESOURCE}    attributes:\n      {attribute}\n")
    assert problem.line == 6
    assert message in problem.message
    assert fix in problem.fix


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: order", "name: my order", "not a name"),
        ("action: read", "action: 1read", "not a name"),
        ("action: read", "actoin: read", "unknown key `actoin`"),
        ("api.example.com", "API.example.com", "is not a host"),
        ("methods: GET", "methods: [get]", "no such method"),
        ("methods: GET", "methods: []", "must not be empty"),
        ("/orders/{order}/", "orders/{order}/", "begins with `/`"),
        ("action: read", "action: read\n    credential: none\n    verify: x", "no credential to verify"),
        ("action: read", "action: read\n    credential: basic", "'bearer'"),
        ("action: read", "action: read\n    upgrades: [WebSocket]", "not a lower-case name"),
        ("action: read", "action: read\n    forward: [X-Token]", "not a lower-case name"),
        ("action: read", "action: read\n    preflight: 'true'", "true or false"),
    ],
)
def test_a_wrong_resource_is_a_problem(old: str, new: str, message: str) -> None:
    """Each slip is found at load."""
    text = RESOURCE.replace(old, new)
    assert text != RESOURCE
    assert any(message in problem.message for problem in problems_in(text))


def test_all_problems_of_a_resource_are_reported() -> None:
    """Template, names, profile and attributes at once; an attribute is not blamed for the template."""
    text = RESOURCE.replace("name: order", "name: a b").replace('"/orders', '"orders')
    problems = problems_in(text + "    attributes: {order: path.order, x: query}\n")
    assert [problem.line for problem in problems] == [2, 4, 5]


@pytest.mark.parametrize(("query", "env"), [((), "dev"), ((("env", "prod"),), "prod")])
@pytest.mark.parametrize("optional", ["", "optional: true, "])
def test_a_default_stands_for_what_is_missing(query: tuple[tuple[str, str], ...], env: str, optional: str) -> None:
    """And for nothing else."""
    attribute = f"env: {{from: query.env, one_of: [dev, prod], {optional}default: dev}}"
    route = compile_text(RESOURCE + f"    attributes: {{{attribute}}}\n").route(make_request("GET", URL))
    assert route.read_attributes(make_request("GET", URL, query=query)) == {"env": env}


@pytest.mark.parametrize("value", ["", "test"])
def test_a_default_does_not_stand_for_what_is_wrong(value: str) -> None:
    """Empty or not declared is refused all the same; a default of false is one."""
    attribute = (
        "env: {from: query.env, one_of: [dev, prod], default: dev}, flag: {from: query.f, type: bool, default: false}"
    )
    route = compile_text(RESOURCE + f"    attributes: {{{attribute}}}\n").route(make_request("GET", URL))
    with pytest.raises(Refusal):
        route.read_attributes(make_request("GET", URL, query=(("env", value),)))
    assert route.read_attributes(make_request("GET", URL))["flag"] is False


def test_the_header_of_the_credential_is_no_attribute() -> None:
    """Whatever it is called; elsewhere it is a header like any other."""
    attribute = "    attributes: {key: header.x-api-key}\n"
    problem = only_problem(RESOURCE.replace("action: read", "action: read\n    credential: api_key") + attribute)
    assert "carries the credential" in problem.message
    assert compile_text(RESOURCE + attribute).counts.resources == 1
