"""A small HTTP server on a thread of its own, for the demo's issuer and upstream."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

MAX_BODY_BYTES: Final = 8 * 1024 * 1024
"""Bytes of a request body that a demo server reads."""

_IDLE_SECONDS: Final = 60
_STOP_SECONDS: Final = 5


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 with JSON answers, and silence on the console."""

    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    disable_nagle_algorithm = True
    wbufsize = -1  # one packet for head and body: otherwise the client waits for a delayed acknowledgement

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 — the name is the base class's
        """Say nothing: the tour's table is the output."""

    def answer_json(self, status: int, document: object) -> None:
        """Send `document`; only its headers when the method is HEAD."""
        self.answer(status, "application/json", json.dumps(document).encode())

    def answer(self, status: int, content_type: str, body: bytes) -> None:
        """Send a whole answer; only its headers when the method is HEAD."""
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.send_header("cache-control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def read_body(self) -> bytes:
        """Return the body, sent with a length or in chunks (RFC 9112 section 6.3).

        Raises:
            ValueError: it is longer than `MAX_BODY_BYTES`, or its framing is wrong.
        """
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            return self._read_chunks()
        length = int(self.headers.get("content-length") or 0)
        if not 0 <= length <= MAX_BODY_BYTES:
            message = "body too long"
            raise ValueError(message)
        return self.rfile.read(length)

    def _read_chunks(self) -> bytes:
        body = bytearray()
        while size := int(self.rfile.readline(64).split(b";")[0], 16):
            if not 0 < size <= MAX_BODY_BYTES - len(body):
                message = "body too long"
                raise ValueError(message)
            body += self.rfile.read(size)
            self.rfile.readline(2)
        while self.rfile.readline(1024).strip():
            continue  # trailers say nothing that the demo wants to know
        return bytes(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    """Connections that wait to be accepted. Beyond that the system has their clients try again after a second, by which
    time a decision is late."""


class LoopbackServer:
    """A started or stopped HTTP server.

    Args:
        handler: what answers; its `owner` class attribute is set to this server.
        host: address to listen on.
        port: 0 for any free one.
    """

    def __init__(self, handler: type[Handler], host: str = "127.0.0.1", port: int = 0) -> None:
        bound = type(handler.__name__, (handler,), {"owner": self})
        self._server = _Server((host, port), bound)
        self._thread = threading.Thread(target=self._serve, name=handler.__name__, daemon=True)
        self.host = host
        self.port = int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Return the server's origin."""
        return f"http://{self.host}:{self.port}"

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=0.05)

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; calls under way are dropped."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(_STOP_SECONDS)
        self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def first_values(form: dict[str, list[str]]) -> dict[str, str]:
    """Return the form with the first value of each parameter."""
    return {name: values[0] for name, values in form.items()}
