"""A case's request is what Envoy would send for it, read back by the decoder that serves."""

from __future__ import annotations

from typing import Any

import pytest

from extauthz.errors import FileError, Refusal
from extauthz.model.request import BodyState
from extauthz.policytools.adhoc import to_case
from extauthz.policytools.caseform import RequestForm
from extauthz.policytools.wire import to_question
from extauthz.request.decode import decode

BASE: dict[str, Any] = {"host": "api.example.com", "path": "/orders"}


def decoded(**fields: Any) -> Any:
    """Return the request that is decoded from a case's question."""
    return decode(to_question(RequestForm.model_validate({**BASE, **fields})))


def test_addresses_queries_and_the_connection() -> None:
    """Parameters are encoded and added to those in the path."""
    request = decoded(
        path="/orders?a=1",
        query={"b": ["x y", "&"]},
        source="198.51.100.7",
        principal="spiffe://a/b",
        sni="api.example.com",
        context={"zone": "a"},
    )
    assert request.query == (("a", "1"), ("b", "x y"), ("b", "&"))
    assert (request.source.address, request.source.principal) == ("198.51.100.7", "spiffe://a/b")
    assert (request.source.sni, request.context) == ("api.example.com", {"zone": "a"})
    assert (request.method, request.host, request.path) == ("GET", "api.example.com", "/orders")


def test_header_lines_are_shown_one_by_one_or_merged() -> None:
    """As with `encode_raw_headers`, and without."""
    lines = decoded(headers={"x-a": ["1", "2"]}).headers
    assert (lines.all("x-a"), lines.exact) == (("1", "2"), True)
    merged = decoded(headers={"x-a": ["1", "2"]}, merged_headers=True).headers
    assert (merged.all("x-a"), merged.exact) == (("1,2",), False)


@pytest.mark.parametrize(
    ("fields", "raw", "content_type"),
    [
        ({"body": {"a": 1}}, b'{"a": 1}', "application/json"),
        ({"body": {"a": 1}, "headers": {"Content-Type": "text/json"}}, b'{"a": 1}', "text/json"),
        ({"body": "plain"}, b"plain", None),
        ({"form": {"a": ["1", "2"]}}, b"a=1&a=2", "application/x-www-form-urlencoded"),
    ],
)
def test_bodies(fields: dict[str, Any], raw: bytes, content_type: str | None) -> None:
    """Mappings as JSON, forms as forms, text as it is; a content type that is given stays."""
    headers = {name.lower(): value for name, value in fields.get("headers", {}).items()}
    request = decoded(method="POST", **fields | {"headers": headers})
    assert (request.body.state, request.body.raw) == (BodyState.COMPLETE, raw)
    assert request.headers.first("content-type") == content_type


def test_a_body_that_envoy_could_not_buffer() -> None:
    """Is partial, whatever there is of it."""
    assert decoded(method="POST", body="cut", partial=True).body.state is BodyState.PARTIAL


def test_what_envoy_would_refuse_to_show_is_refused_by_the_decoder() -> None:
    """The case goes through the same reading as any request."""
    with pytest.raises(Refusal):
        decoded(path="/a/../../b%00")


def test_a_request_from_the_command_line() -> None:
    """With or without a scheme; bodies that are no JSON object are text; a wrong instant is told without a line."""
    case = to_case("api.example.com/orders?a=1", method="POST", headers=["X-A: 1", "x-a:2"], body="[1]")
    request = decode(case.question)
    assert (request.query, request.headers.all("x-a"), request.body.raw) == ((("a", "1"),), ("1", "2"), b"[1]")
    assert decode(to_case("https://a.example/", method="POST", body="{}").question).body.raw == b"{}"
    assert decode(to_case("https://a.example/", method="POST", body="{").question).body.raw == b"{"
    with pytest.raises(FileError, match="command line: not an instant"):
        to_case("https://a.example/", at="soon")
