"""Tests of `extauthz/strictjson.py`: a JSON text has one reading, or none."""

from __future__ import annotations

import json

import pytest

from extauthz.errors import StrictJsonError
from extauthz.limits import MAX_JSON_DEPTH
from extauthz.strictjson import load_object, load_value

_ENOUGH = 1024 * 1024

REFUSED = {
    "empty": b"",
    "only whitespace": b" ",
    "byte order mark": b"\xef\xbb\xbf{}",
    "utf-16": '{"a":1}'.encode("utf-16"),
    "invalid utf-8": b'{"a":"\xff"}',
    "overlong utf-8": b'{"a":"\xc0\xaf"}',
    "encoded surrogate": b'{"a":"\xed\xa0\x80"}',
    "duplicate member": b'{"a":1,"a":2}',
    "duplicate member with equal values": b'{"a":1,"a":1}',
    "duplicate member by escape": b'{"a":1,"\\u0061":2}',
    "duplicate member inside": b'{"x":[{"a":{"b":1,"b":2}}]}',
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":Infinity}',
    "minus Infinity": b'{"a":-Infinity}',
    "overflowing number": b'{"a":1e999}',
    "minus overflowing number": b'{"a":-1e999}',
    "long integer": b'{"a":' + b"9" * 21 + b"}",
    "very long integer": b'{"a":' + b"9" * 100_000 + b"}",
    "trailing value": b"{}{}",
    "trailing text": b"{} x",
    "trailing NUL": b"{}\x00",
    "trailing comma": b'{"a":1,}',
    "trailing form feed": b"{}\x0c",
    "trailing no-break space": b"{}\xc2\xa0",
    "leading vertical tab": b"\x0b{}",
    "leading no-break space": b"\xc2\xa0{}",
    "trailing lone surrogate": b'{} "\\ud800"',
    "comment": b"{/**/}",
    "single quotes": b"{'a':1}",
    "raw control character": b'{"a":"\n"}',
    "lone surrogate": b'{"a":"\\ud800"}',
    "lone surrogate in a name": b'{"\\udfff":1}',
    "swapped surrogates": b'{"a":"\\udc00\\ud800"}',
    "unterminated string": b'{"a":"',
    "unterminated object": b"{",
    "leading zero": b'{"a":01}',
    "leading plus": b'{"a":+1}',
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED.keys())
def test_refuses_what_parsers_read_differently(raw: bytes) -> None:
    """Each text that is not JSON in exactly one reading is refused, and with nothing of the text in the message."""
    with pytest.raises(StrictJsonError) as caught:
        load_object(raw, max_bytes=_ENOUGH)
    assert str(caught.value).startswith(("the ", "a member "))
    assert caught.value.__cause__ is None


def test_reads_every_kind_of_value() -> None:
    """Ordinary JSON is read as the standard library reads it."""
    raw = '{"s":"é\\n\\u00e9\\ud83d\\ude00","i":-7,"f":1.5,"t":true,"n":null,"l":[1,[]],"o":{"a":{}}}'.encode()
    assert load_object(raw, max_bytes=_ENOUGH) == json.loads(raw)


def test_whitespace_may_stand_around_a_value() -> None:
    """The four characters of RFC 8259, and no other."""
    assert load_object(b' \t\r\n{"a":1}\n\r\t ', max_bytes=_ENOUGH) == {"a": 1}


@pytest.mark.parametrize("number", [0, -1, 2**63 - 1, -(2**63), 2**64 - 1])
def test_keeps_64_bit_integers_exact(number: int) -> None:
    """Integers of 64 bits are neither refused nor rounded."""
    assert load_object(b'{"n":%d}' % number, max_bytes=_ENOUGH) == {"n": number}


@pytest.mark.parametrize("raw", [b"[]", b'"x"', b"1", b"null", b"true"])
def test_an_object_is_asked_for(raw: bytes) -> None:
    """Values that are JSON but no object are refused as objects and returned as values."""
    with pytest.raises(StrictJsonError, match="not an object"):
        load_object(raw, max_bytes=_ENOUGH)
    assert load_value(raw, max_bytes=_ENOUGH) == json.loads(raw)


def test_size_is_bounded() -> None:
    """A text of exactly the limit is read, one byte more is not."""
    raw = b'{"a":1}'
    assert load_object(raw, max_bytes=len(raw)) == {"a": 1}
    with pytest.raises(StrictJsonError, match="too long"):
        load_object(raw, max_bytes=len(raw) - 1)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_depth_is_bounded(opening: bytes, closing: bytes) -> None:
    """Nesting of exactly the limit is read, one level more is not."""

    def nested(depth: int) -> bytes:
        return opening * depth + b"1" + closing * depth

    load_value(nested(MAX_JSON_DEPTH), max_bytes=_ENOUGH)
    with pytest.raises(StrictJsonError, match="too deeply"):
        load_value(nested(MAX_JSON_DEPTH + 1), max_bytes=_ENOUGH)


@pytest.mark.parametrize("raw", [b"[" * _ENOUGH, b'{"a":' * 200_000, b'"' + b'\\"' * 500_000, b'["' + b'"["' * 300_000])
def test_hostile_nesting_neither_recurses_nor_crawls(raw: bytes) -> None:
    """Megabytes of brackets and quotes end in a refusal, not in a RecursionError."""
    with pytest.raises(StrictJsonError):
        load_value(raw, max_bytes=_ENOUGH)


def test_brackets_inside_strings_are_no_nesting() -> None:
    """Depth counts structure, so text full of brackets, escaped quotes among them, is read."""
    text = '[{"\\' * 50
    assert load_value(json.dumps([text, {"a": text}]).encode(), max_bytes=_ENOUGH) == [text, {"a": text}]


def test_many_shallow_brackets_are_no_nesting() -> None:
    """Depth falls again at each closing bracket, so a long flat list is read."""
    assert load_value(b"[" + b"{}," * 500 + b"[]]", max_bytes=_ENOUGH) == [{}] * 500 + [[]]


def test_an_escaped_backslash_before_u_is_no_surrogate() -> None:
    r"""`\\ud800` is a backslash followed by text, and no half of a pair."""
    assert load_value(b'"\\\\ud800"', max_bytes=_ENOUGH) == "\\ud800"
