"""Answering our own processes on a Unix socket.

1. The socket belongs to its owner alone (mode 0600, in a folder of mode 0700), and who connects is asked for by
   `SO_PEERCRED`: our own user, or root; anybody else is hung up on before a byte is read.
2. A thread for each connection, and a bound on those. When all are taken, the one that has been idle longest makes
   room, and when none is idle the newcomer is hung up on. So nobody can keep others out by being connected.
3. A message that has begun must end in time; one that is broken gets a last answer that says so, and the end. Other
   connections do not notice.
4. A handler that fails is logged; its asker gets an error.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog

from extauthz.clock import Clock, SystemClock
from extauthz.errors import LinkError
from extauthz.link.frames import FrameSocket, to_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_log = structlog.get_logger(__name__)

FRAME_SECONDS: Final = 5.0
"""Time for one message to arrive, and for its answer to be taken."""

IDLE_SECONDS: Final = 600.0
"""A connection that asks nothing for so long is closed; callers connect again without noticing."""

STOP_SECONDS: Final = 5.0
"""How long a stop waits for handlers that are under way."""

_BACKLOG: Final = 128
_PRIVATE: Final = 0o600
_OWNER_ONLY: Final = 0o700
_OTHERS: Final = 0o077
_CREDENTIALS: Final = struct.Struct("iII")
_PAUSE: Final = 0.05


def make_run_dir(folder: Path) -> None:
    """Make the folder for our sockets, for its owner only, unless there is one.

    Raises:
        LinkError: it cannot be made, belongs to somebody else, or others can get in.
    """
    try:
        folder.mkdir(mode=_OWNER_ONLY, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        text = f"{folder}: {error.strerror}; make it for our user, or set server.run_dir"
        raise LinkError(text) from error
    if found.st_uid != os.geteuid() or found.st_mode & _OTHERS:
        text = f"{folder}: others can get in; it must belong to our user with mode 0700"
        raise LinkError(text)


def peer_uid(connected: socket.socket) -> int:
    """Return the user at the other end of a Unix socket, by the kernel's word."""
    _, uid, _ = _CREDENTIALS.unpack(
        connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size),
    )
    return int(uid)


@dataclass(slots=True, eq=False)
class _Served:
    frames: FrameSocket
    idle_since: float | None


class LinkListener:
    """Answers on a Unix socket; `start` once, then `stop` once.

    Args:
        path: of the socket; its folder must be there (`make_run_dir`).
        handle: the answer to a message; called from many threads at once.
        max_connections: served at once.
        clock: only its monotonic side is read.
        users: who may connect; our own user and root when None.
        frame_seconds: see `FRAME_SECONDS`.
    """

    def __init__(  # noqa: PLR0913 — what tests turn, beside what callers give
        self,
        path: Path,
        handle: Callable[[dict[str, Any]], Mapping[str, Any]],
        max_connections: int = 64,
        *,
        clock: Clock | None = None,
        users: frozenset[int] | None = None,
        frame_seconds: float = FRAME_SECONDS,
    ) -> None:
        self._path = path
        self._handle = handle
        self._max_connections = max_connections
        self._clock = clock or SystemClock()
        self._users = frozenset({os.geteuid(), 0}) if users is None else users
        self._frame_seconds = frame_seconds
        self._listening: socket.socket | None = None
        self._accepting = threading.Thread(target=self._accept, name=f"link {path.name}", daemon=True)
        self._stopping = threading.Event()
        # Everything below is read and written under this lock only.
        self._lock = threading.Condition()
        self._served: set[_Served] = set()
        self._threads = 0

    @property
    def connections(self) -> int:
        """Return how many are served now."""
        with self._lock:
            return len(self._served)

    def start(self) -> None:
        """Take the socket's place and begin to answer.

        Raises:
            LinkError: somebody else answers there, or the socket cannot be made.
        """
        if _answers(self._path):
            text = f"{self._path}: another extauthz answers there; stop it, or set another server.run_dir"
            raise LinkError(text)
        fresh = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            fresh.unlink(missing_ok=True)
            listening.bind(str(fresh))
            fresh.chmod(_PRIVATE)
            listening.listen(_BACKLOG)
            fresh.rename(self._path)  # Only now can anybody find it, and it is private already.
        except OSError as error:
            listening.close()
            text = f"{self._path}: {error.strerror or error}; check server.run_dir"
            raise LinkError(text) from error
        self._listening = listening
        self._accepting.start()

    def stop(self) -> None:
        """Answer no more: hang up on everybody, and return when handlers have ended, or their time is up."""
        self._stopping.set()
        if self._listening is None:
            return
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listening.close()
        self._path.unlink(missing_ok=True)
        with self._lock:
            for served in self._served:
                served.frames.hang_up()
            self._lock.wait_for(lambda: self._threads == 0, STOP_SECONDS)

    def _accept(self) -> None:
        listening = self._listening
        while listening is not None and not self._stopping.is_set():
            try:
                connected, _ = listening.accept()
            except OSError:
                # Told to stop; or out of descriptors, which passes.
                self._stopping.wait(_PAUSE)
                continue
            self._welcome(connected)

    def _welcome(self, connected: socket.socket) -> None:
        uid = peer_uid(connected)
        frames = FrameSocket(connected, self._clock)
        if uid not in self._users:
            _log.warning("another user is hung up on", socket=self._path.name, uid=uid)
            frames.close()
            return
        served = _Served(frames, self._clock.monotonic())
        with self._lock:
            if len(self._served) >= self._max_connections and not self._make_room():
                _log.warning("too many connections", socket=self._path.name, connections=len(self._served))
                frames.close()
                return
            self._served.add(served)
            self._threads += 1
        try:
            threading.Thread(target=self._serve, args=(served,), name=f"link {self._path.name}", daemon=True).start()
        except RuntimeError as error:  # The process has no room for another thread; that may pass.
            _log.error("a connection cannot be served", socket=self._path.name, problem=str(error))
            self._leave(served)

    def _make_room(self) -> bool:
        """Hang up on whoever has been idle longest; the lock is held."""
        idle = [served for served in self._served if served.idle_since is not None]
        if not idle:
            return False
        longest = min(idle, key=lambda served: served.idle_since or 0.0)
        self._served.discard(longest)
        longest.frames.hang_up()
        return True

    def _serve(self, served: _Served) -> None:
        try:
            while not self._stopping.is_set() and self._answer_one(served):
                pass
        except LinkError as error:
            _log.info("a connection ended", socket=self._path.name, problem=str(error))
        finally:
            self._leave(served)

    def _leave(self, served: _Served) -> None:
        served.frames.hang_up()
        served.frames.close()
        with self._lock:
            self._served.discard(served)
            self._threads -= 1
            self._lock.notify_all()

    def _answer_one(self, served: _Served) -> bool:
        """Answer one message; False when there is no other."""
        served.idle_since = self._clock.monotonic()
        try:
            message = served.frames.receive(self._frame_seconds, idle=IDLE_SECONDS)
        except LinkError as error:
            with suppress(LinkError):
                served.frames.send({"error": str(error)}, self._frame_seconds)
            raise
        served.idle_since = None
        if message is None:
            return False
        served.frames.send_frame(self._answer_to(message), self._frame_seconds)
        return True

    def _answer_to(self, message: dict[str, Any]) -> bytes:
        try:
            return to_frame(self._handle(message))
        except LinkError:
            return to_frame({"error": "the answer is too long; ask for less at a time"})
        except Exception:  # noqa: BLE001 — whatever a handler failed at, its asker is told, and others go on
            _log.exception("a question could not be answered", socket=self._path.name)
            return to_frame({"error": "it could not be done; the log of the process that was asked says why"})


def _answers(path: Path) -> bool:
    """Return whether somebody accepts connections at `path`."""
    with suppress(OSError):
        if not stat.S_ISSOCK(path.stat().st_mode):
            return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
