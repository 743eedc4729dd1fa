"""The push endpoint: what is taken, and what is answered (RFC 8935)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from extauthz.clock import SystemClock
from extauthz.config.signals import ReceiverSettings
from extauthz.errors import ConfigError, LinkError
from extauthz.limits import MAX_EVENT_TOKEN_BYTES, MAX_PUSH_HEAD_BYTES
from extauthz.receiver.desk import Said
from extauthz.receiver.push import PushReceiver
from tests.simulators.desk import BUSY, TAKEN, ScriptedDesk, refused
from tests.simulators.transmitter import AUTHORIZATION, push
from tests.unit.receiver.receiving import EVENT, HEAD, connect, exchange, read_all, receiving, status_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def desk() -> ScriptedDesk:
    """Return a desk that takes everything."""
    return ScriptedDesk()


@pytest.fixture
def receiver(tmp_path: Path, desk: ScriptedDesk) -> Iterator[PushReceiver]:
    """Return a receiver in front of that desk."""
    with receiving(tmp_path, desk) as running:
        yield running


def test_what_the_desk_accepts_is_202_with_nothing_else(receiver: PushReceiver, desk: ScriptedDesk) -> None:
    """The event reaches the desk as it came, with the stream's name."""
    answer = push(receiver.address, EVENT)
    assert (answer.status, answer.body, answer.headers["content-length"]) == (202, b"", "0")
    assert answer.headers["connection"] == "close"
    assert desk.heard == [("idp", EVENT)]


def test_202_waits_for_the_desk(receiver: PushReceiver, desk: ScriptedDesk) -> None:
    """While the desk has said nothing, nothing is answered."""
    desk.gate.clear()
    with connect(receiver) as connection:
        connection.sendall(f"{HEAD}content-length: {len(EVENT)}\r\n\r\n{EVENT}".encode())
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        desk.gate.set()
        connection.settimeout(20)
        assert status_of(read_all(connection)) == 202


def test_what_the_desk_refuses_is_400_as_the_rfc_says(receiver: PushReceiver, desk: ScriptedDesk) -> None:
    """With code, sentence, media type and language."""
    desk.says = lambda _: refused("invalid_audience", "`aud` does not name us")
    answer = push(receiver.address, EVENT)
    assert answer.status == 400
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-language"] == "en"
    assert json.loads(answer.body) == {"err": "invalid_audience", "description": "`aud` does not name us"}


@pytest.mark.parametrize("said", [BUSY, Said("refused", "made_up"), Said("refused"), Said("fine"), Said("")])
def test_whatever_is_not_certain_is_503_and_comes_again(receiver: PushReceiver, desk: ScriptedDesk, said: Said) -> None:
    """An answer that nobody knows confirms nothing."""
    desk.says = lambda _: said
    answer = push(receiver.address, EVENT)
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")


@pytest.mark.parametrize("error", [LinkError("the keeper is away"), ZeroDivisionError("nobody foresaw this")])
def test_a_desk_that_fails_is_503_and_says_nothing_of_why(
    receiver: PushReceiver, desk: ScriptedDesk, error: Exception
) -> None:
    """An exception's text is for the log."""

    def fail(_: str) -> Said:
        raise error

    desk.says = fail
    answer = push(receiver.address, EVENT)
    assert answer.status == 503
    assert str(error).encode() not in answer.body
    desk.says = lambda _: TAKEN
    assert push(receiver.address, EVENT).status == 202


@pytest.mark.parametrize(
    "given", [None, "", "Bearer wrong", AUTHORIZATION.lower(), AUTHORIZATION + "x", AUTHORIZATION[:-1], "Bearer \xe9"]
)
def test_another_authorization_is_400_authentication_failed(
    receiver: PushReceiver, desk: ScriptedDesk, given: str | None
) -> None:
    """And the desk never sees the event."""
    answer = push(receiver.address, EVENT, authorization=given)
    assert (answer.status, answer.err) == (400, "authentication_failed")
    assert desk.heard == []


def test_two_authorizations_are_none(receiver: PushReceiver, desk: ScriptedDesk) -> None:
    """Also when one of them is right."""
    for one, other in ((AUTHORIZATION, "Bearer wrong"), (AUTHORIZATION, AUTHORIZATION)):
        head = f"{HEAD.replace(AUTHORIZATION, one)}authorization: {other}\r\ncontent-length: 1\r\n\r\nx"
        assert b"authentication_failed" in exchange(receiver, head.encode())
    assert desk.heard == []


def test_an_authorization_can_be_replaced_without_losing_events(tmp_path: Path, desk: ScriptedDesk) -> None:
    """Old and new count while both are in the file; the file is read for every request."""
    with receiving(tmp_path, desk) as receiver:
        file = tmp_path / "authorization"
        file.write_text(f"{AUTHORIZATION}\nBearer new\n")
        assert push(receiver.address, EVENT).status == 202
        assert push(receiver.address, EVENT, authorization="Bearer new").status == 202
        file.write_text("Bearer new\n")
        assert push(receiver.address, EVENT).err == "authentication_failed"
        assert push(receiver.address, EVENT, authorization="Bearer new").status == 202


@pytest.mark.parametrize("content", [None, b"", b"\n \n", b"\xff\xfe"])
def test_without_an_authorization_to_compare_with_nothing_is_taken(
    tmp_path: Path, desk: ScriptedDesk, content: bytes | None
) -> None:
    """503 and not 400, because it is our fault; and such a file does not let the receiver start."""
    file = tmp_path / "authorization"

    def spoil() -> None:
        file.unlink()
        if content is not None:
            file.write_bytes(content)

    with receiving(tmp_path, desk) as receiver:
        spoil()
        for given in (AUTHORIZATION, "", None):
            assert push(receiver.address, EVENT, authorization=given).status == 503
    assert desk.heard == []
    with pytest.raises(ConfigError, match="idp"):
        PushReceiver(ReceiverSettings(address="127.0.0.1:0"), {"idp": file}, desk, SystemClock())


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "application/json"},
        {"content-type": ""},
        {"content-type": "application/secevent+jwtx"},
        {"content-encoding": "gzip"},
    ],
)
def test_another_media_type_is_refused(receiver: PushReceiver, desk: ScriptedDesk, headers: dict[str, str]) -> None:
    """A body is read only when it says that it is an event."""
    answer = push(receiver.address, EVENT, headers=headers)
    assert (answer.status, answer.err) == (400, "invalid_request")
    assert desk.heard == []


def test_parameters_and_case_of_the_media_type_do_not_matter(receiver: PushReceiver) -> None:
    """RFC 9110 section 8.3.1."""
    assert push(receiver.address, EVENT, headers={"content-type": "Application/SecEvent+JWT; x=1"}).status == 202


@pytest.mark.parametrize(
    "path",
    ["/", "/events", "/events/", "/events/other", "/events/idp/", "/events/idp?x", "/events/%69dp", "/EVENTS/idp", "*"],
)
def test_other_paths_are_404(receiver: PushReceiver, desk: ScriptedDesk, path: str) -> None:
    """Paths are compared as they are."""
    assert push(receiver.address, EVENT, path=path).status == 404
    assert desk.heard == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_other_methods_are_405(receiver: PushReceiver, desk: ScriptedDesk, method: str) -> None:
    """With `Allow`."""
    answer = push(receiver.address, EVENT, method=method)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert desk.heard == []


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (f"{HEAD}\r\n", 411),
        (f"{HEAD}content-length: x\r\n\r\n", 400),
        (f"{HEAD}content-length: -1\r\n\r\n", 400),
        (f"{HEAD}content-length: +1\r\n\r\nx", 400),
        (f"{HEAD}content-length: 1\r\ncontent-length: 1\r\n\r\nx", 400),
        (f"{HEAD}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (f"{HEAD}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
        (f"{HEAD}transfer-encoding: chunked\r\n\r\nxyz\r\n", 400),
        (f"{HEAD}transfer-encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", 400),
        (f"{HEAD}transfer-encoding: chunked\r\n\r\n{'0' * 5000}\r\n", 400),
        (f"{HEAD}content-length: {MAX_EVENT_TOKEN_BYTES + 1}\r\n\r\n", 413),
        (f"{HEAD}transfer-encoding: chunked\r\n\r\nffffffff\r\n", 413),
        (f"{HEAD}content-length: 3\r\n\r\n\u00e9x", 400),
        (HEAD.replace("HTTP/1.1", "HTTP/1.0") + "content-length: 1\r\n\r\nx", 505),
        (HEAD.replace("HTTP/1.1", "HTTP/2.0") + "\r\n", 505),
        (HEAD.replace("HTTP/1.1", "HTTP/x") + "\r\n", 400),
        ("GET /events/idp\r\n\r\n", 505),
        ("<script>alert(1)</script>\r\n\r\n", 400),
        ("\x16\x03\x01\x02\r\n\r\n", 400),
        (f"POST /{'x' * 2 * MAX_PUSH_HEAD_BYTES} HTTP/1.1\r\n\r\n", 431),
        (f"{HEAD}x: {'x' * 2 * MAX_PUSH_HEAD_BYTES}\r\n\r\n", 431),
        (HEAD + "x: y\r\n" * 150 + "\r\n", 431),
        (HEAD + "x: y\r\n" * 50_000 + "\r\n", 431),
    ],
)
def test_requests_that_are_none_are_answered_and_reach_nobody(
    receiver: PushReceiver, desk: ScriptedDesk, raw: str, status: int
) -> None:
    """With a sentence of ours: nothing that was sent comes back."""
    answer = exchange(receiver, raw.encode())
    assert status_of(answer) == status
    assert answer.startswith(b"HTTP/1.1 ")
    assert b"alert" not in answer
    assert desk.heard == []
    assert push(receiver.address, EVENT).status == 202


def test_a_body_in_chunks_is_taken(receiver: PushReceiver, desk: ScriptedDesk) -> None:
    """With extensions and trailers, which say nothing here."""
    chunks = f"5;x=y\r\n{EVENT[:5]}\r\nd\r\n{EVENT[5:]}\r\n0\r\ntrailer: x\r\n\r\n"
    assert status_of(exchange(receiver, f"{HEAD}transfer-encoding: Chunked\r\n\r\n{chunks}".encode())) == 202
    assert desk.heard == [("idp", EVENT)]


def test_the_longest_body_is_taken_and_a_longer_one_in_chunks_is_not(
    receiver: PushReceiver, desk: ScriptedDesk
) -> None:
    """The bound is on the event, however it is sent."""
    longest = "x" * MAX_EVENT_TOKEN_BYTES
    assert push(receiver.address, longest).status == 202
    pieces = f"{MAX_EVENT_TOKEN_BYTES:x}\r\n{longest}\r\n1\r\nx\r\n0\r\n\r\n"
    assert status_of(exchange(receiver, f"{HEAD}transfer-encoding: chunked\r\n\r\n{pieces}".encode())) == 413
    drops = "1\r\nx\r\n" * MAX_EVENT_TOKEN_BYTES
    assert status_of(exchange(receiver, f"{HEAD}transfer-encoding: chunked\r\n\r\n{drops}0\r\n\r\n".encode())) == 413
    assert len(desk.heard) == 1


def test_a_client_may_wait_for_100_continue(receiver: PushReceiver) -> None:
    """It is sent when the body is wanted, and not to those who may not send one."""
    with connect(receiver) as connection:
        connection.sendall(f"{HEAD}expect: 100-continue\r\ncontent-length: {len(EVENT)}\r\n\r\n".encode())
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(EVENT.encode())
        assert status_of(read_all(connection)) == 202
    wrong = HEAD.replace(AUTHORIZATION, "Bearer wrong")
    assert b"100 Continue" not in exchange(
        receiver, f"{wrong}expect: 100-continue\r\ncontent-length: 9\r\n\r\n".encode()
    )


def test_one_request_for_each_connection(receiver: PushReceiver, desk: ScriptedDesk) -> None:
    """What follows a request is nobody's request."""
    whole = f"{HEAD}content-length: {len(EVENT)}\r\n\r\n{EVENT}"
    assert exchange(receiver, (whole + whole).encode()).count(b"HTTP/1.1") == 1
    assert len(desk.heard) == 1
