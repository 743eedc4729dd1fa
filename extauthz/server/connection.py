"""Connections to addresses that were chosen before, and which end at a deadline whatever the remote does."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Self

from urllib3.connection import HTTPConnection, HTTPSConnection

if TYPE_CHECKING:
    from collections.abc import Sequence


class Watchdog:
    """Shuts a connection down after a time, whatever its reader is doing.

    Args:
        timeout: seconds.
    """

    def __init__(self, timeout: float) -> None:
        self._timer = threading.Timer(max(timeout, 0.0), self._shut_down)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._expired = False
        self._twin: socket.socket | None = None

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            if self._twin is not None:
                self._twin.close()
                self._twin = None

    def guard(self, connected: socket.socket) -> None:
        """Shut `connected` down when the time is over; at once if it is already."""
        with self._lock:
            # A descriptor of our own: TLS moves the original one into another object before its handshake is done.
            self._twin = connected.dup()
            expired = self._expired
        if expired:
            self._shut_down()

    def _shut_down(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            self._expired = True
            if self._twin is not None:
                self._twin.shutdown(socket.SHUT_RDWR)


class _Pinned(HTTPConnection):
    """A connection to one of some addresses, under the host's name."""

    _addresses: Sequence[str] = ()
    _seconds: float = 0.0
    _watchdog: Watchdog

    def pin(self, addresses: Sequence[str], seconds: float, watchdog: Watchdog) -> None:
        """Connect to one of `addresses`, the first that answers, within `seconds`, and let `watchdog` end it."""
        self._addresses = addresses
        self._seconds = seconds
        self._watchdog = watchdog

    def _new_conn(self) -> socket.socket:
        problem: OSError = ConnectionError("no address")
        # One that swallows what is sent to it must leave time for the next.
        share = self._seconds / max(len(self._addresses), 1)
        for address in self._addresses:
            try:
                connected = socket.create_connection((address, self.port), share)
            except OSError as error:
                problem = error
                continue
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._watchdog.guard(connected)
            return connected
        raise problem


class PinnedHttp(_Pinned):
    """Plain."""


class PinnedHttps(_Pinned, HTTPSConnection):
    """With TLS: the certificate is verified against the host's name."""
