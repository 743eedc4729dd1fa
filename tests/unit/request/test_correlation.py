"""Tests of `extauthz/request/correlation.py`."""

from __future__ import annotations

import pytest

from extauthz.limits import MAX_REQUEST_ID_CHARACTERS
from extauthz.model.request import Headers
from extauthz.request.correlation import request_id_of, trace_id_of

_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
_PARENT = "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("7d9f1c8e-5b0a", "7d9f1c8e-5b0a"),
        ("a b\tc\u00e9\u2028d", "abcd"),
        ("x" * 500, "x" * MAX_REQUEST_ID_CHARACTERS),
        ("", ""),
    ],
)
def test_request_id_is_short_visible_ascii(value: str, kept: str) -> None:
    """Whatever a client sends, only visible ASCII of bounded length is kept."""
    assert request_id_of(Headers({"x-request-id": (value,)})) == kept


def test_no_request_id() -> None:
    """Without the header there is no request id."""
    assert request_id_of(Headers()) == ""


@pytest.mark.parametrize("value", [f"00-{_TRACE}-{_PARENT}-01", f"01-{_TRACE}-{_PARENT}-00-more"])
def test_trace_id_of_valid_traceparent(value: str) -> None:
    """The trace id is read from version 00 and from longer later versions."""
    assert trace_id_of(Headers({"traceparent": (value,)})) == _TRACE


@pytest.mark.parametrize(
    "values",
    [
        (),
        ("",),
        (f"00-{_TRACE}-{_PARENT}-01", f"00-{_TRACE}-{_PARENT}-01"),
        (f"00-{_TRACE}-{_PARENT}-01,00-{_TRACE}-{_PARENT}-01",),
        (f"00-{_TRACE}-{_PARENT}-01-more",),
        (f"ff-{_TRACE}-{_PARENT}-01",),
        (f"00-{'0' * 32}-{_PARENT}-01",),
        (f"00-{_TRACE}-{'0' * 16}-01",),
        (f"00-{_TRACE.upper()}-{_PARENT}-01",),
        (f"00-{_TRACE[1:]}-{_PARENT}-01",),
        (f"00-{_TRACE}-{_PARENT}",),
        (f" 00-{_TRACE}-{_PARENT}-01",),
        (f"00-{_TRACE}-{_PARENT}-01\n",),
    ],
)
def test_other_traceparents_are_left_out(values: tuple[str, ...]) -> None:
    """A missing, repeated or malformed `traceparent` gives no trace id, and no refusal."""
    assert trace_id_of(Headers({"traceparent": values} if values else {})) == ""
