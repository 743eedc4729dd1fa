"""What a child process is told when it starts, and how the two talk afterwards.

The settings are handed down as they were read once, through a file without a name that the child inherits as standard
input: secrets are neither on a command line nor in an environment, where others could read them, and no child reads a
file that was edited in between. They are pickled, which only whoever may also run code as us can write.

Afterwards both sides send lines of JSON over a pair of sockets. The supervisor believes no child more than that: it
never unpickles, never waits for a child to read or to write, and bounds what it keeps.
"""

from __future__ import annotations

import json
import os
import pickle
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from extauthz.config.settings import Settings

Kind = Literal["worker", "keeper", "receiver"]
Message = dict[str, Any]

MAX_BYTES: Final = 4 * 1024 * 1024
"""Longest line; what a child says is its metrics at most."""

_CHUNK: Final = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """All that a child needs to know.

    Attributes:
        kind: which part of the server it is.
        settings: of the whole server, as they were read.
        worker: number of the worker, from 0; 0 for the others.
        addresses: where this worker listened before, if it did; a port that the system chose is kept over a restart.
        parent: process id of the supervisor.
        channel: descriptor of the child's end of the channel.
        nonce_secret: of DPoP nonces, where the settings name none: workers have to accept each other's.
        turn: descriptor of a file whose lock is held while decision records go to standard output, which all share.
    """

    kind: Kind
    settings: Settings
    worker: int = 0
    addresses: tuple[str, ...] = ()
    nonce_secret: bytes = field(default=b"", repr=False)
    parent: int
    channel: int
    turn: int

    @property
    def name(self) -> str:
        """Return what logs and metrics call the process."""
        return f"{self.kind}-{self.worker}" if self.kind == "worker" else self.kind


def nameless_file(name: str) -> IO[bytes]:
    """Return a new file that has no path: in memory where the system can, else one that is deleted already."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create(name, os.MFD_CLOEXEC), "w+b")
    return tempfile.TemporaryFile()  # pragma: no cover — systems other than Linux


def pack(handover: Handover) -> IO[bytes]:
    """Return a file to start a child with as its standard input."""
    file = nameless_file("extauthz-settings")
    pickle.dump(handover, file)
    file.seek(0)
    return file


def unpack(file: IO[bytes]) -> Handover:
    """Return what `pack` put into the file."""
    handover: Handover = pickle.load(file)  # noqa: S301 — our own supervisor wrote it, into a file that only we have
    return handover


class Channel:
    """One end of the pair; lines of JSON, one message each.

    Args:
        end: the socket. A supervisor's end does not block.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._kept = b""
        self.closed = False
        """Whether the other side is gone, or said what is not a message."""

    def fileno(self) -> int:
        """Return the descriptor, for `select`."""
        return self._end.fileno()

    def send(self, message: Message) -> bool:
        """Send a message; return False when the other side does not take it: it is gone or reads no more."""
        line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        try:
            self._end.sendall(line)
        except OSError:
            return False
        return True

    def receive(self) -> Iterator[Message]:
        """Yield the messages that have arrived; where the end blocks, wait for something first.

        `closed` is set when there will be none any more.
        """
        try:
            piece = self._end.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        *lines, self._kept = (self._kept + piece).split(b"\n")
        if not piece or len(self._kept) > MAX_BYTES:
            self.closed = True
        for line in lines:
            message = _parsed(line)
            if message is None:
                self.closed = True
                return
            yield message

    def close(self) -> None:
        """Let go of this end."""
        self.closed = True
        with suppress(OSError):
            self._end.close()


def _parsed(line: bytes) -> Message | None:
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None
