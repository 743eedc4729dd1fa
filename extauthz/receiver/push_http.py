"""One connection of the push endpoint (RFC 8935): read one request, hand the event over, answer.

1. One request for each connection, within a time and a number of bytes; a number of connections at once, of which the
   one that has been sending for longest makes room for the next. So nobody's request can be taken for a part of
   another's, whatever stands before us and however it reads HTTP, and who is slow on purpose keeps nobody out.
2. `POST /events/NAME`, HTTP/1.1. Whoever has the wrong `Authorization` learns that and no more: status 400 and
   `authentication_failed`, as in the RFC's examples.
3. `application/secevent+jwt`, with a length or in chunks, up to `MAX_EVENT_TOKEN_BYTES`.
4. The desk says what becomes of the event. 202 with nothing else only when it is durable and in force on this machine;
   400 when it is not one that we take; 503 with `Retry-After` for everything else, so that it is sent again.
5. What is answered is a sentence of ours; nothing that was sent comes back.

Python's own `http.server` reads the request. It is lenient about syntax, which is harmless by 1: of a request only
method, path, a few headers and the body are looked at, and each by our own grammar.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import socket
import ssl
import sys
import threading
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

import structlog

from extauthz.errors import FetchError
from extauthz.limits import MAX_EVENT_TOKEN_BYTES, MAX_PUSH_HEAD_BYTES
from extauthz.receiver.bounded import BoundedStream, FramingError, TooLongError, read_chunks, read_exactly
from extauthz.receiver.desk import ACCEPTED, REFUSED, word_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.clock import Clock
    from extauthz.receiver.authorization import AuthorizationFile
    from extauthz.receiver.desk import Desk
    from extauthz.receiver.tls import ReceiverTls
    from extauthz.server.listen import Address

_log = structlog.get_logger(__name__)

RETRY_SECONDS: Final = 5
"""When to send an event again that could not be taken."""

_LINGER_SECONDS: Final = 1.0
_ROOM_SECONDS: Final = 0.05
"""How long a connection waits for the place of one that was closed for it."""
_PREFIX: Final = "/events/"
_MEDIA_TYPE: Final = "application/secevent+jwt"
_LENGTH: Final = re.compile(r"[0-9]{1,9}")

_SENTENCES: Final[dict[int, str]] = {
    400: "This is not HTTP as we read it.",
    404: "There is no such stream here; send events to /events/NAME.",
    405: "Events are sent by POST.",
    411: "Send the event with Content-Length.",
    413: f"An event has at most {MAX_EVENT_TOKEN_BYTES} bytes.",
    431: "The headers are too long.",
    503: "The event could not be taken now; send it again.",
    505: "Speak HTTP/1.1.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On what terms events are taken.

    Attributes:
        files: name of each stream → who may push it.
        desk: takes events.
        clock: only its monotonic side is read.
        request_seconds: from the connection to the request's last byte, and again for the answer.
    """

    files: Mapping[str, AuthorizationFile]
    desk: Desk
    clock: Clock
    request_seconds: float


class PushServer(ThreadingHTTPServer):
    """A thread for each connection, up to a number.

    Args:
        place: where to listen.
        most: connections at once.
        terms: for what they ask.
        tls: None for plaintext.
    """

    daemon_threads = True
    request_queue_size = 64
    allow_reuse_address = True

    def __init__(self, place: Address, most: int, terms: Terms, tls: ReceiverTls | None) -> None:
        self.address_family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
        self.terms = terms
        self._tls = tls
        self._most = most
        self._places = threading.BoundedSemaphore(most)
        self._lock = threading.Lock()
        self._sending: dict[int, socket.socket] = {}
        self._looked_at = terms.clock.monotonic()
        super().__init__((place.host, place.port), _Handler)

    def service_actions(self) -> None:
        """Note that the thread that accepts connections does so; it comes by here several times a second."""
        self._looked_at = self.terms.clock.monotonic()

    def idle(self) -> float:
        """Return the seconds since that thread was last seen."""
        return self.terms.clock.monotonic() - self._looked_at

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection on a thread of its own; close it when there are too many whose events are being taken."""
        if not self._places.acquire(blocking=False):
            self._close_slowest()
            if not self._places.acquire(timeout=_ROOM_SECONDS):
                self.shutdown_request(request)
                return
        try:
            super().process_request(request, client_address)
        except (OSError, RuntimeError):
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection, and make room."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection, with TLS where there is any; its handshake takes only its own time."""
        if self._tls is None:
            super().finish_request(request, client_address)
            return
        with self._tls.context().wrap_socket(request, server_side=True, do_handshake_on_connect=False) as wrapped:
            super().finish_request(wrapped, client_address)

    def sends(self, connection: socket.socket) -> None:
        """Note that a client has begun to send."""
        with self._lock:
            self._sending[id(connection)] = connection

    def has_sent(self, connection: socket.socket) -> None:
        """Note that a client has sent everything, or will be heard no more."""
        with self._lock:
            self._sending.pop(id(connection), None)

    def _close_slowest(self) -> None:
        """Let the client go that has been sending for longest."""
        with self._lock, contextlib.suppress(OSError, StopIteration):
            slowest = self._sending.pop(next(iter(self._sending)))
            # Not by the method of a TLS connection, which another thread may be using just now.
            socket.socket.shutdown(slowest, socket.SHUT_RDWR)

    def drain(self, seconds: float) -> None:
        """Wait until no connection is served any more, or the time is over."""
        deadline = self.terms.clock.monotonic() + seconds
        taken = 0
        while taken < self._most and self._places.acquire(timeout=max(0.0, deadline - self.terms.clock.monotonic())):
            taken += 1
        if taken:
            self._places.release(taken)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say that something failed that is no client's doing; what clients do is no news."""
        del request, client_address
        if not isinstance(sys.exc_info()[1], OSError):
            _log.exception("a connection of the receiver failed")


class _Handler(BaseHTTPRequestHandler):
    server: PushServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet

    def setup(self) -> None:
        """Read within bounds from now on."""
        super().setup()
        deadline = self.server.terms.clock.monotonic() + self.server.terms.request_seconds
        self._bounded = BoundedStream(self.connection, self.server.terms.clock.monotonic, deadline, MAX_PUSH_HEAD_BYTES)
        self.rfile.close()
        self.rfile = io.BufferedReader(self._bounded)
        self.close_connection = True
        self._awaits_continue = False
        self._unread = False
        """Whether it was answered before all of it was read."""
        self.server.sends(self.connection)

    def finish(self) -> None:
        """Let the client go."""
        self.server.has_sent(self.connection)
        super().finish()

    def handle(self) -> None:
        """Answer one request. A client that is late, or leaves, is let go without an answer."""
        with contextlib.suppress(OSError, ssl.SSLError):
            self.connection.settimeout(self.server.terms.request_seconds)
            if isinstance(self.connection, ssl.SSLSocket):
                self.connection.do_handshake()
            self._take_request()
            if self._unread:
                self._linger()

    def _take_request(self) -> None:
        try:
            self.raw_requestline = self.rfile.readline(MAX_PUSH_HEAD_BYTES + 1)
            self._unread = bool(self.raw_requestline)
            if self._unread and self.parse_request():
                self._answer_request()
        except TooLongError:
            self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _answer_request(self) -> None:
        name = self.path.removeprefix(_PREFIX)
        file = self.server.terms.files.get(name) if self.path.startswith(_PREFIX) else None
        if self.request_version != self.protocol_version:
            self.send_error(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
        elif file is None:
            self.send_error(HTTPStatus.NOT_FOUND)
        elif self.command != "POST":
            self.send_error(HTTPStatus.METHOD_NOT_ALLOWED)
        elif self._is_admitted(name, file) and (token := self._read_event()) is not None:
            self._hand_over(name, token)

    def _is_admitted(self, name: str, file: AuthorizationFile) -> bool:
        """Return whether the transmitter asks; otherwise answer."""
        try:
            admitted = file.admits(self.headers.get_all("authorization", []))
        except FetchError as error:
            _log.error("an event cannot be taken", stream=name, problem=str(error))
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE)
            return False
        if not admitted:
            _log.warning("an event with the wrong authorization", stream=name, peer=self.client_address[0])
            self._refuse("authentication_failed", "The Authorization header is not the one agreed for this stream.")
        return admitted

    def _read_event(self) -> str | None:
        """Return the body; None when that was answered with what is wrong with it."""
        kinds = [value.partition(";")[0].strip().lower() for value in self.headers.get_all("content-type", [])]
        if kinds != [_MEDIA_TYPE] or "content-encoding" in self.headers:
            self._refuse("invalid_request", f"Send the event as {_MEDIA_TYPE}, without content coding.")
            return None
        try:
            body = self._read_body()
            self._unread = False
            self.server.has_sent(self.connection)
            return body.decode("ascii")
        except UnicodeDecodeError:
            self._refuse("invalid_request", "The body is not a compact security event token.")
        except TooLongError:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        except FramingError:
            self.send_error(HTTPStatus.BAD_REQUEST)
        except _NoLengthError:
            self.send_error(HTTPStatus.LENGTH_REQUIRED)
        return None

    def _read_body(self) -> bytes:
        lengths, codings = self.headers.get_all("content-length", []), self.headers.get_all("transfer-encoding", [])
        if not lengths and not codings:
            raise _NoLengthError
        if len(lengths) + len(codings) != 1:
            raise FramingError  # Two ways to tell the end are two ends (RFC 9112 section 6.3).
        stream: Any = self.rfile
        self._bounded.allow(2 * MAX_EVENT_TOKEN_BYTES)
        if codings:
            if codings[0].strip().lower() != "chunked":
                raise FramingError
            self._send_continue()
            return read_chunks(stream, MAX_EVENT_TOKEN_BYTES)
        if _LENGTH.fullmatch(lengths[0].strip()) is None:
            raise FramingError
        length = int(lengths[0])
        if length > MAX_EVENT_TOKEN_BYTES:
            raise TooLongError
        self._send_continue()
        return read_exactly(stream, length)

    def _hand_over(self, name: str, token: str) -> None:
        word = word_of(self.server.terms.desk, name, token)
        if word.status == ACCEPTED:
            self._answer(HTTPStatus.ACCEPTED)
        elif word.status == REFUSED:
            _log.info("an event was refused", stream=name, err=word.err, description=word.description)
            self._refuse(word.err, word.description)
        else:
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE)

    def version_string(self) -> str:
        """Return our name alone: which version serves is nobody's business."""
        return "extauthz"

    def handle_expect_100(self) -> bool:
        """Wait with `100 Continue` until the body is wanted."""
        self._awaits_continue = True
        return True

    def _send_continue(self) -> None:
        if self._awaits_continue:
            self.send_response_only(HTTPStatus.CONTINUE)
            self.end_headers()
            self.wfile.flush()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer with a sentence of ours; the base class would quote the request."""
        del message, explain
        self.request_version = self.protocol_version  # Without it, what looks like HTTP/0.9 gets no status line.
        headers = {"content-type": "text/plain; charset=utf-8"}
        if code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["allow"] = "POST"
        if code == HTTPStatus.SERVICE_UNAVAILABLE:
            headers["retry-after"] = str(RETRY_SECONDS)
        self._answer(code, f"{_SENTENCES.get(code, _SENTENCES[400])}\n".encode(), headers)

    def log_request(self, *_: object) -> None:
        """Stay silent, also about requests that never became one."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 — as inherited
        """Stay silent: what matters is logged by name."""

    def _refuse(self, err: str, description: str) -> None:
        """Answer as RFC 8935 section 2.3 says."""
        body = json.dumps({"err": err, "description": description}).encode()
        self._answer(HTTPStatus.BAD_REQUEST, body, {"content-type": "application/json", "content-language": "en"})

    def _answer(self, code: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.connection.settimeout(self.server.terms.request_seconds)
        self.send_response(code)
        for name, value in {**(headers or {}), "content-length": str(len(body)), "connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def _linger(self) -> None:
        """Let a client that still sends read the answer: a connection closed on unread bytes takes it back."""
        self.connection.shutdown(socket.SHUT_WR)
        clock = self.server.terms.clock
        rest = BoundedStream(
            self.connection, clock.monotonic, clock.monotonic() + _LINGER_SECONDS, MAX_EVENT_TOKEN_BYTES
        )
        with contextlib.suppress(TooLongError):
            while rest.read(8192):
                continue


class _NoLengthError(Exception):
    """A request that says nothing about its body."""
