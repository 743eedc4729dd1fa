"""The egress client gets a bounded answer in time, or fails; the remote is a real one, hostile on request."""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from extauthz.clock import SystemClock
from extauthz.errors import AnswerError, FetchError
from extauthz.server.fetch import Ask, Egress, EgressRules, is_loopback
from tests.simulators.certificates import Authority
from tests.simulators.webserver import WebServer, response, serving, serving_bytes

if TYPE_CHECKING:
    from pathlib import Path

HERE = EgressRules(hosts=frozenset({"127.0.0.1", "localhost", "::1"}))
EGRESS = Egress(SystemClock(), HERE)
LIMIT = 1000


def fetch(url: str, *, timeout: float = 5.0, egress: Egress = EGRESS) -> bytes:
    """Return what is behind `url`, at most `LIMIT` bytes."""
    return egress.fetch(Ask(url=url, timeout=timeout, max_bytes=LIMIT)).body


def fails(url: str, *, timeout: float = 5.0) -> str:
    """Return why `url` cannot be fetched."""
    with pytest.raises(FetchError) as problem:
        fetch(url, timeout=timeout)
    return str(problem.value)


def test_a_document_can_be_sent_and_other_statuses_be_expected() -> None:
    """JSON by POST, or by the method that is named; a status that was not named is no answer."""
    with serving_bytes(response(b"made", status="201 Created")) as server:
        ask = Ask(url=server.url, timeout=5.0, max_bytes=LIMIT, document={"a": 1}, statuses=frozenset({201}))
        reply = EGRESS.fetch(ask)
        assert (reply.status, reply.body) == (201, b"made")
        EGRESS.fetch(replace(ask, method="PATCH"))
        EGRESS.fetch(replace(ask, document=None, method="DELETE"))
        with pytest.raises(FetchError, match="status 201"):
            EGRESS.fetch(replace(ask, statuses=frozenset({200})))
    post, patch, delete, _ = (head.lower() for head in server.requests)
    assert post.startswith("post / ")
    assert "content-type: application/json" in post
    assert patch.startswith("patch / ")
    assert delete.startswith("delete / ")
    assert "content-type" not in delete


def test_a_document_is_fetched_with_nothing_of_ours_but_the_path() -> None:
    """No cookies, no credentials, no content coding; the query goes along."""
    with serving_bytes(response(b"hello")) as server:
        assert fetch(f"{server.url}/a/b?c=d") == b"hello"
    head = server.requests[0].lower()
    assert head.startswith("get /a/b?c=d http/1.1\r\n")
    assert "accept-encoding: identity" in head
    assert "authorization" not in head
    assert "cookie" not in head


def test_a_body_of_exactly_the_limit_is_returned_and_one_more_byte_is_not() -> None:
    """The bound holds for bodies with and without a declared length, and for chunked ones."""
    for length, ok in ((LIMIT, True), (LIMIT + 1, False)):
        body = b"x" * length
        chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (length, body)
        for raw in (
            response(body),
            b"HTTP/1.1 200 OK\r\n\r\n" + body,
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunked,
        ):
            with serving_bytes(raw) as server:
                if ok:
                    assert fetch(server.url) == body
                else:
                    assert fails(server.url) == "answered with too many bytes"


def test_an_endless_body_is_cut_at_the_limit() -> None:
    """Long before the deadline."""

    def flood(connection: socket.socket, _: str) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    with serving(flood) as server:
        assert fails(server.url) == "answered with too many bytes"


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
def test_redirects_are_not_followed(status: str) -> None:
    """Not even to the same server."""
    with serving_bytes(response(status=status, headers=("location: /elsewhere",))) as server:
        assert fails(server.url) == f"answered with status {status[:3]}"
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", ["201 Created", "204 No Content", "401 Unauthorized", "404 Not Found", "500 Oops"])
def test_only_status_200_counts(status: str) -> None:
    """Whatever the body says."""
    with serving_bytes(response(status=status)) as server:
        assert fails(server.url) == f"answered with status {status[:3]}"


@pytest.mark.parametrize("status", ["400", "413", "414", "422", "431"])
def test_what_may_be_the_asker_s_own_fault_is_told_apart(status: str) -> None:
    """Too long an answer as well; that we are not known, or that the server is down, is nobody's question's fault."""
    for answer in (response(status=f"{status} No"), response(b"x" * (LIMIT + 1))):
        with serving_bytes(answer) as server, pytest.raises(FetchError) as problem:
            fetch(server.url)
        assert isinstance(problem.value, AnswerError)
    for other in ("401 Unauthorized", "403 Forbidden", "404 Not Found", "429 Too Many", "500 Oops", "503 Later"):
        with serving_bytes(response(status=other)) as server, pytest.raises(FetchError) as problem:
            fetch(server.url)
        assert not isinstance(problem.value, AnswerError)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\n" + b"x-a: b\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nx-a: " + b"b" * 70000 + b"\r\n\r\n",
    ],
    ids=["nothing", "nonsense", "short body", "short chunk", "many headers", "long header"],
)
def test_broken_answers_are_failures(raw: bytes) -> None:
    """An incomplete body is never taken for a short one."""
    with serving_bytes(raw) as server:
        assert fails(server.url)


def test_a_compressed_answer_is_refused() -> None:
    """It was not asked for, and a small one may become a large one."""
    with serving_bytes(response(headers=("content-encoding: gzip",))) as server:
        assert fails(server.url) == "answered with a content coding that was not asked for"


def test_a_refused_connection_is_a_failure() -> None:
    """Nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert fails(f"http://127.0.0.1:{port}/").startswith("no answer")


@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 200 ",
        b"HTTP/1.1 200 OK\r\nx-a: ",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n",
    ],
    ids=["status", "header", "body", "sized body"],
)
def test_a_dripping_server_is_left_at_the_deadline(start: bytes) -> None:
    """A socket's own timeout would start again with every byte; also a body that the cut ends is no answer."""
    holder: list[WebServer] = []

    def answer(connection: socket.socket, _: str) -> None:
        connection.sendall(start)
        while not holder[0].wait(0.02):
            connection.sendall(b"a")

    with serving(answer) as server:
        holder.append(server)
        began = time.monotonic()
        assert fails(server.url, timeout=0.2) == "no complete answer in time"
        assert time.monotonic() - began < 2


def test_a_silent_server_is_left_at_the_deadline() -> None:
    """Accepted, and then nothing."""
    holder: list[WebServer] = []
    with serving(lambda *_: holder[0].hang()) as server:
        holder.append(server)
        assert fails(server.url, timeout=0.1) == "no complete answer in time"


def test_a_server_that_never_finishes_its_handshake_is_left_at_the_deadline() -> None:
    """TLS to a server that speaks none and drips."""
    holder: list[WebServer] = []

    def answer(connection: socket.socket, _: str) -> None:
        connection.sendall(b"\x16\x03\x03\x3f\xff")
        while not holder[0].wait(0.02):
            connection.sendall(b"\x00")

    with serving(answer, reads=False) as server:
        holder.append(server)
        began = time.monotonic()
        assert fails(server.url.replace("http:", "https:"), timeout=0.3) == "no complete answer in time"
        assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://issuer.example/", "not https"),
        ("http://10.0.0.1/", "not https"),
        ("http://127.0.0.1.example/", "not https"),
        ("ftp://127.0.0.1/", "not https"),
        ("file:///etc/passwd", "no host"),
        ("/keys", "no host"),
        ("", "no host"),
        ("https://user:password@issuer.example/", "names a user"),
        ("https://[::1/", "not a URL"),
        ("https://issuer.example:99999/", "not a URL"),
    ],
)
def test_urls_that_we_do_not_follow(url: str, says: str) -> None:
    """Nothing is connected to."""
    assert says in fails(url)


def test_plain_http_beyond_loopback_needs_the_operators_word() -> None:
    """With it the URL is tried; without it it is not. The name resolves to nothing."""
    egress = Egress(SystemClock(), EgressRules(hosts=frozenset({"nowhere.invalid"})))
    with pytest.raises(FetchError, match="not https"):
        egress.fetch(Ask(url="http://nowhere.invalid/", timeout=0.1, max_bytes=1))
    with pytest.raises(FetchError, match=r"no answer|in time"):
        egress.fetch(Ask(url="http://nowhere.invalid/", timeout=0.1, max_bytes=1, plain_http=True))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("[::1]", True),
        ("::1", True),
        ("localhost", True),
        ("LOCALHOST", True),
        ("localhost.example", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 — a spelling to be refused, not an address to listen on
        ("2130706433", False),
        ("", False),
    ],
)
def test_loopback_is_told_by_its_spelling(host: str, expected: bool) -> None:
    """No resolver is asked."""
    assert is_loopback(host) is expected


def test_the_environments_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that would see our requests is the operator's explicit choice, not the environment's."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    with serving_bytes(response(b"direct")) as server:
        assert fetch(server.url) == b"direct"


def test_tls_verifies_authority_and_name(tmp_path: Path) -> None:
    """The right name of a known authority is fetched from; an unknown authority and another name are not."""
    authority = Authority()
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls.load_cert_chain(*authority.issue(names=[x509.DNSName("localhost")]).write(tmp_path, "server"))
    known = Egress(SystemClock(), HERE, ssl.create_default_context(cadata=authority.certificate.decode()))
    with serving(lambda connection, _: connection.sendall(response(b"secret")), server_tls) as server:
        named = server.url.replace("127.0.0.1", "localhost")
        assert fetch(named, egress=known) == b"secret"
        with pytest.raises(FetchError, match="SSL"):
            fetch(server.url, egress=known)
        with pytest.raises(FetchError, match="SSL"):
            fetch(named)
