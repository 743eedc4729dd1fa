"""Asking another of our processes, over its Unix socket.

Connections are kept for the next question, as many as are asked at once. One that the other end has closed meanwhile
is noticed before it is used; once a question has been sent it is never sent again, since nobody here can know whether
it was carried out.
"""

from __future__ import annotations

import os
import socket
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

from extauthz.clock import Clock, SystemClock
from extauthz.errors import LinkError
from extauthz.link.frames import FrameSocket
from extauthz.link.listener import peer_uid

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_TURN_SECONDS: Final = 0.001
"""Between two attempts to connect while others wait for the same."""

MAX_KEPT: Final = 32
"""Connections that are kept while nobody asks."""


class LinkCaller:
    """Asks on a Unix socket. Use it from any thread.

    Args:
        path: of the socket.
        timeout: seconds for a question and its answer, where none are given.
        clock: only its monotonic side is read.
        users: who may answer; our own user and root when None.
    """

    def __init__(
        self, path: Path, timeout: float = 5.0, *, clock: Clock | None = None, users: frozenset[int] | None = None
    ) -> None:
        self._path = path
        self._timeout = timeout
        self._clock = clock or SystemClock()
        self._users = frozenset({os.geteuid(), 0}) if users is None else users
        self._closed = threading.Event()
        # Everything below is read and written under this lock only.
        self._lock = threading.Lock()
        self._kept: list[FrameSocket] = []

    def ask(self, message: Mapping[str, Any], timeout: float | None = None) -> dict[str, Any]:
        """Return the answer to a message.

        Raises:
            LinkError: nobody is there, or the answer is late or broken; whether it was carried out is not known then.
        """
        until = self._clock.monotonic() + (self._timeout if timeout is None else timeout)
        frames = self._take_kept() or self._connect(until)
        with ExitStack() as undo:
            undo.callback(frames.close)  # Else a late answer could be taken for that to the next question.
            frames.send(message, until - self._clock.monotonic())
            answer = frames.receive(until - self._clock.monotonic())
            if answer is not None:
                undo.pop_all()
        if answer is None:
            text = f"{self._path}: it hung up without an answer"
            raise LinkError(text)
        self._keep(frames)
        return answer

    def close(self) -> None:
        """Let go of the connections that are kept."""
        self._closed.set()
        with self._lock:
            kept, self._kept = self._kept, []
        for frames in kept:
            frames.close()

    def _take_kept(self) -> FrameSocket | None:
        """Return a connection from before that is still good."""
        while True:
            with self._lock:
                if not self._kept:
                    return None
                frames = self._kept.pop()
            if frames.is_quiet():
                return frames
            frames.close()

    def _keep(self, frames: FrameSocket) -> None:
        with self._lock:
            if len(self._kept) < MAX_KEPT:
                self._kept.append(frames)
                return
        frames.close()

    def _connect(self, until: float) -> FrameSocket:
        connecting = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with ExitStack() as undo:
            undo.callback(connecting.close)
            try:
                self._connect_in_turn(connecting, until)
            except OSError as error:
                text = f"{self._path}: {error.strerror or error}; is `extauthz serve` running?"
                raise LinkError(text) from error
            if peer_uid(connecting) not in self._users:
                text = f"{self._path}: another user answers there; check server.run_dir"
                raise LinkError(text)
            undo.pop_all()
        return FrameSocket(connecting, self._clock)

    def _connect_in_turn(self, connecting: socket.socket, until: float) -> None:
        """Connect; wait for a turn while too many others wait to be accepted, which Linux says at once (unix(7))."""
        while True:
            connecting.settimeout(max(until - self._clock.monotonic(), 1e-6))
            try:
                return connecting.connect(str(self._path))
            except BlockingIOError:
                if self._clock.monotonic() >= until or self._closed.wait(_TURN_SECONDS):
                    raise
