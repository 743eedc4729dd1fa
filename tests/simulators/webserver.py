"""A tiny web server on loopback that answers with exactly the bytes a test wants, also hostile ones."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    Answer = Callable[[socket.socket, str], None]


def response(body: bytes = b"{}", *, status: str = "200 OK", headers: tuple[str, ...] = ()) -> bytes:
    """Return a whole HTTP response."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


class WebServer:
    """Answers each connection by `answer(connection, target)`, each in a thread of its own.

    Args:
        answer: writes what it likes; the target is the request's path and query.
        tls: None for plain TCP.
        reads: whether the request is read before it is answered.

    Attributes:
        requests: the head of every request, in order.
        url: base URL, without a slash at the end.
    """

    def __init__(self, answer: Answer, tls: ssl.SSLContext | None = None, *, reads: bool = True) -> None:
        self._answer = answer
        self._tls = tls
        self._reads = reads
        self.requests: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        self._released = threading.Event()

    def hang(self) -> None:
        """Keep a connection open until the test is over."""
        self._released.wait(30)

    def wait(self, seconds: float) -> bool:
        """Return True when the test is over, False after `seconds`."""
        return self._released.wait(seconds)

    def run(self) -> None:
        """Serve until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def close(self) -> None:
        """Stop, and let hanging answers go."""
        self._released.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            stream = self._tls.wrap_socket(connection, server_side=True) if self._tls else connection
            with stream:
                self._answer(stream, self._read_target(stream) if self._reads else "")

    def _read_target(self, stream: socket.socket) -> str:
        head = b""
        while b"\r\n\r\n" not in head:
            if not (chunk := stream.recv(65536)):
                message = "the client left before it had asked"
                raise ConnectionResetError(message)
            head += chunk
        self.requests.append(head.decode("latin-1"))
        return head.split(b" ")[1].decode("latin-1")


@contextlib.contextmanager
def serving(answer: Answer, tls: ssl.SSLContext | None = None, *, reads: bool = True) -> Iterator[WebServer]:
    """Run a server for the length of a test."""
    server = WebServer(answer, tls, reads=reads)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join(5)


@contextlib.contextmanager
def serving_bytes(raw: bytes) -> Iterator[WebServer]:
    """Run a server that answers everything with these bytes."""
    with serving(lambda connection, _: connection.sendall(raw)) as server:
        yield server
