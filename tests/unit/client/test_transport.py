"""The way out by urllib3, against a server that sends exactly the bytes of the test."""

from __future__ import annotations

import pytest

from extauthz.client import Session, TransportFailedError, WebTransport
from extauthz.client.system import ThisMachine
from tests.simulators.api import Issuer
from tests.simulators.webserver import response, serving, serving_bytes


def test_a_request_arrives_as_it_was_sent() -> None:
    """Method, path, headers; the answer's headers come in lower case, lines of one name joined."""
    raw = response(b"hello", status="403 Forbidden", headers=("X-A: 1", "x-a: 2", "WWW-Authenticate: Bearer"))
    with serving_bytes(raw) as server:
        answer = WebTransport()("GET", f"{server.url}/a?b=%20c", {"x-b": "d"}, b"")
    assert (answer.status, answer.body) == (403, b"hello")
    assert (answer.headers["x-a"], answer.headers["www-authenticate"]) == ("1, 2", "Bearer")
    (request,) = server.requests
    assert request.startswith("GET /a?b=%20c HTTP/1.1\r\n")
    assert "x-b: d\r\n" in request


def test_redirects_are_not_followed() -> None:
    """They would carry the token along."""
    with serving_bytes(response(status="302 Found", headers=("location: /elsewhere",))) as server:
        assert WebTransport()("GET", server.url, {}, b"").status == 302
    assert len(server.requests) == 1


def test_an_answer_that_is_too_long_is_none() -> None:
    """Bounded before it is read whole."""
    with serving_bytes(response(b"x" * 100_000)) as server, pytest.raises(TransportFailedError, match="too long"):
        WebTransport(max_body=1000)("GET", server.url, {}, b"")


@pytest.mark.parametrize("raw", [b"", b"rubbish\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"])
def test_half_an_answer_is_none(raw: bytes) -> None:
    """Closed connections, other protocols, bodies that were cut."""
    with serving_bytes(raw) as server, pytest.raises(TransportFailedError, match="no complete answer"):
        WebTransport()("GET", server.url, {}, b"")


def test_a_server_that_says_nothing_is_given_up() -> None:
    """After the time that was set."""
    with serving(lambda _connection, _target: server.hang()) as server, pytest.raises(TransportFailedError):
        WebTransport(timeout=0.1)("GET", server.url, {}, b"")


def test_a_session_by_itself_sends_over_the_network() -> None:
    """With the real way out and the real clock."""
    with serving_bytes(response(b"done")) as server:
        assert Session(server.url, Issuer()).request("POST", "/x", body=b"abc").body == b"done"
    assert "authorization: Bearer t1" in server.requests[0]


def test_the_machine_has_time_and_chance() -> None:
    """Instants are those of today, a pause ends, and names do not repeat."""
    machine = ThisMachine()
    before = machine.now()
    machine.sleep(0)
    assert 1_700_000_000 < before <= machine.now()
    assert machine.unique() != machine.unique()
