"""Frames: whatever arrives, in whatever pieces, is the message that was sent or a `LinkError`, in time."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extauthz.clock import SystemClock
from extauthz.errors import LinkError
from extauthz.link.frames import MAX_FRAME, FrameSocket, from_body, to_frame

if TYPE_CHECKING:
    from collections.abc import Iterator

Pair = tuple[FrameSocket, socket.socket]

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=8,
)


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Yield one end that speaks frames, and the raw other one."""
    ours, theirs = socket.socketpair()
    frames = FrameSocket(ours, SystemClock())
    with closing(theirs), closing(frames):
        yield frames, theirs


@settings(max_examples=40)
@given(st.dictionaries(st.text(st.characters(codec="utf-8")), VALUES, max_size=5))
def test_a_message_arrives_as_it_was(message: dict[str, Any]) -> None:
    """Whatever JSON it is."""
    frame = to_frame(message)
    assert struct.unpack(">I", frame[:4]) == (len(frame) - 4,)
    assert from_body(frame[4:]) == message


@given(st.binary(max_size=60))
def test_other_bytes_are_refused_or_are_an_object(body: bytes) -> None:
    """They never raise anything else."""
    with suppress(LinkError):
        assert isinstance(from_body(body), dict)


def test_pieces_and_several_at_once(pair: Pair) -> None:
    """A message may come byte by byte, and the next one with its end."""
    frames, theirs = pair
    sent = to_frame({"n": 1}) + to_frame({"n": 2}) + to_frame({"n": 3})[:5]

    def dribble() -> None:
        for at in range(len(sent)):
            theirs.sendall(sent[at : at + 1])

    writer = threading.Thread(target=dribble)
    writer.start()
    assert [frames.receive(5), frames.receive(5)] == [{"n": 1}, {"n": 2}]
    writer.join()
    assert not frames.is_quiet()
    with pytest.raises(LinkError, match="in time"):
        frames.receive(0.01)


def test_the_end_between_two_messages_is_no_error(pair: Pair) -> None:
    """But in the middle of one it is."""
    frames, theirs = pair
    theirs.sendall(to_frame({"n": 1}))
    theirs.shutdown(socket.SHUT_WR)
    assert frames.receive(5) == {"n": 1}
    assert frames.receive(5) is None


@pytest.mark.parametrize("half", [b"\0", b"\0\0\0\x05", b'\0\0\0\x05{"a"'])
def test_half_a_message_is_an_error(pair: Pair, half: bytes) -> None:
    """Wherever it is cut."""
    frames, theirs = pair
    theirs.sendall(half)
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(LinkError, match="middle"):
        frames.receive(5)


def test_a_huge_length_is_refused_unread(pair: Pair) -> None:
    """Before any memory is taken for it."""
    frames, theirs = pair
    theirs.sendall(struct.pack(">I", MAX_FRAME + 1))
    with pytest.raises(LinkError, match=str(MAX_FRAME)):
        frames.receive(5)


def test_the_largest_message_goes_through(pair: Pair) -> None:
    """One byte more does not leave."""
    frames, theirs = pair
    message = {"a": "x" * (MAX_FRAME - 8)}
    other = FrameSocket(theirs, SystemClock())
    sender = threading.Thread(target=other.send, args=(message, 5))
    sender.start()
    assert frames.receive(5) == message
    sender.join()
    with pytest.raises(LinkError, match="more than"):
        frames.send({"a": "x" * (MAX_FRAME - 7)}, 5)


def test_numbers_that_are_not_finite_are_not_sent() -> None:
    """They have no form in JSON."""
    with pytest.raises(ValueError, match="JSON"):
        to_frame({"a": float("nan")})


def test_who_does_not_take_a_message_is_not_waited_for(pair: Pair) -> None:
    """The deadline is for all of it."""
    frames, _ = pair
    with pytest.raises(LinkError, match="in time"):
        frames.send({"a": "x" * 1_000_000}, 0.05)


def test_an_idle_wait_is_longer_than_a_message(pair: Pair) -> None:
    """The first byte may take its time; then the clock of the message runs."""
    frames, theirs = pair
    with pytest.raises(LinkError, match="in time"):
        frames.receive(5, idle=0.01)
    theirs.sendall(b"\0\0")
    with pytest.raises(LinkError, match="in time"):
        frames.receive(0.01, idle=5)


def test_quiet_means_there_and_silent(pair: Pair) -> None:
    """A connection that was closed, or on which something unasked lies, is not used again."""
    frames, theirs = pair
    assert frames.is_quiet()
    theirs.sendall(b"x")
    assert not frames.is_quiet()


def test_a_closed_end_is_not_quiet(pair: Pair) -> None:
    """Neither is our own, and hanging up twice does no harm."""
    frames, theirs = pair
    theirs.close()
    assert not frames.is_quiet()
    with pytest.raises(LinkError, match="broke"):
        frames.send({}, 5)
    frames.hang_up()
    frames.close()
    frames.hang_up()
    assert not frames.is_quiet()
    with pytest.raises(LinkError, match="broke"):
        frames.receive(5)


def test_no_time_is_late(pair: Pair) -> None:
    """Also where something would be there."""
    frames, theirs = pair
    theirs.sendall(to_frame({}))
    with pytest.raises(LinkError, match="in time"):
        frames.receive(0.0)
    assert frames.receive(5) == {}
