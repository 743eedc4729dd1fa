"""A small HTTP server for machines that look after us: `/metrics`, `/livez`, `/readyz`.

*Alive* says that the process answers, and no more: what is missing from elsewhere would not come with a restart.
*Ready* says that questions are answered on their merits; its body says what is missing.
"""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6
from typing import TYPE_CHECKING, Final

from extauthz.errors import ConfigError, Problem
from extauthz.server.listen import Address, parse_address
from extauthz.telemetry.metrics import CONTENT_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable

_IDLE_SECONDS: Final = 5.0
"""How long a connection may keep a thread without sending a request."""

_STOP_SECONDS: Final = 0.1
"""How long `stop` may take to be noticed."""

_TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether we answer questions on their merits.

    Attributes:
        ready: a policy is in force and we are not stopping.
        why_not: what is missing, in a sentence; empty when ready.
        unavailable_issuers: issuers without usable keys. They do not make us unready: the other callers are served.
        silent_streams: streams of signals on which nothing is heard. They do not either, for the same reason.
    """

    ready: bool
    why_not: str = ""
    unavailable_issuers: tuple[str, ...] = ()
    silent_streams: tuple[str, ...] = ()


class MetricsServer:
    """Serves on a thread of its own.

    Args:
        address: as in the settings.
        metrics: returns the metrics in Prometheus' text form.
        readiness: returns how we are.

    Raises:
        ConfigError: the address is wrong or taken.
    """

    def __init__(self, address: str, metrics: Callable[[], bytes], readiness: Callable[[], Readiness]) -> None:
        place = parse_address(address)
        if place.path is not None:
            raise ConfigError([Problem("telemetry.metrics", 0, 0, "not a TCP address", "write 127.0.0.1:9464")])
        try:
            self._server = _Server(place, metrics, readiness)
        except OSError as error:
            problem = Problem("telemetry.metrics", 0, 0, f"cannot listen on {place}: {error.strerror}")
            raise ConfigError([problem]) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_STOP_SECONDS,), name="metrics", daemon=True
        )

    @property
    def address(self) -> str:
        """Return the bound address."""
        host, port, *_ = self._server.server_address
        return str(Address(host=str(host), port=int(port)))

    def start(self) -> None:
        """Serve."""
        self._thread.start()

    def stop(self) -> None:
        """Serve no more."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, place: Address, metrics: Callable[[], bytes], readiness: Callable[[], Readiness]) -> None:
        self.address_family = AF_INET6 if ":" in place.host else AF_INET
        self.metrics = metrics
        self.readiness = readiness
        super().__init__((place.host, place.port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _IDLE_SECONDS
    server_version = "extauthz"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer one of the paths."""
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._answer(HTTPStatus.OK, CONTENT_TYPE, self.server.metrics())
        elif path in {"/livez", "/healthz"}:
            self._answer(HTTPStatus.OK, _TEXT, b"alive\n")
        elif path == "/readyz":
            state = self.server.readiness()
            body = asdict(state)
            status = HTTPStatus.OK if state.ready else HTTPStatus.SERVICE_UNAVAILABLE
            self._answer(status, "application/json", json.dumps(body).encode() + b"\n")
        else:
            self._answer(HTTPStatus.NOT_FOUND, _TEXT, b"try /metrics, /livez or /readyz\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 — as inherited
        """Stay silent: being looked at every few seconds is no news."""

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
