"""Properties of `extauthz/strictjson.py`."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from extauthz.errors import StrictJsonError
from extauthz.strictjson import load_value

_ENOUGH = 1024 * 1024
_TEXT = st.text(st.characters(codec="utf-8"), max_size=10)
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=15,
)
_FRAGMENTS = st.lists(
    st.sampled_from(
        ['{"a":', "[", "]", "}", ",", "1", '"', "\\", '"b"', "1e999", "NaN", "\\ud800", "\x00", " ", "{}", "-"]
    )
).map(lambda pieces: "".join(pieces).encode())


@given(_JSON, st.booleans())
@settings(deadline=None)
def test_what_a_serialiser_writes_is_read_back(value: Any, ascii_only: bool) -> None:
    """Every JSON value in bounds comes back equal, escaped or not."""
    assert load_value(json.dumps(value, ensure_ascii=ascii_only).encode(), max_bytes=_ENOUGH) == value


@given(st.binary(max_size=200) | _FRAGMENTS)
@settings(deadline=None)
def test_any_bytes_become_a_value_or_a_strict_json_error(raw: bytes) -> None:
    """Nothing but a StrictJsonError is raised, and what is accepted can be written as JSON in UTF-8 again."""
    try:
        value = load_value(raw, max_bytes=_ENOUGH)
    except StrictJsonError:
        return
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    assert value == json.loads(raw)
