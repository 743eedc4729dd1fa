"""The echo behind Envoy."""

from __future__ import annotations

import http.client
import json
import socket
from typing import TYPE_CHECKING

import pytest

from extauthz.demo.loopback import MAX_BODY_BYTES
from extauthz.demo.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """Run an upstream."""
    with Upstream() as running:
        yield running


def exchange(upstream: Upstream, raw: bytes) -> tuple[int, bytes]:
    """Send raw bytes and return status and body."""
    with socket.create_connection(("127.0.0.1", upstream.port), timeout=30) as connection:
        connection.sendall(raw)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.read()


def test_every_header_line_is_echoed(upstream: Upstream) -> None:
    """Repeated lines and underscores stay apart, names are lower-cased, the path is as sent."""
    _, body = exchange(upstream, b"GET /a%2Fb?q=1 HTTP/1.1\r\nhost: x\r\nX-A: 1\r\nx-a: 2\r\nx_a: 3\r\n\r\n")
    echo = json.loads(body)
    assert echo["path"] == "/a%2Fb?q=1"
    assert echo["headers"] == [["host", "x"], ["x-a", "1"], ["x-a", "2"], ["x_a", "3"]]


@pytest.mark.parametrize(
    "framed",
    [
        b"content-length: 5\r\n\r\nhello",
        b"transfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\ntrailer: t\r\n\r\n",
    ],
    ids=["length", "chunks"],
)
def test_body_length_is_counted(upstream: Upstream, framed: bytes) -> None:
    """A body counts the same with a length and in chunks."""
    _, body = exchange(upstream, b"POST / HTTP/1.1\r\nhost: x\r\n" + framed)
    assert json.loads(body)["body_bytes"] == 5


@pytest.mark.parametrize(
    "framed",
    [
        b"content-length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1),
        b"content-length: -1\r\n\r\n",
        b"transfer-encoding: chunked\r\n\r\n%x\r\n" % (MAX_BODY_BYTES + 1),
        b"transfer-encoding: chunked\r\n\r\nnonsense\r\n",
    ],
    ids=["long", "negative", "long chunk", "no size"],
)
def test_unreasonable_body_is_refused(upstream: Upstream, framed: bytes) -> None:
    """The upstream reads no body beyond its bound and none that is framed badly."""
    status, _ = exchange(upstream, b"POST / HTTP/1.1\r\nhost: x\r\n" + framed)
    assert status == 413


def test_head_has_no_body_and_is_remembered(upstream: Upstream) -> None:
    """HEAD is answered without a body; what was asked can be read from `seen`."""
    connection = http.client.HTTPConnection("127.0.0.1", upstream.port, timeout=30)
    connection.request("HEAD", "/x")
    assert connection.getresponse().read() == b""
    connection.close()
    assert [seen["method"] for seen in upstream.seen] == ["HEAD"]
