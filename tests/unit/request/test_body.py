"""Tests of `extauthz/request/body.py`: unknown is never complete."""

from __future__ import annotations

import pytest

from extauthz.model.reason import Reason
from extauthz.model.request import Body, BodyState, Headers
from extauthz.request.body import PARTIAL_BODY_HEADER, body_from
from tests.unit.request.refusals import reason_of


@pytest.mark.parametrize(
    ("flag", "raw", "state"),
    [
        (None, b"", BodyState.ABSENT),
        ("false", b"", BodyState.ABSENT),
        ("true", b"", BodyState.PARTIAL),
        (None, b"{}", BodyState.PARTIAL),
        ("false", b"{}", BodyState.COMPLETE),
        ("true", b"{}", BodyState.PARTIAL),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_state_of_the_body(flag: str | None, raw: bytes, state: BodyState, packed: bool) -> None:
    """Only bytes that Envoy calls whole are complete, in either field."""
    headers = Headers({} if flag is None else {PARTIAL_BODY_HEADER: (flag,)})
    body = body_from(headers, "", raw) if packed else body_from(headers, raw.decode(), b"")
    assert body == Body(state, raw)


def test_text_becomes_utf8() -> None:
    """The text field is read as the bytes it stands for."""
    assert body_from(Headers({PARTIAL_BODY_HEADER: ("false",)}), "é", b"").raw == b"\xc3\xa9"


def test_two_bodies_are_refused() -> None:
    """A question with both fields filled has two readings."""
    assert reason_of(lambda: body_from(Headers(), "a", b"a")) is Reason.MALFORMED_REQUEST


@pytest.mark.parametrize("flag", ["", "TRUE", "1", "no"])
def test_unknown_flags_are_refused(flag: str) -> None:
    """A flag that is neither `true` nor `false` is not taken for either."""
    headers = Headers({PARTIAL_BODY_HEADER: (flag,)})
    assert reason_of(lambda: body_from(headers, "", b"{}")) is Reason.MALFORMED_REQUEST
