"""Reading a request from a client that may be slow, endless or both."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from _typeshed import WriteableBuffer

_CHUNK_SIZE: Final = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")
"""A chunk's size, with extensions that nobody here knows (RFC 9112 section 7.1)."""
_LONGEST_LINE: Final = 4096

Seconds: TypeAlias = float


class TooLongError(Exception):
    """More bytes than are accepted."""


class FramingError(Exception):
    """A body of which nobody can say where it ends."""


class BoundedStream(io.RawIOBase):
    """What a client sends, until a deadline, and up to a number of bytes.

    A socket's own timeout starts again with every byte that drips in; here it is what is left of the deadline.

    Args:
        connection: from the client.
        monotonic: seconds of a clock that never goes back.
        deadline: by that clock.
        limit: bytes.
    """

    def __init__(
        self, connection: socket.socket, monotonic: Callable[[], float], deadline: Seconds, limit: int
    ) -> None:
        self._connection = connection
        self._monotonic = monotonic
        self._deadline = deadline
        self._left = limit

    def readable(self) -> bool:
        """Return True."""
        return True

    def allow(self, more: int) -> None:
        """Accept so many bytes more."""
        self._left += more

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read some bytes.

        Raises:
            TimeoutError: the deadline is over.
            TooLongError: the client has sent all that is accepted.
            OSError: the connection is broken.
        """
        seconds = self._deadline - self._monotonic()
        if seconds <= 0:
            raise TimeoutError
        if self._left <= 0:
            raise TooLongError
        self._connection.settimeout(seconds)
        count = self._connection.recv_into(memoryview(buffer)[: self._left])
        self._left -= count
        return count


def read_exactly(stream: io.BufferedIOBase, length: int) -> bytes:
    """Return the next `length` bytes.

    Raises:
        FramingError: there are fewer.
    """
    body = stream.read(length)
    if len(body) != length:
        raise FramingError
    return body


def read_chunks(stream: io.BufferedIOBase, longest: int) -> bytes:
    """Return a body sent in chunks (RFC 9112 section 7.1); what follows the last one is not looked at.

    Raises:
        FramingError: it does not follow the grammar, or ends early.
        TooLongError: it has more than `longest` bytes.
    """
    body = bytearray()
    while True:
        match = _CHUNK_SIZE.fullmatch(stream.readline(_LONGEST_LINE))
        if match is None:
            raise FramingError
        size = int(match[1], 16)
        if size == 0:
            return bytes(body)
        if size > longest - len(body):
            raise TooLongError
        body += read_exactly(stream, size)
        if stream.readline(3) not in {b"\r\n", b"\n"}:
            raise FramingError
