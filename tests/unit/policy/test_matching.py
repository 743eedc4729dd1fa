"""Resources on one host, path and method are told apart by what else a request has, or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from extauthz.errors import Refusal
from extauthz.model.reason import Reason
from extauthz.model.request import Headers
from extauthz.policy.matching import Fork
from tests.simulators.policies import compile_text, json_body, make_request, only_problem, problems_in

HEAD = "resources:\n"


def resource(name: str, extra: str, **fields: str) -> str:
    """Return a resource on `POST h/a` that is told apart by `extra`."""
    rest = "".join(f", {key}: {value}" for key, value in fields.items())
    return f"  - {{name: {name}, action: do, match: {{host: h, path: /a, methods: [POST], {extra}}}{rest}}}\n"


BY_HEADER = HEAD + resource("one", "headers: {x-kind: [a, b]}") + resource("two", "headers: {x-kind: c}")
BY_BODY = HEAD + resource("one", "body: {order.kind: 1}") + resource("two", 'body: {order.kind: "1"}')


def chosen(text: str, **fields: Any) -> str:
    """Return the resource that a request means."""
    return compile_text(text).route(make_request("POST", "h/a", **fields)).target.resource


def refusal_of(text: str, **fields: Any) -> Refusal:
    """Return the refusal of a request."""
    with pytest.raises(Refusal) as caught:
        chosen(text, **fields)
    return caught.value


def with_kind(*values: str, exact: bool = True) -> dict[str, Any]:
    """Return fields with lines of `x-kind`."""
    return {"headers": Headers({"x-kind": values} if values else {}, exact=exact)}


def test_a_header_tells_them_apart() -> None:
    """Exactly, in case too; what none declares means nothing, and there is nothing to fall back to."""
    assert chosen(BY_HEADER, **with_kind("a")) == chosen(BY_HEADER, **with_kind("b")) == "one"
    assert chosen(BY_HEADER, **with_kind("c")) == "two"
    for kinds in ((), ("A",), ("d",), ("",), ("a ",)):
        refusal = refusal_of(BY_HEADER, **with_kind(*kinds))
        assert refusal.reason is Reason.NO_RESOURCE
        assert refusal.detail == "What is meant here is decided by: header x-kind."


def test_what_is_there_twice_is_refused() -> None:
    """Nobody knows which one the upstream takes, also where Envoy may have joined lines."""
    assert refusal_of(BY_HEADER, **with_kind("a", "c")).reason is Reason.MALFORMED_REQUEST
    assert refusal_of(BY_HEADER, **with_kind("a,c", exact=False)).reason is Reason.MALFORMED_REQUEST


def test_matched_headers_are_named_in_questions() -> None:
    """Otherwise a kept decision for one value would answer another."""
    assert compile_text(BY_HEADER).headers_read == {"x-kind"}


def test_query_and_context_tell_them_apart() -> None:
    """Both at once; every distinction must fit."""
    text = HEAD + resource("one", "query: {v: a}, context: {route: x}") + resource("two", "query: {v: b}")
    assert chosen(text, query=(("v", "a"),), context={"route": "x"}) == "one"
    assert chosen(text, query=(("v", "b"),), context={"route": "x"}) == "two"
    assert refusal_of(text, query=(("v", "a"),), context={"route": "y"}).reason is Reason.NO_RESOURCE
    assert refusal_of(text, query=(("v", "a"), ("v", "b"))).reason is Reason.MALFORMED_REQUEST


def test_a_member_of_the_body_tells_them_apart() -> None:
    """By type too: JSON has numbers, and `true` is not 1."""
    assert chosen(BY_BODY, **json_body(b'{"order": {"kind": 1}}')) == "one"
    assert chosen(BY_BODY, **json_body(b'{"order": {"kind": "1"}}')) == "two"
    for raw in (b"{}", b'{"order": {"kind": true}}', b'{"order": {"kind": 1.0}}', b'{"order": {"kind": [1]}}'):
        assert refusal_of(BY_BODY, **json_body(raw)).reason is Reason.NO_RESOURCE
    for raw in (b"", b"[1]", b'{"order": 1}', b'{"order": {"kind": null}}', b'{"order": {"kind": 1, "Kind": 2}}'):
        assert refusal_of(BY_BODY, **json_body(raw)).reason is Reason.UNREADABLE_BODY


def test_a_field_of_a_form_tells_them_apart() -> None:
    """As text."""
    text = HEAD + "".join(resource(name, f"body: {{kind: {name}}}", body="form") for name in ("one", "two"))
    form = "application/x-www-form-urlencoded"
    assert chosen(text, **json_body(b"kind=two", content_type=form)) == "two"
    assert refusal_of(text, **json_body(b"kind=2", content_type=form)).reason is Reason.NO_RESOURCE
    assert refusal_of(text, **json_body(b'{"kind": "two"}')).reason is Reason.UNREADABLE_BODY


def test_an_unreadable_body_is_refused_whichever_was_meant() -> None:
    """A request cannot choose the resource that does not look, by a header that the upstream may ignore."""
    text = (
        HEAD
        + resource("paid", "headers: {x-kind: paid}", attributes="{amount: {from: body.amount, type: int}}")
        + resource("free", "headers: {x-kind: free}")
    )
    refusal = refusal_of(text, headers=Headers({"x-kind": ("free",)}, exact=True))
    assert refusal.reason is Reason.UNREADABLE_BODY
    assert chosen(text, **json_body(b"{}", x_kind="free")) == "free"


def test_a_single_resource_may_ask_for_more() -> None:
    """It is then not meant by requests without it."""
    text = HEAD + resource("one", "headers: {x-kind: a}")
    assert chosen(text, **with_kind("a")) == "one"
    assert refusal_of(text).reason is Reason.NO_RESOURCE


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("headers: {x-kind: a}", "headers: {x-kind: [b, a]}"),
        ("headers: {x-kind: a}", "headers: {x-other: b}"),
        ("headers: {x-kind: a}", "query: {x-kind: b}"),
        ("headers: {x-kind: a}", "headers: {}"),
        ("body: {kind: 1}", "body: {kind: [1, 2]}"),
    ],
)
def test_what_one_request_could_have_both_of_is_an_error(first: str, second: str) -> None:
    """The proof is closed values of the same thing; anything less is ambiguous, in either order."""
    for one, other in ((first, second), (second, first)):
        problem = only_problem(HEAD + resource("one", one) + resource("two", other))
        assert (problem.line, "p.yaml:2 declares the same host, path and method" in problem.message) == (3, True)
        assert "tell them apart" in problem.fix


def test_one_body_is_read_in_one_way() -> None:
    """JSON for one resource and a form for another would let the content type choose."""
    text = HEAD + resource("one", "headers: {x: a}, body: {kind: a}")
    problem = only_problem(text + resource("two", "headers: {x: b}, body: {kind: a}", body="form"))
    assert problem.line == 3
    assert "reads the body of the same requests otherwise" in problem.message


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("headers: {X-Kind: a}", "`X-Kind` is not a lower-case header name"),
        ("headers: {authorization: a}", "a credential cannot be an attribute"),
        ("headers: {x-kind: []}", "must not be empty"),
        ('headers: {x-kind: ""}', "must not be empty"),
        ("headers: {x-kind: 1}", "must be text"),
        ("headers: {x-kind: [a, a]}", "`a` stands twice"),
        ("body: {a..b: x}", "empty member name"),
        ('body: {a: ""}', "an empty value means nothing"),
        ("body: {a: [1, 1]}", "`1` stands twice"),
        ("body: {a: 1.5}", "must be text, a whole number"),
        ("header: {x-kind: a}", "unknown key `header`"),
    ],
)
def test_distinctions_are_checked(extra: str, message: str) -> None:
    """A wrong one would silently fit nothing."""
    assert any(message in problem.message for problem in problems_in(HEAD + resource("one", extra)))


def test_a_form_has_texts_only() -> None:
    """A number there would never fit."""
    problem = only_problem(HEAD + resource("one", "body: {a: 1}", body="form"))
    assert "`1` is not text" in problem.message


def test_saying_how_a_body_is_read_that_nobody_reads_is_an_error() -> None:
    """It would look as if the body decided something."""
    assert "nothing here reads the body" in only_problem(HEAD + resource("one", "", body="json")).message


def test_a_preflight_is_answered_when_all_allow_it() -> None:
    """It has neither headers nor body of the request that it asks about."""

    def preflight(*allowed: str) -> bool:
        names = zip(("one", "two"), allowed, strict=True)
        text = HEAD + "".join(resource(name, f"headers: {{x-kind: {name}}}", preflight=yes) for name, yes in names)
        request = make_request("OPTIONS", "h/a", preflight_method="POST")
        return compile_text(text).route(request).preflight_only

    assert preflight("true", "true")
    with pytest.raises(Refusal):
        preflight("true", "false")


def test_plain_resources_are_not_slowed_down() -> None:
    """Their index entry is the route itself; the same fork serves every host of its resources."""
    text = (
        HEAD
        + resource("one", "").replace("host: h", "host: [h, i]")
        + resource("two", "query: {q: a}").replace("/a", "/b")
    )
    ruleset = compile_text(text)
    assert not isinstance(ruleset.index.find("h", ("a",), "POST"), Fork)
    assert isinstance(ruleset.index.find("h", ("b",), "POST"), Fork)
    assert ruleset.index.find("h", ("a",), "POST") is ruleset.index.find("i", ("a",), "POST")
