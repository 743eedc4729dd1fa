"""The egress client: one way out of this process for everything that we fetch.

The remote is hostile until proven otherwise; a fetch ends in time with a bounded answer, or fails:

1. `https` with the system's authorities; plain `http` only to loopback, or where the operator said so. No user info.
2. No redirects, no proxies from the environment, no cookies, no kept connections, no content coding.
3. Connecting waits `timeout` per address. From then on a watchdog shuts the connection down at the deadline, because a
   socket's own timeout starts again with every byte that drips in.
4. Only status 200 counts, with at most `max_bytes` of body, all of it.

What the body says is the caller's affair; `content-type` is not looked at, because parsing refuses what is no JSON. Not
yet here: allow-listed hosts and pinned addresses, for which `_new_conn` is the place.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Final, Protocol, Self

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, LocationParseError
from urllib3.util import Url, parse_url

from extauthz.errors import FetchError

if TYPE_CHECKING:
    from extauthz.clock import Clock

_CHUNK_BYTES: Final = 65536
_HTTP_OK: Final = 200
_HEADERS: Final = {"accept": "application/json", "accept-encoding": "identity", "connection": "close"}


class Get(Protocol):
    """A way to fetch a document: `Egress.get`, or a simulator."""

    def __call__(self, url: str, *, timeout: float, max_bytes: int, plain_http: bool = False) -> bytes:
        """Return the body behind `url`; see `Egress.get`."""
        ...


class Egress:
    """Fetches documents. Thread-safe: it keeps nothing between fetches.

    Args:
        clock: for the deadlines.
        tls: how servers are verified; the system's authorities unless told otherwise.
    """

    def __init__(self, clock: Clock, tls: ssl.SSLContext | None = None) -> None:
        self._clock = clock
        self._tls = tls or ssl.create_default_context()

    def get(self, url: str, *, timeout: float, max_bytes: int, plain_http: bool = False) -> bytes:
        """Return the body behind `url`.

        Args:
            url: absolute URL.
            timeout: seconds until the last byte.
            max_bytes: longest body accepted.
            plain_http: whether `http` is allowed beyond loopback.

        Raises:
            FetchError: by one of the rules at the top of this file. The message is ours.
        """
        target = _parse(url, plain_http=plain_http)
        deadline = self._clock.monotonic() + timeout
        try:
            with contextlib.closing(self._connection(target, timeout)) as connection, _Watchdog(timeout) as watchdog:
                connection.watchdog = watchdog
                body = _read(connection, target.request_uri, max_bytes)
        except (OSError, HTTPError, http.client.HTTPException) as error:
            late = isinstance(error, TimeoutError) or self._clock.monotonic() >= deadline
            message = "no complete answer in time" if late else f"no answer ({type(error).__name__})"
            raise FetchError(message) from error
        if self._clock.monotonic() >= deadline:
            # A body that ends with the connection looks complete when the watchdog has cut it.
            message = "no complete answer in time"
            raise FetchError(message)
        return body

    def _connection(self, target: Url, timeout: float) -> _WatchedHttp | _WatchedHttps:
        host = str(target.host).strip("[]")
        if target.scheme == "https":
            return _WatchedHttps(host, target.port, timeout=timeout, ssl_context=self._tls)
        return _WatchedHttp(host, target.port, timeout=timeout)


def is_loopback(host: str) -> bool:
    """Return whether `host`, a name or an address with or without brackets, is this machine by its spelling."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class _Watchdog:
    """Shuts a connection down after a time, whatever its reader is doing."""

    def __init__(self, timeout: float) -> None:
        self._timer = threading.Timer(timeout, self._shut_down)
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


class _WatchedHttp(HTTPConnection):
    watchdog: _Watchdog

    def _new_conn(self) -> socket.socket:
        connected = super()._new_conn()
        self.watchdog.guard(connected)
        return connected


class _WatchedHttps(HTTPSConnection):
    watchdog: _Watchdog

    def _new_conn(self) -> socket.socket:
        connected = super()._new_conn()
        self.watchdog.guard(connected)
        return connected


def _parse(url: str, *, plain_http: bool) -> Url:
    try:
        target = parse_url(url)
    except LocationParseError:
        message = "not a URL"
        raise FetchError(message) from None
    if not target.host or target.auth is not None:
        message = "the URL has no host, or names a user"
        raise FetchError(message)
    if target.scheme != "https" and not (target.scheme == "http" and (plain_http or is_loopback(target.host))):
        message = "the URL is not https"
        raise FetchError(message)
    return target


def _read(connection: HTTPConnection, path: str, max_bytes: int) -> bytes:
    connection.request("GET", path, headers=_HEADERS, preload_content=False, decode_content=False)
    with connection.getresponse() as response:
        if response.status != _HTTP_OK:
            message = f"answered with status {response.status}"
            raise FetchError(message)
        if "content-encoding" in response.headers:
            message = "answered with a content coding that was not asked for"
            raise FetchError(message)
        body = bytearray()
        while chunk := response.read1(_CHUNK_BYTES):
            body += chunk
            if len(body) > max_bytes:
                message = "answered with too many bytes"
                raise FetchError(message)
        if response.length_remaining:
            message = "closed the connection within its answer"
            raise FetchError(message)
        return bytes(body)
