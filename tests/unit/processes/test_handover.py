"""What children are told, and how they answer."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from extauthz.config.settings import Settings
from extauthz.processes import handover
from extauthz.processes.handover import Channel, Handover, pack, unpack
from extauthz.processes.part import Report

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "s3cr3t-s3cr3t-s3cr3t"


@contextmanager
def channel() -> Iterator[tuple[Channel, socket.socket]]:
    """Yield a supervisor's end, and the raw socket of its child."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    end = Channel(ours)
    with theirs:
        yield end, theirs
    end.close()


def test_settings_arrive_as_they_were_read() -> None:
    """Secrets too, whose text is nowhere but in a file that has no name."""
    settings = Settings.model_validate({"policy": ["p"], "proxies": [{"name": "edge", "token": SECRET}]})
    told = Handover(kind="worker", settings=settings, worker=3, addresses=("a:1",), parent=7, channel=5, turn=6)
    with pack(told) as file:
        got = unpack(file)
    assert got == told
    token = got.settings.proxies[0].token
    assert token is not None
    assert token.get_secret_value() == SECRET
    assert SECRET not in repr(got)
    assert [got.name, Handover(kind="keeper", settings=settings, parent=7, channel=5, turn=6).name] == [
        "worker-3",
        "keeper",
    ]


def test_messages_arrive_whole_however_they_are_cut() -> None:
    """A child may write byte by byte."""
    with channel() as (end, child):
        for byte in b'{"pong":1}\n{"pong"':
            child.sendall(bytes([byte]))
        assert [*end.receive(), *end.receive()] == [{"pong": 1}]
        child.sendall(b":2}\n")
        assert list(end.receive()) == [{"pong": 2}]
        assert not end.closed


@pytest.mark.parametrize("line", [b"no json\n", b"[1]\n", b'"up"\n', b"\xff\n", b"\n"])
def test_what_is_no_message_ends_the_conversation(line: bytes) -> None:
    """A child that talks nonsense is not one to be trusted with more."""
    with channel() as (end, child):
        child.sendall(line)
        assert list(end.receive()) == []
        assert end.closed


def test_a_child_cannot_fill_our_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line without an end is the end."""
    monkeypatch.setattr(handover, "MAX_BYTES", 1000)
    with channel() as (end, child):
        child.sendall(b"x" * 1001)
        assert list(end.receive()) == []
        assert end.closed


def test_nobody_waits_for_a_child_that_does_not_read() -> None:
    """What it does not take is not sent, and that is told."""
    with channel() as (end, _):
        sent = 0
        while end.send({"ping": "x" * 10_000}):
            sent += 1
        assert 0 < sent < 1000
        assert list(end.receive()) == []
        assert not end.closed


def test_the_end_of_a_child_is_noticed() -> None:
    """By receiving and by sending."""
    with channel() as (end, child):
        child.close()
        assert list(end.receive()) == []
        assert end.closed
        assert not end.send({"op": "ping"})
    with channel() as (end, child):
        end.send({"op": "ping"})
        child.close()  # With something unread, which resets the connection.
        assert list(end.receive()) == []
        assert end.closed


def test_a_report_is_believed_no_more_than_its_types() -> None:
    """A child can only name itself wrongly, not break its supervisor."""
    report = Report(addresses=("a:1",), metrics="m:1", engine="native", policy="p")
    assert Report.from_message(report.to_message()) == report
    assert Report.from_message({"addresses": 3, "metrics": None, "engine": ["x"]}) == Report()
    assert Report.from_message("up") == Report()
