"""One message on a socket: four bytes of length, big-endian, and a JSON object of at most `MAX_FRAME` bytes.

Whoever is at the other end may be broken. So a length is believed only within the bound, memory is taken as bytes
arrive and not as they are announced, a frame that has begun must end in time, and the JSON has one reading.
"""

from __future__ import annotations

import json
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from extauthz.errors import LinkError, StrictJsonError
from extauthz.strictjson import load_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.clock import Clock

MAX_FRAME: Final = 1 << 20
"""Bytes of JSON in one message; a batch of sessions is some hundred kilobytes."""

_LENGTH: Final = struct.Struct(">I")
_PIECE: Final = 1 << 16


def to_frame(message: Mapping[str, Any]) -> bytes:
    """Return a message as it goes over the wire.

    Raises:
        LinkError: it is too long.
        TypeError: something in it has no form in JSON.
        ValueError: likewise, a number that is not finite.
    """
    body = json.dumps(message, separators=(",", ":"), allow_nan=False).encode()
    if len(body) > MAX_FRAME:
        text = f"the message has {len(body)} bytes, more than {MAX_FRAME}"
        raise LinkError(text)
    return _LENGTH.pack(len(body)) + body


def from_body(body: bytes) -> dict[str, Any]:
    """Return the message that the bytes after the length are.

    Raises:
        LinkError: they are no JSON object with one reading.
    """
    try:
        return load_object(body, max_bytes=MAX_FRAME)
    except StrictJsonError as error:
        text = f"what arrived is no message: {error}"
        raise LinkError(text) from None


class FrameSocket:
    """A connected socket that carries messages; for one thread at a time.

    Args:
        connected: owned from now on.
        clock: its monotonic side measures deadlines.
    """

    def __init__(self, connected: socket.socket, clock: Clock) -> None:
        self._socket = connected
        self._clock = clock
        self._buffer = bytearray()

    def send(self, message: Mapping[str, Any], timeout: float) -> None:
        """Send a message.

        Raises:
            LinkError: it is too long, the other end is gone, or does not take it in time.
        """
        self.send_frame(to_frame(message), timeout)

    def send_frame(self, frame: bytes, timeout: float) -> None:
        """Send what `to_frame` has made.

        Raises:
            LinkError: the other end is gone, or does not take it in time.
        """
        try:
            self._socket.settimeout(max(timeout, 1e-6))
            self._socket.sendall(frame)  # Its timeout is for all of it.
        except OSError as error:
            raise LinkError(_why(error)) from error

    def receive(self, timeout: float, *, idle: float | None = None) -> dict[str, Any] | None:
        """Return the next message; None when the other end has closed between two.

        Args:
            timeout: seconds for the message, from its first byte on.
            idle: seconds to wait for its first byte; `timeout` is for both when not given.

        Raises:
            LinkError: it is late, broken, or ends in the middle.
        """
        until = self._clock.monotonic() + (timeout if idle is None else idle)
        if not self._buffer:
            if not self._read_until(1, until):
                return None
            if idle is not None:
                until = self._clock.monotonic() + timeout
        self._need(_LENGTH.size, until)
        (length,) = _LENGTH.unpack_from(self._buffer)
        if length > MAX_FRAME:
            text = f"a message of {length} bytes was announced, more than {MAX_FRAME}"
            raise LinkError(text)
        end = _LENGTH.size + length
        self._need(end, until)
        body = bytes(self._buffer[_LENGTH.size : end])
        del self._buffer[:end]
        return from_body(body)

    def is_quiet(self) -> bool:
        """Return whether the other end is still there and has said nothing that nobody asked for."""
        if self._buffer:
            return False
        try:
            self._socket.settimeout(0.0)
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def hang_up(self) -> None:
        """End the conversation for both ends, also under a thread that waits for it."""
        with suppress(OSError):  # It may be over already.
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def _need(self, size: int, until: float) -> None:
        """Have `size` bytes in the buffer."""
        if not self._read_until(size, until):
            text = "the connection ended in the middle of a message"
            raise LinkError(text)

    def _read_until(self, size: int, until: float) -> bool:
        """Read until the buffer holds `size` bytes; False when the other end closes before."""
        while len(self._buffer) < size:
            left = until - self._clock.monotonic()
            if left <= 0:
                raise LinkError(_LATE)
            try:
                self._socket.settimeout(left)
                piece = self._socket.recv(_PIECE)
            except OSError as error:
                raise LinkError(_why(error)) from error
            if not piece:
                return False
            self._buffer += piece
        return True


_LATE: Final = "nothing came in time"


def _why(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return _LATE
    return f"the connection broke: {error.strerror or type(error).__name__}"
