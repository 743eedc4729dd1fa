"""An issuer's web server: serves a key set, or misbehaves on request."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class KeyHost:
    """Serves on a free loopback port until `stop`.

    Attributes:
        content: the body of every answer.
        status: the HTTP status of every answer.
        gate: answers wait for it; set from the start.
        asked: released once for each request.
    """

    def __init__(self, keys: dict[str, Any]) -> None:
        self.content = json.dumps(keys).encode()
        self.status = 200
        self.gate = threading.Event()
        self.gate.set()
        self.asked = threading.Semaphore(0)
        self._server = _Server(self._body)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Return where the key set is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/keys"

    def publish(self, keys: dict[str, Any]) -> None:
        """Serve another key set."""
        self.content = json.dumps(keys).encode()

    def stop(self) -> None:
        """Be dead: the port is closed. Harmless when it is already."""
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _body(self) -> tuple[int, bytes]:
        self.asked.release()
        self.gate.wait(30)
        return self.status, self.content


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, body: Callable[[], tuple[int, bytes]]) -> None:
        self.body = body
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, *_: Any) -> None:
        """Stay silent: a client that gave up is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """Answer as the host is told to."""
        status, content = self.server.body()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 — as inherited
        """Stay silent."""
