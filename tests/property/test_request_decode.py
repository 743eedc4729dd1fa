"""Properties of the way from bytes to request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from extauthz.errors import Refusal
from extauthz.gen.envoy.config.core.v3.base_pb2 import HeaderMap, HeaderValue
from extauthz.gen.envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from extauthz.model.reason import Reason
from extauthz.model.request import Request
from extauthz.request.decode import decode
from tests.simulators.envoy_messages import TYPICAL_HEADERS, check_request

if TYPE_CHECKING:
    from collections.abc import Sequence

_TYPICAL = check_request("POST", "/v1/a%20b?c=d", headers=TYPICAL_HEADERS, raw_headers=True, raw_body=b"{}")

_NAMES = st.one_of(
    st.sampled_from(["authorization", "host", "content-type", "content-length", "upgrade", "connection", "origin"]),
    st.sampled_from(["x-http-method-override", "content_length", "http2-settings", "traceparent", "cookie", "accept"]),
    st.sampled_from(["x-role", "x-a", "X-A", "x_a"]),
)
_VALUES = st.one_of(
    st.sampled_from(
        [b"", b"Bearer a", b"Basic YTpi", b"api.example.com", b"5", b"websocket", b"Upgrade", b"text/plain"]
    ),
    st.binary(max_size=12).map(lambda value: value.replace(b'"', b"").replace(b"=", b"")),
)
_LINES = st.lists(st.tuples(_NAMES, _VALUES), max_size=12)


def _outcome(raw: bytes) -> Request | Refusal:
    """Return what comes out of `decode`; any other exception fails the test."""
    try:
        return decode(raw)
    except Refusal as refusal:
        return refusal


def _verify_outcome(outcome: Request | Refusal) -> None:
    if isinstance(outcome, Request):
        assert outcome.path.startswith("/")
        assert outcome.host
        assert outcome.method
    else:
        assert outcome.reason in Reason
        assert outcome.detail


@given(st.binary(max_size=400))
@settings(deadline=None)
def test_any_bytes_become_a_request_or_a_refusal(raw: bytes) -> None:
    """Whatever arrives, nothing but a Refusal is raised."""
    _verify_outcome(_outcome(raw))


@given(st.integers(0, len(_TYPICAL) - 1), st.binary(min_size=0, max_size=3), st.integers(0, 3))
@settings(max_examples=500, deadline=None)
def test_any_damage_becomes_a_request_or_a_refusal(at: int, patch: bytes, removed: int) -> None:
    """A real question with bytes replaced, added or missing is still a Request or a Refusal."""
    _verify_outcome(_outcome(_TYPICAL[:at] + patch + _TYPICAL[at + removed :]))


_TEXT = st.one_of(st.text(max_size=20), st.sampled_from(["GET", "/", "/a", "api.example.com", "websocket"]))


@given(
    method=_TEXT,
    path=_TEXT,
    host=_TEXT,
    body=_TEXT,
    raw_body=st.binary(max_size=5),
    headers=st.dictionaries(_TEXT, _TEXT, max_size=3),
    lines=st.lists(st.builds(HeaderValue, key=_TEXT, value=_TEXT, raw_value=st.binary(max_size=9)), max_size=3),
    address=_TEXT,
    context=st.dictionaries(_TEXT, _TEXT, max_size=2),
)
@settings(deadline=None)
def test_any_message_becomes_a_request_or_a_refusal(
    *,
    method: str,
    path: str,
    host: str,
    body: str,
    raw_body: bytes,
    headers: dict[str, str],
    lines: list[HeaderValue],
    address: str,
    context: dict[str, str],
) -> None:
    """Well-formed messages with any text in any field are a Request or a Refusal."""
    http = AttributeContext.HttpRequest(
        method=method,
        path=path,
        host=host,
        body=body,
        raw_body=raw_body,
        headers=headers,
        header_map=HeaderMap(headers=lines),
    )
    attributes = AttributeContext(request=AttributeContext.Request(http=http), context_extensions=context)
    attributes.source.address.socket_address.address = address
    _verify_outcome(_outcome(CheckRequest(attributes=attributes).SerializeToString()))


@given(_LINES)
@settings(max_examples=500, deadline=None)
def test_both_header_shapes_have_one_outcome(lines: list[tuple[str, bytes]]) -> None:
    """The same header lines, shown merged or one by one, are refused alike or are the same request.

    Values hold no quotes and no equals signs here: inside them a comma is ambiguous once merged (see `headers.py`).
    """
    lines = [(name.lower(), value) for name, value in lines]
    merged, exact = (_outcome(check_request(headers=lines, raw_headers=shape)) for shape in (False, True))
    if isinstance(merged, Refusal) or isinstance(exact, Refusal):
        assert isinstance(merged, Refusal)
        assert isinstance(exact, Refusal)
        assert REFUSALS_OF_BOTH[merged.reason] == REFUSALS_OF_BOTH[exact.reason]
        return
    assert {name: ",".join(values) for name, values in exact.headers.lines.items()} == {
        name: values[0] for name, values in merged.headers.lines.items()
    }
    for field in ("method", "host", "path", "query", "body", "upgrade", "preflight_method", "source", "trace_id"):
        assert getattr(merged, field) == getattr(exact, field)


REFUSALS_OF_BOTH = {Reason.MALFORMED_REQUEST: 400, Reason.CREDENTIALS_AMBIGUOUS: 400}
"""With several faults in one request, which is named first may depend on the order of lines; the status does not."""


@given(st.data(), _LINES)
@settings(deadline=None)
def test_order_of_different_names_does_not_matter(data: st.DataObject, lines: list[tuple[str, bytes]]) -> None:
    """Header lines of different names may be reordered without changing the request."""
    by_name: dict[str, bytes] = {name.lower(): value for name, value in lines}
    shuffled: Sequence[tuple[str, bytes]] = data.draw(st.permutations(list(by_name.items())))
    one, other = (_outcome(check_request(headers=given_lines, raw_headers=True)) for given_lines in (by_name, shuffled))
    if isinstance(one, Request):
        assert one == other
    else:
        assert isinstance(other, Refusal)
