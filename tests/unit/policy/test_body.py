"""The body is read completely and in one way, or the request is refused."""

from __future__ import annotations

from typing import Any

import pytest

from extauthz.errors import Refusal
from extauthz.model.reason import Reason
from extauthz.model.request import Body, BodyState, Headers
from extauthz.policy.body import find_member, read_json_body
from tests.simulators.policies import json_body, make_request


def refusal_of(**fields: Any) -> Refusal:
    """Return the refusal of a request with this body."""
    with pytest.raises(Refusal) as caught:
        read_json_body(make_request("POST", **fields))
    assert caught.value.reason is Reason.UNREADABLE_BODY
    assert caught.value.detail
    return caught.value


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/merge-patch+json",
    ],
)
def test_a_complete_json_object_is_read(content_type: str) -> None:
    """By any of the media types that mean JSON in UTF-8."""
    request = make_request("POST", **json_body(b'{"a": 1}', content_type=content_type, content_encoding="identity"))
    assert read_json_body(request) == {"a": 1}


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/jsonx",
        "application/x-www-form-urlencoded",
        "application/json, text/plain",
        "application/json; charset=utf-16",
        "application/json; boundary=x",
        "application/json;",
        "text/json+json",
    ],
)
def test_another_media_type_is_refused(content_type: str) -> None:
    """What an upstream might not read as JSON, policy does not either."""
    assert refusal_of(**json_body(b"{}", content_type=content_type)).inner == "body: content-type"


def test_a_missing_or_doubled_media_type_is_refused() -> None:
    """Without a type nobody knows what it is; with two, everybody may know another."""
    body = Body(BodyState.COMPLETE, b"{}")
    refusal_of(body=body)
    refusal_of(body=body, headers=Headers({"content-type": ("application/json",) * 2}, exact=True))


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip"])
def test_a_compressed_body_is_refused(encoding: str) -> None:
    """Policy does not decompress."""
    assert refusal_of(**json_body(b"{}", content_encoding=encoding)).inner == "body: content-encoding"


@pytest.mark.parametrize("state", [BodyState.ABSENT, BodyState.PARTIAL])
def test_a_body_that_is_not_all_there_is_refused(state: BodyState) -> None:
    """Absent and cut off are not empty: the upstream may see more."""
    fields = json_body(b"{}") | {"body": Body(state, b"{}")}
    assert refusal_of(**fields).inner == f"body: {state.value}"


@pytest.mark.parametrize("raw", [b"", b"[]", b"1", b'{"a": 1, "a": 2}', b'{"a": NaN}', b"{", b"\xff"])
def test_what_is_not_one_json_object_is_refused(raw: bytes) -> None:
    """Above all an object that names a member twice, of which readers take either."""
    refusal_of(**json_body(raw))


def test_members_are_found_by_path() -> None:
    """Through objects; None where there is nothing."""
    body = {"a": {"b": "x"}, "n": 1}
    assert find_member(body, ("a", "b")) == "x"
    assert find_member(body, ("n",)) == 1
    assert find_member(body, ("a", "c")) is None
    assert find_member(body, ("c", "d")) is None


@pytest.mark.parametrize(
    ("body", "inner"),
    [
        ({"a": 1}, "not an object"),
        ({"a": [{"b": 1}]}, "not an object"),
        ({"a": {"b": 1, "B": 2}}, "case twin"),
        ({"A": {}, "a": {"b": 1}}, "case twin"),
        ({"A": {"b": 1}}, "case twin"),
        ({"a": {"b": None}}, "null"),
    ],
)
def test_a_member_that_readers_could_take_otherwise_is_refused(body: dict[str, Any], inner: str) -> None:
    """A scalar where an object is due, another spelling that some readers accept, and null."""
    with pytest.raises(Refusal) as caught:
        find_member(body, ("a", "b"))
    assert (caught.value.reason, caught.value.inner) == (Reason.UNREADABLE_BODY, f"body: {inner}")
