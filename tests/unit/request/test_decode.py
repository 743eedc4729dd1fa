"""Tests of `extauthz/request/decode.py`: what Envoy sends becomes a `Request` or a refusal."""

from __future__ import annotations

from typing import Any

import pytest

from extauthz.gen.envoy.config.core.v3.base_pb2 import HeaderValue
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from extauthz.limits import MAX_CHECK_BYTES
from extauthz.model.reason import REASONS, Reason
from extauthz.model.request import Body, BodyState, Headers, Request, Source
from extauthz.request.decode import _read_address, decode
from tests.simulators.envoy_messages import TYPICAL_HEADERS, check_request, grpc_caller_request
from tests.unit.request.refusals import reason_of, refusal_of

SHAPES = pytest.mark.parametrize("raw_headers", [False, True], ids=["headers", "header_map"])


def _edited(raw: bytes, **fields: Any) -> bytes:
    """Return a serialised question with fields of its HTTP request replaced."""
    message = CheckRequest.FromString(raw)
    for name, value in fields.items():
        setattr(message.attributes.request.http, name, value)
    return message.SerializeToString()


@SHAPES
def test_a_whole_request(raw_headers: bool) -> None:
    """Every part of an everyday request arrives where it belongs."""
    request = decode(
        check_request(
            "POST",
            "/v1/projects/%61pollo?dry=1",
            "API.example.com:443",
            TYPICAL_HEADERS,
            raw_headers=raw_headers,
            raw_body=b'{"a":1}',
            source="::ffff:192.0.2.7",
            principal="spiffe://example.com/ci",
            certificate="-----BEGIN%20",
            sni="api.example.com",
            context={"extauthz.tenant": "acme", "own": "x"},
        )
    )
    lines = {name: (value,) for name, value in TYPICAL_HEADERS.items()}
    assert request == Request(
        method="POST",
        host="api.example.com",
        path="/v1/projects/apollo",
        segments=("v1", "projects", "apollo"),
        query=(("dry", "1"),),
        headers=Headers({**lines, "x-envoy-auth-partial-body": ("false",)}, exact=raw_headers),
        body=Body(BodyState.COMPLETE, b'{"a":1}'),
        source=Source(
            address="192.0.2.7",
            principal="spiffe://example.com/ci",
            certificate="-----BEGIN%20",
            sni="api.example.com",
        ),
        context={"extauthz.tenant": "acme", "own": "x"},
        request_id="7d9f1c8e-5b0a-4a53-9f6e-0c7f2f3b8a11",
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
    )


@SHAPES
def test_headers_are_complete_where_the_proxy_is_said_to_show_all(raw_headers: bool) -> None:
    """Nobody having said so, some may be hidden."""
    raw = check_request(headers=TYPICAL_HEADERS, raw_headers=raw_headers)
    assert decode(raw, shows_all_headers=True).headers.complete
    assert not decode(raw).headers.complete


@SHAPES
@pytest.mark.parametrize("hidden", [":authority", ":method", ":path", ":scheme"])
def test_headers_are_not_complete_where_one_is_missing_that_every_envoy_shows(hidden: str, raw_headers: bool) -> None:
    """An Envoy with `allowed_headers` hides pseudo headers too, so what is said of it is wrong."""
    shown = {":authority": "api.example.com", ":path": "/", ":method": "GET", ":scheme": "https"}
    pseudo = {name: value for name, value in shown.items() if name != hidden}
    for lines, complete in ((shown, True), (pseudo, False)):
        raw = check_request(headers=TYPICAL_HEADERS, pseudo=lines, raw_headers=raw_headers)
        assert decode(raw, shows_all_headers=True).headers.complete is complete


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        CheckRequest(attributes={}).SerializeToString(),
        CheckRequest(attributes={"request": {}}).SerializeToString(),
        CheckRequest(
            attributes={"source": {"principal": "x"}, "request": {"time": {"seconds": 1}}}
        ).SerializeToString(),
    ],
    ids=["empty", "empty attributes", "empty request", "no http"],
)
def test_no_http_request_is_refused(raw: bytes) -> None:
    """A question without HTTP request is not a request for nothing."""
    refusal = refusal_of(lambda: decode(raw))
    assert (refusal.reason, refusal.inner) == (Reason.MALFORMED_REQUEST, "no http")


def test_an_empty_http_request_is_refused() -> None:
    """An HTTP request with every field unset is refused too."""
    assert reason_of(lambda: decode(b"\x0a\x04\x22\x02\x12\x00")) is Reason.MALFORMED_REQUEST


@pytest.mark.parametrize(
    "raw",
    [b"\xff", b"\x0a\xff", b"\x0a\x05abc", b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 100, check_request()[:-3]],
    ids=["one byte", "cut length", "cut field", "text", "zeros", "cut message"],
)
def test_undecodable_bytes_are_refused(raw: bytes) -> None:
    """Bytes that are no protobuf message are refused, without the parser's words."""
    refusal = refusal_of(lambda: decode(raw))
    assert (refusal.reason, refusal.inner) == (Reason.MALFORMED_REQUEST, "undecodable")
    assert refusal.__cause__ is None


def test_text_fields_that_are_not_utf8_are_refused() -> None:
    """A proto3 string with other bytes is undecodable, not approximated."""
    raw = check_request(path="/abc").replace(b"/abc", b"/a\xffc")
    assert refusal_of(lambda: decode(raw)).inner == "undecodable"


def test_size_is_bounded() -> None:
    """A question of exactly the limit is decided, a larger one is refused with 413."""
    overhead = len(check_request("POST", raw_body=b"x" * (MAX_CHECK_BYTES - 1000))) - (MAX_CHECK_BYTES - 1000)
    fits = check_request("POST", raw_body=b"x" * (MAX_CHECK_BYTES - overhead))
    assert len(fits) == MAX_CHECK_BYTES
    assert decode(fits).body.state is BodyState.COMPLETE
    assert reason_of(lambda: decode(fits + b"\x00")) is Reason.REQUEST_TOO_LARGE
    assert REASONS[Reason.REQUEST_TOO_LARGE].status == 413


def test_a_3_mib_body_is_read() -> None:
    """A body that common gRPC settings would refuse arrives whole."""
    body = b"x" * (3 * 1024 * 1024)
    assert decode(check_request("POST", raw_body=body)).body == Body(BodyState.COMPLETE, body)


@SHAPES
def test_two_authorization_lines_are_refused(raw_headers: bool) -> None:
    """Two lines, and the `Bearer a,Bearer b` that Envoy makes of them, are one refusal with status 400."""
    lines = [("authorization", "Bearer a"), ("authorization", "Bearer b")]
    reason = reason_of(lambda: decode(check_request(headers=lines, raw_headers=raw_headers)))
    assert reason is Reason.CREDENTIALS_AMBIGUOUS
    assert (REASONS[reason].status, REASONS[reason].error) == (400, "invalid_request")


@SHAPES
def test_stream_id_size_and_scheme_decide_nothing(raw_headers: bool) -> None:
    """Questions that differ only in what is no part of the request become equal requests."""
    one = check_request(raw_headers=raw_headers, stream_id="1", size=0, scheme="http", protocol="HTTP/1.1")
    other = check_request(raw_headers=raw_headers, stream_id="2", size=-1)
    assert decode(one) == decode(other)


def test_bytes_that_are_not_utf8_read_alike_in_both_shapes() -> None:
    """Each offending byte becomes `!`, as in Envoy's own text form."""
    lines = [("x-name", b"a\xffb\xe2\x82c\xed\xa0\x80\xc3\xa9")]
    expected = ("a!b!!c!!!é",)
    for raw_headers in (False, True):
        assert decode(check_request(headers=lines, raw_headers=raw_headers)).headers.all("x-name") == expected


def test_header_lines_may_come_as_text() -> None:
    """A header map whose lines use `value` instead of `raw_value` is read too."""
    message = CheckRequest.FromString(check_request(headers={"a": "b"}, raw_headers=True))
    for line in message.attributes.request.http.header_map.headers:
        line.value, line.raw_value = line.raw_value.decode(), b""
    assert decode(message.SerializeToString()).headers == Headers({"a": ("b",)}, exact=True)


def test_a_line_with_two_values_is_refused() -> None:
    """A header line that fills both value fields has two readings."""
    message = CheckRequest.FromString(check_request(raw_headers=True))
    message.attributes.request.http.header_map.headers.append(HeaderValue(key="a", value="b", raw_value=b"c"))
    assert refusal_of(lambda: decode(message.SerializeToString())).inner == "value and raw_value"


def test_two_header_shapes_are_refused() -> None:
    """A question that fills `headers` and `header_map` has two readings."""
    message = CheckRequest.FromString(check_request(raw_headers=True))
    message.attributes.request.http.headers["a"] = "b"
    assert refusal_of(lambda: decode(message.SerializeToString())).inner == "headers and header_map"


@SHAPES
@pytest.mark.parametrize(
    ("pseudo", "inner"),
    [
        ({":authority": "other.example"}, "host"),
        ({":authority": "api.example.com:8443"}, "host"),
        ({":path": "/other"}, "path"),
        ({":path": ""}, "path"),
        ({":method": "POST"}, "method"),
        ({":method": "get"}, "method"),
    ],
)
def test_pseudo_headers_that_contradict_are_refused(pseudo: dict[str, str], inner: str, raw_headers: bool) -> None:
    """The header map must tell the same method, path and host as the fields."""
    refusal = refusal_of(lambda: decode(check_request(path="/a", pseudo=pseudo, raw_headers=raw_headers)))
    assert (refusal.reason, refusal.inner) == (Reason.MALFORMED_REQUEST, inner)


def test_pseudo_headers_in_another_spelling_agree() -> None:
    """Another spelling of the same host is no contradiction, in `:authority` and in `host`."""
    pseudo = {":authority": "API.example.com:443"}
    assert decode(check_request(headers={"host": "api.example.com."}, pseudo=pseudo)).host == "api.example.com"


@SHAPES
@pytest.mark.parametrize("host", ["other.example", "", "api.example.com:8443", "api.example.com@evil"])
def test_a_host_header_that_contradicts_is_refused(host: str, raw_headers: bool) -> None:
    """A `host` header besides the authority must name the same host."""
    raw = check_request(headers={"host": host}, raw_headers=raw_headers)
    assert reason_of(lambda: decode(raw)) is Reason.MALFORMED_REQUEST


@pytest.mark.parametrize("field", ["query", "fragment"])
def test_query_and_fragment_outside_the_path_are_refused(field: str) -> None:
    """Envoy leaves both empty; filled, they could mean another target."""
    assert refusal_of(lambda: decode(_edited(check_request(), **{field: "a=b"}))).inner == "query or fragment field"


@pytest.mark.parametrize(("source", "address"), [("/run/envoy.sock", ""), (None, ""), ("2001:db8::1", "2001:db8::1")])
def test_source_address(source: str | None, address: str) -> None:
    """A pipe and a missing source have no address."""
    assert decode(check_request(source=source)).source.address == address


def test_forged_forwarding_headers_do_not_become_the_source() -> None:
    """The source is the connection, whatever `x-forwarded-for` and its like say."""
    forged = {"x-forwarded-for": "10.0.0.1, 10.0.0.2, 10.0.0.3", "x-real-ip": "10.0.0.1", "forwarded": "for=10.0.0.1"}
    assert decode(check_request(headers=forged)).source == decode(check_request()).source


def test_grpc_as_the_caller_is_understood() -> None:
    """The sparse question that gRPC sends by gRFC A92 becomes an ordinary request."""
    request = decode(
        grpc_caller_request("/pkg.Service/Method", headers={"authorization": "Bearer a", "te": "trailers"})
    )
    assert request == Request(
        method="POST",
        host="api.example.com",
        path="/pkg.Service/Method",
        segments=("pkg.Service", "Method"),
        headers=Headers({"authorization": ("Bearer a",), "te": ("trailers",)}, exact=True),
        source=Source(address="192.0.2.10"),
    )


def test_grpc_as_the_caller_without_metadata_is_understood() -> None:
    """No header at all is a request without headers."""
    assert decode(grpc_caller_request("/a/b")).headers == Headers()


def test_control_characters_in_headers_are_refused() -> None:
    """A line break inside a raw value is not passed on."""
    raw = check_request(headers=[("x-a", b"a\r\nx-b: c")], raw_headers=True)
    assert reason_of(lambda: decode(raw)) is Reason.MALFORMED_REQUEST


def test_sources_are_never_taken_for_each_other() -> None:
    """One whose address was seen before still has all of its own."""
    same: dict[str, Any] = {"source": "::ffff:192.0.2.7"}
    plain = decode(check_request(**same)).source
    assert plain == decode(check_request(source="192.0.2.7")).source == Source(address="192.0.2.7")
    for field in ("principal", "certificate", "sni"):
        more: dict[str, Any] = {field: "x"}
        assert decode(check_request(**same, **more)).source == Source(address="192.0.2.7", **more)
    assert decode(check_request(**same)).source == plain
    assert decode(check_request(source="192.0.2.8")).source == Source(address="192.0.2.8")
    assert decode(check_request(source=None)).source == Source()


def test_sources_that_are_remembered_are_bounded() -> None:
    """Peers come in any number."""
    for number in range(1100):
        decode(check_request(source=f"10.0.{number // 256}.{number % 256}"))
    assert _read_address.cache_info().currsize <= 1024
