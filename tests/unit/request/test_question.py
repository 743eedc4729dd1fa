"""The name of a question: what must be in it, and what may be left out."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extauthz.errors import Refusal
from extauthz.gen.envoy.config.core.v3.base_pb2 import HeaderMap, HeaderValue
from extauthz.gen.envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from extauthz.request.decode import decode
from extauthz.request.question import VALUES_READ, Question, has_stream_id, read_question
from tests.simulators.envoy_messages import TYPICAL_HEADERS, check_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from extauthz.model.request import Request

READ = frozenset({"x-mode"})
"""What the policy of these tests reads besides."""

CREDENTIALS = frozenset({"authorization", "proxy-authorization", "txn-token"})
CORRELATION = frozenset({"x-request-id", "traceparent"})
BASE: dict[str, Any] = {
    "method": "POST",
    "path": "/things/7?colour=red",
    "headers": {
        **TYPICAL_HEADERS,
        "txn-token": "1",
        **dict.fromkeys(VALUES_READ - {"x-envoy-auth-partial-body"}, "1"),
        "x-mode": "x",
    },
    "raw_body": b"{}",
    "source": "192.0.2.10",
    "principal": "spiffe://example/a",
    "certificate": "-----BEGIN",
    "sni": "api.example.com",
    "context": {"extauthz.tenant": "acme"},
}
SHAPES = pytest.mark.parametrize("raw_headers", [False, True], ids=["merged", "lines"])


def named(**changes: Any) -> Question:
    """Return the question about the base request with changes; `header` is one more, or another value of one."""
    header: dict[str, str] = changes.pop("header", {})
    arguments = {**BASE, **changes}
    arguments["headers"] = {**arguments["headers"], **header}
    question = read_question(check_request(**arguments), READ)
    assert question is not None
    return question


def edited(edit: Callable[[AttributeContext], object], **changes: Any) -> bytes:
    """Return the base question after an edit of the message itself."""
    message = CheckRequest.FromString(check_request(**{**BASE, **changes}))
    edit(message.attributes)
    return message.SerializeToString()


PSEUDO = {":authority": "api.example.com", ":path": "/things/7?colour=red", ":method": "POST", ":scheme": "https"}
NAMED: list[dict[str, Any]] = [
    {"method": "PUT"},
    {"path": "/things/8?colour=red"},
    {"path": "/things/7?colour=blue"},
    {"path": "/things/7"},
    {"host": "www.example.com"},
    {"host": "API.example.com"},
    *({"header": {name: "2"}} for name in sorted((VALUES_READ - {"x-envoy-auth-partial-body"}) | READ | CREDENTIALS)),
    {"partial": True},
    {"header": {"x-extauthz-subject": "admin"}},
    {"header": {"cookie": ""}},
    {"pseudo": PSEUDO | {":scheme": "http"}},
    {"pseudo": PSEUDO | {":authority": "www.example.com"}},
    {"pseudo": PSEUDO | {":protocol": "websocket"}},
    {"pseudo": {}},
    {"raw_body": b"[]"},
    {"raw_body": b"", "body": "[]"},
    {"raw_body": b""},
    {"raw_body": b"{}", "body": "{}"},
    {"source": "192.0.2.11"},
    {"source": None},
    {"principal": "spiffe://example/b"},
    {"certificate": "-----begin"},
    {"certificate": ""},
    {"sni": "www.example.com"},
    {"context": {"extauthz.tenant": "globex"}},
    {"context": {"extauthz.tenant": "acme", "extauthz.resource": "thing.read"}},
    {"context": {}},
]


@SHAPES
@pytest.mark.parametrize("change", NAMED, ids=repr)
def test_what_can_matter_changes_the_name(change: dict[str, Any], *, raw_headers: bool) -> None:
    """One field at a time, in both header shapes."""
    assert named(raw_headers=raw_headers, **change).name != named(raw_headers=raw_headers).name


LEFT_OUT: list[dict[str, Any]] = [
    {"stream_id": "2"},
    {"size": 12345},
    {"scheme": "http", "pseudo": PSEUDO},
    {"protocol": "HTTP/1.1"},
    *({"header": {name: "other"}} for name in sorted(CORRELATION | {"user-agent", "accept", "x-forwarded-for"})),
]


@SHAPES
@pytest.mark.parametrize("change", LEFT_OUT, ids=repr)
def test_what_nobody_reads_does_not_change_the_name(change: dict[str, Any], *, raw_headers: bool) -> None:
    """The value of such a header; its presence does."""
    assert named(raw_headers=raw_headers, **change).name == named(raw_headers=raw_headers).name


def test_fields_that_decoding_does_not_read_do_not_change_the_name() -> None:
    """Ports, service names, labels, time, destination and metadata."""

    def edit(attributes: AttributeContext) -> None:
        attributes.source.address.socket_address.port_value = 1
        attributes.source.service = "client"
        attributes.source.labels["a"] = "b"
        attributes.destination.principal = "spiffe://example/us"
        attributes.request.time.seconds = 5

    changed = read_question(edited(edit), READ)
    assert changed is not None
    assert changed.name == named().name


def test_the_two_header_shapes_have_different_names() -> None:
    """A comma can stand for two lines in one of them only; also no header makes one look like the other."""
    plain = {"headers": {"x-mode": "x"}, "pseudo": {}, "raw_body": None}
    lines = named(raw_headers=True, **plain)
    assert lines.name != named(**plain).name
    disguised = CheckRequest.FromString(check_request(**{**BASE, **plain}))
    disguised.attributes.request.http.headers[":lines"] = ""
    other = read_question(disguised.SerializeToString(), READ)
    assert other is not None
    assert other.name != lines.name


def test_merged_headers_have_one_name_in_whatever_order_they_come() -> None:
    """A map shows equal contents in different orders, depending on how it was filled."""
    http = CheckRequest.FromString(check_request(**BASE)).attributes.request.http
    names, orders = list(http.headers), set()
    random = Random(3)
    for _ in range(50):
        random.shuffle(names)
        shuffled = AttributeContext.HttpRequest.FromString(
            b"".join(AttributeContext.HttpRequest(headers={n: http.headers[n]}).SerializeToString() for n in names)
        )
        orders.add(tuple(shuffled.headers))

        def replace_headers(attributes: AttributeContext, new: AttributeContext.HttpRequest = shuffled) -> None:
            attributes.request.http.ClearField("headers")
            attributes.request.http.MergeFrom(new)

        question = read_question(edited(replace_headers), READ)
        assert question is not None
        assert question.name == named().name
    assert len(orders) > 1, "otherwise the test shows nothing"


def test_lines_of_different_names_may_be_reordered_and_lines_of_one_name_may_not() -> None:
    """The order of two lines of one header is part of its value."""
    one, other = [("x-mode", "a"), ("accept", "*/*"), ("x-mode", "b")], [("accept", "*/*"), ("x-mode", "a")]
    assert (
        named(headers=dict(one), raw_headers=True).name
        == named(headers=dict(reversed(one[:2])) | {"x-mode": "b"}, raw_headers=True).name
    )
    twice, swapped = [
        read_question(check_request(headers=lines, raw_headers=True), READ)
        for lines in (one, [("x-mode", "b"), *other])
    ]
    assert twice is not None
    assert swapped is not None
    assert twice.name != swapped.name


def _two_shapes(attributes: AttributeContext) -> None:
    attributes.request.http.header_map.headers.add(key="a", raw_value=b"b")


def _two_values(attributes: AttributeContext) -> None:
    attributes.request.http.ClearField("headers")
    attributes.request.http.header_map.headers.add(key="a", value="b", raw_value=b"b")


UNUSUAL: dict[str, bytes] = {
    "no message": b"\xff",
    "cut off": check_request()[:-1],
    "two shapes": edited(_two_shapes),
    "text in header lines": edited(_two_values),
    "query field": edited(lambda attributes: setattr(attributes.request.http, "query", "a=b")),
    "fragment field": edited(lambda attributes: setattr(attributes.request.http, "fragment", "a")),
    "control character": check_request(headers={"x-other": "a\x00"}),
    "tab": check_request(headers={"x-other": "a\tb"}),
    "not ASCII": check_request(headers={"x-other": "é"}),
    "not UTF-8": check_request(headers={"x-other": b"\xe9"}, raw_headers=True),
    "long value": check_request(headers={"x-other": "a" * 70_000}),
    "much to name": check_request(headers={"x-mode": "a" * 4500}),
    "long names": check_request(headers={f"x-{number}-{'a' * 90}": "" for number in range(50)}),
    "many headers": check_request(headers={f"x-{number}": "" for number in range(65)}),
    "large body": check_request(raw_body=b"a" * 20_000),
    "a DPoP proof": check_request(headers={"DPoP": "e30.e30.AA"}),
    "contradicting target": check_request(path="/a", pseudo={":path": "/b"}),
}


@pytest.mark.parametrize("kind", UNUSUAL)
def test_what_is_unusual_has_no_name(kind: str) -> None:
    """It is decided anew each time."""
    assert read_question(UNUSUAL[kind], READ) is None


def test_long_values_that_are_left_out_do_no_harm() -> None:
    """Nor does a long credential: digests are short."""
    header = {"cookie": "a" * 5000, "authorization": f"Bearer {'a' * 5000}"}
    assert named(header=header).name != named(header={"cookie": "a" * 5000}).name


def test_a_message_without_http_is_not_taken_for_an_empty_request() -> None:
    """Both are refused today; a name that cannot tell them apart would rely on that."""
    empty = CheckRequest().SerializeToString()
    http = CheckRequest(attributes=AttributeContext(request={"http": {}})).SerializeToString()
    one, other = read_question(empty, READ), read_question(http, READ)
    assert one is not None
    assert other is not None
    assert one.name != other.name


SECRET = "canary-5f0c2a"
HIDING: list[dict[str, Any]] = [
    {"header": {"authorization": f"Bearer {SECRET}"}},
    {"header": {"proxy-authorization": f"Basic {SECRET}"}},
    {"header": {"txn-token": SECRET}},
    {"header": {"cookie": f"session={SECRET}", "x-api-key": SECRET}},
    {"raw_body": SECRET.encode()},
    {"raw_body": None, "body": SECRET},
    {"certificate": SECRET},
    {"path": f"/things/7?access_token={SECRET}"},
]


@SHAPES
@pytest.mark.parametrize("change", HIDING, ids=repr)
def test_no_secret_stands_in_a_name(change: dict[str, Any], *, raw_headers: bool) -> None:
    """Credentials, bodies, certificates and queries are there as digests, other headers not at all."""
    assert SECRET not in repr(named(raw_headers=raw_headers, **change).name)


def test_the_search_for_secrets_finds_one() -> None:
    """The negative control: what is named as it is, is found."""
    assert SECRET in repr(named(header={"x-mode": SECRET}).name)


@given(
    lines=st.lists(
        st.tuples(
            st.sampled_from(["x-request-id", "traceparent", "X-Request-Id", "x-other"]),
            st.one_of(
                st.text(st.characters(codec="ascii", exclude_categories=["Cc"])),
                st.just(TYPICAL_HEADERS["traceparent"]),
            ),
        ),
        max_size=4,
    ),
    raw_headers=st.booleans(),
)
def test_ids_for_correlation_are_those_that_decoding_finds(lines: list[tuple[str, str]], *, raw_headers: bool) -> None:
    """So the record of a repetition holds what the record of a decision would."""
    raw = check_request(headers=lines, raw_headers=raw_headers)
    question, request = read_question(raw, READ), decode(raw)
    assert question is not None
    assert (question.request_id, question.trace_id) == (request.request_id, request.trace_id)


_DAMAGED = check_request(**BASE, raw_headers=True)


@given(st.binary(max_size=300))
def test_any_bytes_have_a_name_or_none(raw: bytes) -> None:
    """Nothing is raised."""
    _verify_hashable(read_question(raw, READ))


@given(
    at=st.integers(0, len(_DAMAGED) - 1), patch=st.binary(max_size=3), removed=st.integers(0, 3), merged=st.booleans()
)
@settings(max_examples=500)
def test_any_damage_has_a_name_or_none(at: int, patch: bytes, removed: int, *, merged: bool) -> None:
    """Nor for real questions with bytes replaced, added or missing."""
    whole = check_request(**BASE) if merged else _DAMAGED
    _verify_hashable(read_question(whole[:at] + patch + whole[at + removed :], READ))


_TEXT = st.one_of(
    st.text(max_size=9), st.sampled_from(["GET", "/a?b", "x-request-id", ":path", "traceparent", "\ud7ff"])
)


@given(
    texts=st.tuples(_TEXT, _TEXT, _TEXT, _TEXT),
    headers=st.dictionaries(_TEXT, _TEXT, max_size=3),
    lines=st.lists(st.builds(HeaderValue, key=_TEXT, value=_TEXT, raw_value=st.binary(max_size=9)), max_size=3),
)
def test_any_message_has_a_name_or_none(
    texts: tuple[str, str, str, str], headers: dict[str, str], lines: list[HeaderValue]
) -> None:
    """Nor for well-formed messages with any text in any field."""
    method, path, host, body = texts
    http = AttributeContext.HttpRequest(
        method=method, path=path, host=host, body=body, headers=headers, header_map=HeaderMap(headers=lines)
    )
    message = CheckRequest(attributes=AttributeContext(request=AttributeContext.Request(http=http)))
    _verify_hashable(read_question(message.SerializeToString(), READ))


@given(
    at=st.integers(0, len(_DAMAGED) - 1), patch=st.binary(max_size=3), removed=st.integers(0, 3), merged=st.booleans()
)
@settings(max_examples=300)
def test_what_was_read_for_the_name_is_decided_like_the_bytes(
    at: int, patch: bytes, removed: int, *, merged: bool
) -> None:
    """The same request or the same refusal, whoever has parsed the message."""
    whole = check_request(**BASE) if merged else _DAMAGED
    raw = whole[:at] + patch + whole[at + removed :]
    question = read_question(raw, READ)
    if question is not None:
        assert _outcome(lambda: decode(question.message)) == _outcome(lambda: decode(raw))


def _outcome(read: Callable[[], Request]) -> object:
    try:
        return read()
    except Refusal as refusal:
        return refusal.reason, refusal.detail, refusal.inner


def _verify_hashable(question: Question | None) -> None:
    assert question is None or isinstance(hash(question.name), int)


@pytest.mark.parametrize(
    ("raw", "has"), [(check_request(), True), (check_request(stream_id=""), False), (b"\xff", False)]
)
def test_a_question_says_which_request_of_the_proxy_it_is_about(raw: bytes, *, has: bool) -> None:
    """Envoy always does, other callers do not."""
    assert has_stream_id(raw) is has
