"""The egress client: one way out of this process for everything that we fetch.

The remote is hostile until proven otherwise; a fetch ends in time with a bounded answer, or fails:

1. `https` with the system's authorities; plain `http` only to loopback, or where the operator said so. No user info.
2. Only hosts on the list. A name is resolved once for each connection, every address of it must be one that may be
   called (`addresses.py`), and the connection goes to one of exactly these: a name that resolves differently a moment
   later changes nothing. The certificate is verified against the name. A host that is loopback by its spelling, and on
   the list, means this machine.
3. No redirects, no proxies from the environment, no cookies, no kept connections, no content coding.
4. One deadline for resolving, connecting, sending and reading. From the first connection on a watchdog shuts it down
   then, because a socket's own timeout starts again with every byte that drips in. Only the resolver of the system
   cannot be cut short; whoever decides waits for a fetch on a thread of its own.
5. Only status 200 counts, or 304 when the caller has the document already, or what the caller names; with at most
   `max_bytes` of body, all of it.

What the body says is the caller's affair; `content-type` is not looked at, because parsing refuses what is no JSON.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import socket
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlencode

from urllib3.exceptions import HTTPError, LocationParseError
from urllib3.util import Url, parse_url

from extauthz.errors import AnswerError, FetchError
from extauthz.server.addresses import refusal_of
from extauthz.server.connection import PinnedHttp, PinnedHttps, Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from urllib3.connection import HTTPConnection

    from extauthz.clock import Clock
    from extauthz.server.addresses import Network

_CHUNK_BYTES: Final = 65536
_HTTP_OK: Final = 200
_ONLY_OK: Final = frozenset({_HTTP_OK})
_NOT_MODIFIED: Final = 304
_NOT_LIKE_THIS: Final = frozenset({400, 413, 414, 422, 431})
"""Statuses that complain of the request, which may hold what a client sent: a token that is too long, or strange."""
_ALWAYS: Final = {"accept-encoding": "identity", "connection": "close"}
_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What to fetch.

    Attributes:
        url: absolute URL.
        timeout: seconds until the last byte.
        max_bytes: longest body accepted.
        plain_http: whether `http` is allowed beyond loopback.
        accept: media type asked for.
        headers: others to send, by lower-case name; they may be secrets.
        form: fields to POST; without `form` and `document` it is a GET. They may be secrets.
        document: members of a JSON object to POST, instead of `form`. They may be secrets.
        method: where it is another than these.
        etag: of the document that the caller has already; empty for none.
        statuses: that the caller can make something of.
    """

    url: str
    timeout: float
    max_bytes: int
    plain_http: bool = False
    accept: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    document: Mapping[str, Any] | None = field(default=None, repr=False)
    method: str = ""
    etag: str = ""
    statuses: frozenset[int] = _ONLY_OK


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    Attributes:
        body: all of it; empty when the caller's document still stands.
        headers: by lower-case name; the values of lines of one name are joined by `, `.
        not_modified: whether the caller's document still stands (304).
        status: one of those that the caller named.
    """

    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    not_modified: bool = False
    status: int = _HTTP_OK


class Fetch(Protocol):
    """A way out: `Egress.fetch`, or a simulator."""

    def __call__(self, ask: Ask) -> Reply:
        """Return what the remote answers; see `Egress.fetch`."""
        ...


def resolve(host: str, port: int) -> list[str]:
    """Return the numeric addresses of a name, in the order to try them.

    Raises:
        OSError: it has none, or the resolver fails.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        message = "not a name that can be resolved"
        raise OSError(message) from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressRules:
    """What may be called.

    Attributes:
        hosts: lower-case names and addresses, without brackets.
        networks: whose addresses may be called although they are not public.
        proxy: host and port of a proxy for everything beyond loopback; None for none.
    """

    hosts: frozenset[str]
    networks: tuple[Network, ...] = ()
    proxy: tuple[str, int] | None = None


class Egress:
    """Fetches documents. Thread-safe: it keeps nothing between fetches.

    Args:
        clock: for the deadlines.
        rules: what may be called.
        tls: how servers are verified; the system's authorities unless told otherwise.
        resolver: name and port → numeric addresses.
    """

    def __init__(
        self,
        clock: Clock,
        rules: EgressRules,
        tls: ssl.SSLContext | None = None,
        resolver: Callable[[str, int], list[str]] = resolve,
    ) -> None:
        self._clock = clock
        self._rules = rules
        self._tls = tls or ssl.create_default_context()
        self._resolve = resolver

    def fetch(self, ask: Ask) -> Reply:
        """Return what the remote answers.

        Raises:
            FetchError: by one of the rules at the top of this file. The message is ours. It is an `AnswerError` when
                what was asked may be the reason.
        """
        deadline = self._clock.monotonic() + ask.timeout
        target = _parse(ask.url, plain_http=ask.plain_http)
        try:
            addresses = self._addresses_of(target)
            with Watchdog(deadline - self._clock.monotonic()) as watchdog:
                connection = self._connection(target, addresses, watchdog, deadline)
                with contextlib.closing(connection):
                    reply = _exchange(connection, target.request_uri, ask)
        except (OSError, HTTPError, http.client.HTTPException) as error:
            late = isinstance(error, TimeoutError) or self._clock.monotonic() >= deadline
            message = "no complete answer in time" if late else f"no answer ({type(error).__name__})"
            raise FetchError(message) from error
        if self._clock.monotonic() >= deadline:
            # A body that ends with the connection looks complete when the watchdog has cut it.
            message = "no complete answer in time"
            raise FetchError(message)
        return reply

    def _addresses_of(self, target: Url) -> list[str]:
        """Return the addresses to connect to: the target's, each of which may be called, or the proxy's."""
        host = host_of(target)
        if host not in self._rules.hosts:
            message = f"the host {host} is not one that may be called; name it in egress.hosts"
            raise FetchError(message)
        if is_loopback(host):
            return [found for found in self._resolve(host, _port_of(target)) if is_loopback(found)]
        if self._rules.proxy is None:
            return self._allowed(host, self._resolve(host, _port_of(target)))
        if _is_numeric(host):
            self._allowed(host, [host])
        return self._resolve(*self._rules.proxy)

    def _allowed(self, host: str, addresses: list[str]) -> list[str]:
        for address in addresses:
            refusal = refusal_of(address, self._rules.networks)
            if refusal:
                message = f"an address of {host} must not be called: {refusal}"
                raise FetchError(message)
        return addresses

    def _connection(
        self, target: Url, addresses: list[str], watchdog: Watchdog, deadline: float
    ) -> PinnedHttp | PinnedHttps:
        host, port, proxy = host_of(target), _port_of(target), self._rules.proxy
        tunnel = proxy is not None and not is_loopback(host)
        near = proxy if proxy is not None and tunnel else (host, port)
        left = max(deadline - self._clock.monotonic(), 0.001)
        connection = (
            PinnedHttps(*near, timeout=left, ssl_context=self._tls)
            if target.scheme == "https"
            else PinnedHttp(*near, timeout=left)
        )
        connection.pin(addresses, left, watchdog)
        if tunnel:
            connection.set_tunnel(host, port)
        return connection


def host_of(target: Url) -> str:
    """Return the host of a URL in lower case, without brackets and final dot."""
    return str(target.host).strip("[]").rstrip(".").lower()


def is_loopback(host: str) -> bool:
    """Return whether `host`, a name or an address with or without brackets, is this machine by its spelling."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _is_numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _port_of(target: Url) -> int:
    return target.port or _PORTS[str(target.scheme)]


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


def _exchange(connection: HTTPConnection, path: str, ask: Ask) -> Reply:
    headers = {**ask.headers, "accept": ask.accept, **_ALWAYS}
    if ask.etag:
        headers["if-none-match"] = ask.etag
    body, kind = _content(ask)
    if kind:
        headers["content-type"] = kind
    method = ask.method or ("GET" if body is None else "POST")
    connection.request(method, path, body=body, headers=headers, preload_content=False, decode_content=False)
    with connection.getresponse() as response:
        fields = {name.lower(): response.headers[name] for name in response.headers}
        if response.status == _NOT_MODIFIED and ask.etag:
            return Reply(headers=fields, not_modified=True)
        if response.status not in ask.statuses:
            message = f"answered with status {response.status}"
            raise (AnswerError if response.status in _NOT_LIKE_THIS else FetchError)(message)
        if "content-encoding" in fields:
            message = "answered with a content coding that was not asked for"
            raise FetchError(message)
        content = bytearray()
        while chunk := response.read1(_CHUNK_BYTES):
            content += chunk
            if len(content) > ask.max_bytes:
                message = "answered with too many bytes"
                raise AnswerError(message)
        if response.length_remaining:
            message = "closed the connection within its answer"
            raise FetchError(message)
        return Reply(bytes(content), fields, status=response.status)


def _content(ask: Ask) -> tuple[bytes | None, str]:
    """Return what is sent and its media type; None and nothing where nothing is."""
    if ask.document is not None:
        return json.dumps(ask.document).encode(), "application/json"
    if ask.form is not None:
        return urlencode(ask.form).encode(), "application/x-www-form-urlencoded"
    return None, ""
