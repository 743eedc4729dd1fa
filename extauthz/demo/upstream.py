"""The service behind Envoy: it tells what reached it, so that the tour can check what extauthz let through."""

from __future__ import annotations

from collections import deque
from typing import Any, ClassVar, Final

from extauthz.demo.loopback import Handler, LoopbackServer

_REMEMBERED: Final = 256
"""Requests that the upstream keeps in mind."""


class Upstream(LoopbackServer):
    """Echoes method, path, every header line and the length of the body as JSON.

    Attributes:
        seen: the last requests, newest last, as they were echoed.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(_Echo, host, port)
        self.seen: deque[dict[str, Any]] = deque(maxlen=_REMEMBERED)


class _Echo(Handler):
    owner: ClassVar[Upstream]

    def _echo(self) -> None:
        try:
            length = len(self.read_body())
        except ValueError:
            self.close_connection = True
            self.answer_json(413, {"error": "body too long or badly framed"})
            return
        document = {
            "method": self.command,
            "path": self.path,
            "headers": [[name.lower(), value] for name, value in self.headers.raw_items()],
            "body_bytes": length,
        }
        self.owner.seen.append(document)
        self.answer_json(200, document)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _echo  # noqa: N815 — http.server's names
