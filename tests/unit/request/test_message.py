"""Tests of `extauthz/request/message.py`: what is known to be plain is not looked at again, so it must be."""

from __future__ import annotations

import string
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extauthz.gen.envoy.config.core.v3.base_pb2 import HeaderValue
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from extauthz.limits import MAX_HEADER_VALUE_BYTES
from extauthz.model.reason import Reason
from extauthz.request.decode import decode
from extauthz.request.message import Message, read_message
from tests.simulators.envoy_messages import check_request
from tests.unit.request.refusals import reason_of

SHAPES = pytest.mark.parametrize("raw_headers", [False, True], ids=["headers", "header_map"])
PLAIN = frozenset(string.ascii_letters + string.digits + string.punctuation + " ")


def message_with(*values: str, raw_headers: bool) -> Message:
    """Return what is read of a request with a header line of each value and no other."""
    lines = [(f"x-{number}", value) for number, value in enumerate(values)]
    return read_message(check_request(headers=lines, raw_headers=raw_headers, pseudo={}))


@SHAPES
@given(value=st.text(st.characters(codec="utf-8", max_codepoint=0x100), max_size=3))
def test_a_message_is_plain_when_all_values_are_printable_ascii(raw_headers: bool, value: str) -> None:
    """Whatever else stands beside; and the values are those sent."""
    message = message_with("a b", value, "~", raw_headers=raw_headers)
    assert message.plain is (set(value) <= PLAIN)
    assert sorted(message.values) == sorted(["a b", value, "~"])


@SHAPES
@pytest.mark.parametrize("value", ["\t", "\x7f", "é", "\xa0", "\x00"])
def test_what_is_not_plain_is(raw_headers: bool, value: str) -> None:
    """The characters that look as if they were."""
    assert not message_with(f"a{value}b", raw_headers=raw_headers).plain


def test_text_where_proxies_put_bytes_is_not_plain() -> None:
    """Such lines come from other callers."""
    message = CheckRequest()
    message.attributes.request.http.header_map.headers.append(HeaderValue(key="x-a", value="a"))
    assert not read_message(message.SerializeToString()).plain


@SHAPES
@pytest.mark.parametrize(("size", "plain"), [(MAX_HEADER_VALUE_BYTES - 3, True), (MAX_HEADER_VALUE_BYTES - 2, False)])
def test_a_message_is_plain_as_long_as_no_header_can_be_too_large(raw_headers: bool, size: int, plain: bool) -> None:
    """Counted with one comma for each value."""
    assert message_with("a" * (size - 1), "b", "", raw_headers=raw_headers).plain is plain


@SHAPES
def test_the_size_of_a_header_is_bounded_where_nothing_else_is_unusual(raw_headers: bool) -> None:
    """The lines of one name are one value, commas included, and the bound is exact."""
    half = MAX_HEADER_VALUE_BYTES // 2
    for second, fits in ((half - 1, True), (half, False)):
        lines = [("x-a", "a" * half), ("x-a", "a" * second)]
        read = partial(decode, check_request(headers=lines, raw_headers=raw_headers))
        if fits:
            assert sum(map(len, read().headers.all("x-a"))) >= 2 * half - 1
        else:
            assert reason_of(read) is Reason.REQUEST_TOO_LARGE


@SHAPES
@pytest.mark.parametrize("value", ["a\x00b", "a\nb", "a\x7f", "é\x01"])
def test_control_characters_are_refused_in_either_shape(raw_headers: bool, value: str) -> None:
    """They are never plain, so they are looked for."""
    assert reason_of(lambda: decode(check_request(headers=[("x-a", value)], raw_headers=raw_headers))) is (
        Reason.MALFORMED_REQUEST
    )


def test_what_a_route_adds_is_each_messages_own() -> None:
    """Two requests never share what could be changed."""
    raw = check_request(context={"extauthz.tenant": "acme"})
    first, second = decode(raw), decode(raw)
    assert first.context == second.context == {"extauthz.tenant": "acme"}
    assert first.context is not second.context
    assert decode(check_request()).context is not decode(check_request()).context
