r"""JSON that has one reading: for JOSE headers, claims, key sets and request bodies.

Two parsers that disagree about a text are a way round whoever reads it first, so this one accepts only texts about
which RFC 8259 parsers agree (the spirit of I-JSON, RFC 7493):

1. UTF-8 without byte order mark, one value, nothing after it;
2. no member twice in one object, at any depth;
3. no NaN, no Infinity, also not by overflow (`1e999`), no integer longer than 64-bit values need;
4. no lone surrogates (`"\ud800"`), which could not be written out again;
5. bounded size and nesting, so that no text exhausts the parser.

The work is done by the C parser of the standard library; the hooks only refuse.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

from extauthz.errors import StrictJsonError
from extauthz.limits import MAX_JSON_DEPTH, MAX_JSON_INTEGER_DIGITS

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

_NOT_JSON: Final = "the text is not JSON in UTF-8"

_STRINGS_AND_BRACKETS: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)
"""The closing quote is optional so that an unterminated string is passed once, instead of being tried from every quote
in it; the parser refuses it afterwards."""

_WHITESPACE: Final = " \t\n\r"
"""What may stand around a value (RFC 8259 section 2)."""

_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")


def load_object(raw: bytes, *, max_bytes: int, max_depth: int = MAX_JSON_DEPTH) -> dict[str, Any]:
    """Return the JSON object that `raw` is.

    Args:
        raw: the text as received.
        max_bytes: longest text accepted.
        max_depth: deepest nesting of arrays and objects accepted; the outermost object counts as one.

    Raises:
        StrictJsonError: it is not an object, or breaks a rule of this module.
    """
    value = load_value(raw, max_bytes=max_bytes, max_depth=max_depth)
    if not isinstance(value, dict):
        message = "the JSON text is not an object"
        raise StrictJsonError(message)
    return value


def load_value(raw: bytes, *, max_bytes: int, max_depth: int = MAX_JSON_DEPTH) -> Any:
    """Return the JSON value that `raw` is; see `load_object`.

    Raises:
        StrictJsonError: it breaks a rule of this module.
    """
    if len(raw) > max_bytes:
        message = "the JSON text is too long"
        raise StrictJsonError(message)
    if raw.startswith(_BYTE_ORDER_MARK):
        message = "the JSON text starts with a byte order mark"
        raise StrictJsonError(message)
    _verify_depth(raw, max_depth)
    try:
        text = raw.decode("utf-8").strip(_WHITESPACE)
        value, end = _DECODER.raw_decode(text)
        if "\\u" in text and _SURROGATE_ESCAPE.search(text):
            # Pairs are fine; what cannot be encoded is half a pair. The search keeps this off the usual path.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except ValueError:
        # The parser's own message quotes positions and text; ours must carry nothing of the text.
        raise StrictJsonError(_NOT_JSON) from None
    if end != len(text):
        raise StrictJsonError(_NOT_JSON)
    return value


def _verify_depth(raw: bytes, max_depth: int) -> None:
    """Raise StrictJsonError when brackets nest deeper than `max_depth`; strings do not count, and nothing recurses."""
    if raw.count(b"[") + raw.count(b"{") <= max_depth:
        return
    depth = 0
    for match in _STRINGS_AND_BRACKETS.finditer(raw):
        token = match[0]
        if token in b"[{":
            depth += 1
            if depth > max_depth:
                message = "the JSON text is nested too deeply"
                raise StrictJsonError(message)
        elif token in b"]}":
            depth -= 1


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        message = "a member occurs twice in one JSON object"
        raise StrictJsonError(message)
    return members


def _refuse_constant(_: str) -> Any:
    message = "the JSON text holds NaN or Infinity"
    raise StrictJsonError(message)


def _bounded_integer(digits: str) -> int:
    if len(digits) > MAX_JSON_INTEGER_DIGITS:
        message = "the JSON text holds an integer that is too long"
        raise StrictJsonError(message)
    return int(digits)


def _finite_number(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        message = "the JSON text holds a number that is too large"
        raise StrictJsonError(message)
    return number


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique_members,
    parse_constant=_refuse_constant,
    parse_int=_bounded_integer,
    parse_float=_finite_number,
)
