"""Sends one request through Envoy exactly as written, and reads the answer."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from extauthz.clock import SystemClock

if TYPE_CHECKING:
    from extauthz.demo.certificates import TlsFiles

HOST: Final = "api.example.com"
"""What the requests of the tour put into `host`."""

_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request, line by line.

    Attributes:
        method: as sent.
        path: as sent, query included.
        headers: further lines, in order; a name may come twice.
        body: empty for none.
    """

    method: str = "GET"
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back.

    Attributes:
        headers: lower-case names; the lines of a repeated header are joined with `, `.
        seconds: from the first byte sent on an open connection to the last byte received.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float

    @property
    def reason(self) -> str:
        """Return extauthz's reason code; empty for an allow, and when Envoy answered by itself."""
        return self.headers.get("x-extauthz-reason", "")

    @property
    def challenge(self) -> str:
        """Return the `WWW-Authenticate` line, empty for none."""
        return self.headers.get("www-authenticate", "")

    def read_echo(self) -> dict[str, Any]:
        """Return what the upstream says it received; empty when the answer is not the upstream's."""
        try:
            echo = json.loads(self.body)
        except ValueError:
            return {}
        return echo if isinstance(echo, dict) and "headers" in echo else {}


class Edge:
    """Where Envoy listens.

    Args:
        port: on 127.0.0.1.
        tls: the demo's certificates where the edge speaks TLS, else None.
        certificate: whether to show the client's certificate there.
    """

    def __init__(self, port: int, tls: TlsFiles | None = None, *, certificate: bool = True) -> None:
        self._certificate = certificate
        self.port = port
        self.tls = tls

    @property
    def url(self) -> str:
        """Return the origin for people."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def send(self, ask: Ask) -> Answer:
        """Send `ask` on a connection of its own and read the whole answer.

        Raises:
            OSError: Envoy does not answer in time.
            http.client.HTTPException: what it answers is not HTTP.
        """
        connection = self._connect()
        clock = SystemClock()
        try:
            connection.connect()
            started = clock.monotonic()
            connection.putrequest(ask.method, ask.path, skip_host=True, skip_accept_encoding=True)
            if not any(name.lower() == "host" for name, _ in ask.headers):
                connection.putheader("host", HOST)
            for name, value in ask.headers:
                connection.putheader(name, value)
            if ask.body:
                connection.putheader("content-length", str(len(ask.body)))
            connection.endheaders(ask.body or None)
            response = connection.getresponse()
            body = response.read()
            seconds = clock.monotonic() - started
        finally:
            connection.close()
        headers: dict[str, str] = {}
        for name, value in response.getheaders():
            key = name.lower()
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
        return Answer(status=response.status, headers=headers, body=body, seconds=seconds)

    def _connect(self) -> http.client.HTTPConnection:
        if self.tls is None:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=_SECONDS)
        context = ssl.create_default_context(cafile=str(self.tls.authority))
        if self._certificate:
            context.load_cert_chain(*self.tls.client)
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=_SECONDS, context=context)
