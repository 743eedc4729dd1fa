"""Another decision point on loopback (AuthZEN 1.0): it allows everything but the resource 13, or answers as told."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class DecisionPoint:
    """What it was asked, and how it answers.

    Attributes:
        asked: every question.
        status: of its answers.
        raw: sent instead of a decision, when not None.
        url: of its evaluation endpoint.
    """

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.status = 200
        self.raw: bytes | None = None
        self.url = ""

    def answer(self, question: dict[str, Any]) -> bytes:
        """Return the body of the answer."""
        self.asked.append(question)
        return (
            self.raw if self.raw is not None else json.dumps({"decision": question["resource"]["id"] != "13"}).encode()
        )


@contextmanager
def deciding() -> Iterator[DecisionPoint]:
    """Run one for the length of a test."""
    point = DecisionPoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["content-length"])))
            body = point.answer(question)
            self.send_response(point.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    point.url = f"http://127.0.0.1:{server.server_address[1]}/access/v1/evaluation"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield point
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
