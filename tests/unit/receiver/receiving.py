"""A push receiver in this process, and clients of it."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from extauthz.clock import SystemClock
from extauthz.config.signals import ReceiverSettings
from extauthz.receiver.push import PushReceiver
from tests.simulators.transmitter import AUTHORIZATION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.simulators.desk import ScriptedDesk

EVENT: Final = "aGVhZA.Ym9keQ.c2ln"
HEAD: Final = (
    f"POST /events/idp HTTP/1.1\r\nauthorization: {AUTHORIZATION}\r\ncontent-type: application/secevent+jwt\r\n"
)


@contextmanager
def receiving(
    folder: Path, desk: ScriptedDesk, *, seconds: float = 10.0, plaintext: bool = False, **settings: Any
) -> Iterator[PushReceiver]:
    """Yield a receiver that takes the stream `idp`."""
    (file := folder / "authorization").write_text(AUTHORIZATION + "\n")
    receiver = PushReceiver(
        ReceiverSettings.model_validate({"address": "127.0.0.1:0", **settings}),
        {"idp": file},
        desk,
        SystemClock(),
        plaintext_beyond_loopback=plaintext,
        request_seconds=seconds,
    )
    receiver.start()
    try:
        yield receiver
    finally:
        desk.gate.set()
        receiver.stop()


def connect(receiver: PushReceiver) -> socket.socket:
    """Return a connection."""
    host, _, port = receiver.address.rpartition(":")
    return socket.create_connection((host, int(port)), 20)


def exchange(receiver: PushReceiver, raw: bytes) -> bytes:
    """Send these bytes and nothing more; return everything that comes back."""
    with connect(receiver) as connection:
        connection.sendall(raw)
        return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    """Return what comes until the other end closes."""
    found = b""
    while chunk := connection.recv(65536):
        found += chunk
    return found


def status_of(answer: bytes) -> int:
    """Return the status; 0 when there was no answer."""
    return int(answer.split(b" ")[1]) if answer else 0


def answer_or_nothing(connection: socket.socket) -> bytes:
    """Return what comes; nothing when the connection is broken."""
    try:
        return read_all(connection)
    except ConnectionError:
        return b""
