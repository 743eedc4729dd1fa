"""Messages of the Model Context Protocol: one reading, or a refusal with 400."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extauthz.errors import Refusal
from extauthz.model.reason import Reason
from extauthz.model.request import Body, BodyState, Headers
from extauthz.policy.mcpmessage import RESPONSE, Message, read_message
from tests.simulators.policies import make_request

NEWEST = "2026-07-28"
CALL = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "read_ticket"}}
NEW_CALL = {
    **CALL,
    "params": {"name": "read_ticket", "_meta": {"io.modelcontextprotocol/protocolVersion": NEWEST}},
}
NEW_HEADERS = {"mcp-protocol-version": NEWEST, "mcp-method": "tools/call", "mcp-name": "read_ticket"}


def read(body: object, headers: dict[str, Any] | None = None) -> Message:
    """Return the message in a body; a header that is given as a tuple is sent so often."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {"content-type": "application/json", **(headers or {})}
    shown = Headers(
        {name: value if isinstance(value, tuple) else (value,) for name, value in lines.items()}, exact=True
    )
    return read_message(make_request("POST", "api.example.com/mcp", body=Body(BodyState.COMPLETE, raw), headers=shown))


def reason_of(body: object, headers: dict[str, Any] | None = None) -> Reason:
    """Return why a message is refused."""
    with pytest.raises(Refusal) as caught:
        read(body, headers)
    return caught.value.reason


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (CALL, Message("tools/call", "read_ticket")),
        ({**CALL, "id": "a"}, Message("tools/call", "read_ticket")),
        ({"jsonrpc": "2.0", "method": "notifications/initialized"}, Message("notifications/initialized")),
        ({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"cursor": "x"}}, Message("tools/list")),
        (
            {"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": "file:///a"}},
            Message("resources/read", "file:///a"),
        ),
        ({"jsonrpc": "2.0", "id": 1, "result": {}}, Message(RESPONSE)),
        ({"jsonrpc": "2.0", "id": 1, "error": {"code": 1}}, Message(RESPONSE)),
    ],
)
def test_messages_are_read(body: object, message: Message) -> None:
    """Requests, notifications and responses."""
    assert read(body) == message


@pytest.mark.parametrize(
    "body",
    [
        [CALL],
        {**CALL, "jsonrpc": "1.0"},
        {**CALL, "jsonrpc": 2.0},
        {**CALL, "id": None},
        {**CALL, "id": 1.5},
        {**CALL, "id": True},
        {**CALL, "method": 7},
        {**CALL, "method": ""},
        {**CALL, "method": RESPONSE},
        {**CALL, "method": "tools call"},
        {**CALL, "result": {}},
        {**CALL, "params": []},
        {**CALL, "params": {}},
        {"jsonrpc": "2.0", "id": 7, "method": "tools/call"},
        {**CALL, "params": {"name": 7}},
        {**CALL, "params": {"name": ""}},
        {**CALL, "params": {"name": "x" * 129}},
        {**CALL, "params": {"name": "x" * 1_000_000}},
        {**CALL, "params": {"name": "read\0ticket"}},
        {**CALL, "params": {"name": "a", "Name": "b"}},
        {**CALL, "Method": "ping"},
        {"jsonrpc": "2.0", "id": 1},
        {"jsonrpc": "2.0", "id": 1, "result": {}, "error": {}},
        {"jsonrpc": "2.0", "result": {}},
        b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "method": "tools/list"}',
        b'{"jsonrpc": "2.0", "id": 1, "method": "ping"} {}',
        b'\xef\xbb\xbf{"jsonrpc": "2.0", "id": 1, "method": "ping"}',
        json.dumps(CALL).encode("utf-16"),
        b"",
    ],
)
def test_what_is_no_message_is_refused(body: object) -> None:
    """Batches, doubled members, other encodings, wrong types."""
    assert reason_of(body) is Reason.UNREADABLE_BODY


def test_a_compressed_body_is_refused() -> None:
    """We cannot read it."""
    assert reason_of(CALL, {"content-encoding": "gzip"}) is Reason.UNREADABLE_BODY


@pytest.mark.parametrize(
    "headers",
    [
        NEW_HEADERS,
        {**NEW_HEADERS, "mcp-name": f"=?base64?{base64.b64encode(b'read_ticket').decode()}?="},
        {**NEW_HEADERS, "mcp-session-id": "whatever"},
    ],
)
def test_headers_of_the_newest_version_agree_with_the_body(headers: dict[str, Any]) -> None:
    """In either spelling."""
    assert read(NEW_CALL, headers) == Message("tools/call", "read_ticket")


@pytest.mark.parametrize(
    "changed",
    [
        {"mcp-name": "safe_tool"},
        {"mcp-name": "=?base64?/w==?="},
        {"mcp-name": "=?base64?abc?="},
        {"mcp-method": "tools/list"},
        {"mcp-method": None},
        {"mcp-name": None},
        {"mcp-method": ("tools/call", "tools/call")},
        {"mcp-protocol-version": "newest"},
        {"mcp-protocol-version": "2027-01-01"},
    ],
)
def test_headers_that_do_not_agree_are_refused(changed: dict[str, Any]) -> None:
    """Somebody on the way may act on them."""
    headers = {name: value for name, value in {**NEW_HEADERS, **changed}.items() if value is not None}
    assert reason_of(NEW_CALL, headers) is Reason.MALFORMED_REQUEST


def test_older_versions_have_no_such_headers() -> None:
    """They are not asked for; where they are there all the same, they must agree."""
    for version in ({}, {"mcp-protocol-version": "2025-11-25"}):
        assert read(CALL, version) == Message("tools/call", "read_ticket")
        assert reason_of(CALL, {**version, "mcp-name": "safe_tool"}) is Reason.MALFORMED_REQUEST
    assert reason_of(CALL, NEW_HEADERS) is Reason.MALFORMED_REQUEST, "`_meta` says nothing"


def test_responses_need_no_headers() -> None:
    """They name no method."""
    assert read({"jsonrpc": "2.0", "id": 1, "result": {}}, {"mcp-protocol-version": NEWEST}) == Message(RESPONSE)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["jsonrpc", "id", "method", "params", "name", "uri", "result"]), inner, max_size=5
        )
    ),
    max_leaves=12,
)


@given(JSON, st.sampled_from([{}, NEW_HEADERS, {"mcp-name": "=?base64?abc?="}]))
def test_anything_is_read_or_refused(body: object, headers: dict[str, Any]) -> None:
    """Nothing else is raised, and what is read has a method."""
    try:
        message = read(body, headers)
    except Refusal:
        return
    assert message.method
