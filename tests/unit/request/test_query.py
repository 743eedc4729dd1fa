"""Tests of `extauthz/request/query.py`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extauthz.limits import MAX_QUERY_PARAMETERS
from extauthz.model.reason import Reason
from extauthz.request.query import query_from
from tests.unit.request.refusals import reason_of, refusal_of


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", ()),
        ("a=1", (("a", "1"),)),
        ("role=a&role=b", (("role", "a"), ("role", "b"))),
        ("a", (("a", ""),)),
        ("a=", (("a", ""),)),
        ("=b", (("", "b"),)),
        ("&a=1&&b=2&", (("a", "1"), ("b", "2"))),
        ("a=b=c", (("a", "b=c"),)),
        ("a=x+y%20z%2B", (("a", "x y z+"),)),
        ("a%3Db=c%26d", (("a=b", "c&d"),)),
        ("id[]=1&f{x}|^`\\=2", (("id[]", "1"), ("f{x}|^`\\", "2"))),
        ("q=%C3%A9%0A%09", (("q", "é\n\t"),)),
        ("q=%2525", (("q", "%25"),)),
        ("access_token=x", (("access_token", "x"),)),
        ("method=x&_methods=y", (("method", "x"), ("_methods", "y"))),
    ],
)
def test_decodes_pairs_in_order(text: str, pairs: tuple[tuple[str, str], ...]) -> None:
    """Pairs are decoded once, after they are split, and keep their order and their repetitions."""
    assert query_from(text) == pairs


@given(st.lists(st.tuples(st.text("ab_.-~", min_size=1), st.text("xy12._-~=/?:@[]{}|", max_size=4)), max_size=4))
def test_what_needs_no_decoding_reads_like_its_encoded_form(pairs: list[tuple[str, str]]) -> None:
    """Names and values without a percent sign or a plus are taken as they are."""
    plain = "&".join(f"{name}={value}" for name, value in pairs)
    encoded = "&".join("=".join("".join(f"%{ord(one):02x}" for one in text) for text in pair) for pair in pairs)
    assert query_from(plain) == query_from(encoded) == tuple(pairs)


@pytest.mark.parametrize(
    "text",
    ["a=1;b=2", "a=%", "a=%z1", "a=%4", "a=é", "a=b c", "a=#", 'a="', "a=<", "a=>", "a=\x00", "a=\n", "a=\x7f"],
)
def test_refuses_raw_characters_and_bad_escapes(text: str) -> None:
    """A semicolon, a cut escape, and what no URI may hold are refused."""
    assert reason_of(lambda: query_from(text)) is Reason.MALFORMED_REQUEST


@pytest.mark.parametrize("text", ["a=%FF", "%C0%AF=1", "a=%00", "%00=a", "a=%1B", "a=%7F", "a=%C2%85", "a=%ED%A0%80"])
def test_refuses_what_is_not_text(text: str) -> None:
    """Escapes that are not UTF-8, or that are control characters other than line breaks and tabs, are refused."""
    assert reason_of(lambda: query_from(text)) is Reason.MALFORMED_REQUEST


@pytest.mark.parametrize("text", ["_method=DELETE", "a=1&_method", "_METHOD=x", "%5Fmethod=x"])
def test_refuses_method_override(text: str) -> None:
    """A `_method` parameter in any spelling is refused, since frameworks obey it."""
    refusal = refusal_of(lambda: query_from(text))
    assert (refusal.reason, refusal.inner) == (Reason.MALFORMED_REQUEST, "method override")


def test_number_is_bounded() -> None:
    """As many parameters as the limit are read, one more is `request_too_large`."""
    assert len(query_from("&".join(["a"] * MAX_QUERY_PARAMETERS))) == MAX_QUERY_PARAMETERS
    assert reason_of(lambda: query_from("&".join(["a"] * (MAX_QUERY_PARAMETERS + 1)))) is Reason.REQUEST_TOO_LARGE
