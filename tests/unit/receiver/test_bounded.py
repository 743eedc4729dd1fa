"""Reading within bounds: what a body is does not depend on how it is cut into pieces."""

from __future__ import annotations

import contextlib
import io
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extauthz.receiver.bounded import BoundedStream, FramingError, TooLongError, read_chunks, read_exactly
from tests.simulators.clock import ManualClock


def chunked(pieces: list[bytes]) -> bytes:
    """Return the pieces as chunks."""
    return b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces) + b"0\r\n\r\n"


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=20))
def test_chunks_are_the_body_however_it_is_cut(pieces: list[bytes]) -> None:
    """And a bound below its length refuses it."""
    body = b"".join(pieces)
    assert read_chunks(io.BytesIO(chunked(pieces)), len(body)) == body
    if body:
        with pytest.raises(TooLongError):
            read_chunks(io.BytesIO(chunked(pieces)), len(body) - 1)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_body_or_an_error_of_ours(raw: bytes) -> None:
    """Nothing else leaves the parser, and a body is never longer than what was sent."""
    with contextlib.suppress(FramingError, TooLongError):
        assert len(read_chunks(io.BytesIO(raw), 100)) <= len(raw)


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=5), st.data())
def test_a_body_that_ends_early_is_none(pieces: list[bytes], data: st.DataObject) -> None:
    """Before the size of the last chunk, nobody knows that it is complete."""
    raw = chunked(pieces)
    cut = data.draw(st.integers(0, len(raw) - len(b"0\r\n\r\n")))
    with pytest.raises(FramingError):
        read_chunks(io.BytesIO(raw[:cut]), 1000)


def test_a_length_is_kept_exactly() -> None:
    """What is missing is an error."""
    assert read_exactly(io.BytesIO(b"abcd"), 3) == b"abc"
    with pytest.raises(FramingError):
        read_exactly(io.BytesIO(b"ab"), 3)


def test_nothing_is_read_after_the_deadline_or_beyond_the_limit() -> None:
    """However much of it is there."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        clock = ManualClock()
        theirs.sendall(b"x" * 100)
        stream = BoundedStream(ours, clock.monotonic, clock.monotonic() + 5, 10)
        assert stream.read(100) == b"x" * 10
        with pytest.raises(TooLongError):
            stream.read(1)
        stream.allow(1)
        assert stream.read(100) == b"x"
        stream.allow(50)
        clock.advance(5)
        with pytest.raises(TimeoutError):
            stream.read(1)
