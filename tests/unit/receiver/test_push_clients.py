"""Clients of the push endpoint that are slow, greedy or confused; how it starts, stops, and is reached."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.config.settings import Settings
from extauthz.config.signals import ReceiverSettings
from extauthz.errors import ConfigError
from extauthz.limits import MAX_EVENT_TOKEN_BYTES
from extauthz.receiver import push_http
from extauthz.receiver.push import PushReceiver, push_streams
from tests.integration.running import seconds_of_patience
from tests.simulators.certificates import Authority
from tests.simulators.desk import ScriptedDesk
from tests.simulators.transmitter import push
from tests.unit.receiver.receiving import EVENT, HEAD, answer_or_nothing, connect, read_all, receiving, status_of

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


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "POST /events",
        HEAD,
        f"{HEAD}content-length: 5\r\n\r\nabc",
        f"{HEAD}transfer-encoding: chunked\r\n\r\n5\r\nab",
    ],
)
def test_a_client_that_stops_in_between_is_let_go_in_time(tmp_path: Path, desk: ScriptedDesk, raw: str) -> None:
    """Whether it keeps the connection open or drips on; its place becomes free."""
    with receiving(tmp_path, desk, seconds=0.3, max_connections=1) as receiver:
        with connect(receiver) as connection:
            connection.sendall(raw.encode())
            assert read_all(connection) == b""
        seconds_of_patience(lambda: is_taken(receiver))
    assert set(desk.heard) == {("idp", EVENT)}


def is_taken(receiver: PushReceiver) -> bool:
    """Push an event; return whether it is taken, which it is not as long as no place is free."""
    with connect(receiver) as connection:
        connection.sendall(f"{HEAD}content-length: {len(EVENT)}\r\n\r\n{EVENT}".encode())
        return status_of(answer_or_nothing(connection)) == 202


def test_a_client_that_drips_does_not_extend_its_time(tmp_path: Path, desk: ScriptedDesk) -> None:
    """A byte now and then would keep a socket's own timeout from ever being over."""
    with receiving(tmp_path, desk, seconds=0.4) as receiver, connect(receiver) as connection:
        over = threading.Event()

        def drip() -> None:
            try:
                while not over.wait(0.02):
                    connection.sendall(b"x")
            except OSError:
                return

        dripping = threading.Thread(target=drip)
        dripping.start()
        connection.settimeout(20)
        assert answer_or_nothing(connection) == b""
        over.set()
        dripping.join(20)


def test_a_client_that_leaves_half_way_loses_only_its_own(receiver: PushReceiver, desk: ScriptedDesk) -> None:
    """A body that ended early is no event."""
    with connect(receiver) as connection:
        connection.sendall(f"{HEAD}content-length: 9\r\n\r\nabc".encode())
        connection.shutdown(socket.SHUT_WR)
        assert status_of(read_all(connection)) == 400
    assert desk.heard == []


def test_more_connections_than_allowed_are_closed(tmp_path: Path, desk: ScriptedDesk) -> None:
    """Those that are served are not disturbed, and there is room again afterwards."""
    desk.gate.clear()
    with receiving(tmp_path, desk, max_connections=2) as receiver:
        first, second = connect(receiver), connect(receiver)
        with first, second:
            for connection in (first, second):
                connection.sendall(f"{HEAD}content-length: {len(EVENT)}\r\n\r\n{EVENT}".encode())
            assert desk.arrived.acquire(timeout=20)
            assert desk.arrived.acquire(timeout=20)
            with connect(receiver) as third:
                assert answer_or_nothing(third) == b""
            desk.gate.set()
            assert [status_of(read_all(connection)) for connection in (first, second)] == [202, 202]
        seconds_of_patience(lambda: is_taken(receiver))


@pytest.mark.parametrize("secure", [False, True])
def test_those_who_keep_connections_open_keep_nobody_out(
    tmp_path: Path, desk: ScriptedDesk, monkeypatch: pytest.MonkeyPatch, *, secure: bool
) -> None:
    """Who has been sending for longest makes room, in whatever state it is."""
    monkeypatch.setattr(push_http, "_ROOM_SECONDS", 20.0)  # However long the thread of the other takes to end.
    authority = Authority()
    certificate, key = authority.issue().write(tmp_path, "receiver")
    files: dict[str, Any] = {"certificate": certificate, "key": key} if secure else {}
    client = ssl.create_default_context(cadata=authority.certificate.decode())
    with receiving(tmp_path, desk, max_connections=3, **files) as receiver, ExitStack() as idle:
        for beginning in ("", "POST", f"{HEAD}content-length: 9\r\n\r\n") * 4:
            slow = idle.enter_context(connect(receiver))
            slow.sendall(beginning.encode())
        for _ in range(5):
            with connect(receiver) as plain:
                connection = client.wrap_socket(plain, server_hostname="localhost") if secure else plain
                with connection:
                    connection.sendall(f"{HEAD}content-length: {len(EVENT)}\r\n\r\n{EVENT}".encode())
                    assert status_of(read_all(connection)) == 202
    assert len(desk.heard) == 5


def test_an_answer_reaches_a_client_that_still_sends(receiver: PushReceiver) -> None:
    """It was refused for its headers; its long body is on the way."""
    body = b"x" * MAX_EVENT_TOKEN_BYTES
    for _ in range(20):
        assert push(receiver.address, body, authorization="Bearer wrong").err == "authentication_failed"


def test_stopping_lets_what_is_under_way_end(tmp_path: Path, desk: ScriptedDesk) -> None:
    """And takes nothing new; the receiver says how it is."""
    desk.gate.clear()
    with receiving(tmp_path, desk) as receiver, connect(receiver) as connection:
        assert receiver.check(within=30.0) == ""
        assert receiver.check(within=-1.0) == "the receiver accepts no connections"
        connection.sendall(f"{HEAD}content-length: {len(EVENT)}\r\n\r\n{EVENT}".encode())
        assert desk.arrived.acquire(timeout=20)
        threading.Timer(0.1, desk.gate.set).start()
        receiver.stop()
        assert status_of(read_all(connection)) == 202
        receiver.stop()
        assert receiver.check(within=5.0) == "the receiver has stopped"
        with pytest.raises(ConnectionError):
            connect(receiver)


def test_stopping_does_not_wait_for_ever(tmp_path: Path, desk: ScriptedDesk) -> None:
    """An event that the desk sits on is not confirmed and comes again."""
    desk.gate.clear()
    with receiving(tmp_path, desk, max_connections=1) as receiver, connect(receiver) as connection:
        connection.sendall(f"{HEAD}content-length: {len(EVENT)}\r\n\r\n{EVENT}".encode())
        assert desk.arrived.acquire(timeout=20)
        receiver.stop(drain=0.05)


def test_plaintext_where_others_reach_it_must_be_meant(tmp_path: Path, desk: ScriptedDesk) -> None:
    """As for the listeners of Envoy."""
    with pytest.raises(ConfigError, match="plaintext"), receiving(tmp_path, desk, address="0.0.0.0:0"):
        pass
    with receiving(tmp_path, desk, address="0.0.0.0:0", plaintext=True) as receiver:
        assert receiver.address.startswith("0.0.0.0:")
    with receiving(tmp_path, desk, address="[::1]:0") as receiver:
        assert push(receiver.address, EVENT).status == 202
    with pytest.raises(ConfigError, match="not a TCP address"), receiving(tmp_path, desk, address="unix:/x"):
        pass
    with (
        receiving(tmp_path, desk) as receiver,
        pytest.raises(ConfigError, match="cannot listen"),
        receiving(tmp_path, desk, address=receiver.address),
    ):
        pass
    with pytest.raises(ValueError, match="both certificate and key"):
        ReceiverSettings(key=tmp_path / "key")


def handshake(receiver: PushReceiver, client: ssl.SSLContext) -> ssl.SSLSocket:
    """Return a TLS connection."""
    return client.wrap_socket(connect(receiver), server_hostname="localhost")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls_is_1_2_or_newer_and_its_certificate_can_be_replaced(tmp_path: Path, desk: ScriptedDesk) -> None:
    """A pair that does not fit is not taken over; somebody who shakes hands wrongly disturbs nobody."""
    authority, newer = Authority("old"), Authority("new")
    certificate, key = authority.issue().write(tmp_path, "receiver")
    request = f"{HEAD}content-length: {len(EVENT)}\r\n\r\n{EVENT}".encode()

    def ask(trusted: Authority) -> int:
        client = ssl.create_default_context(cadata=trusted.certificate.decode())
        with handshake(secured, client) as connection:
            connection.sendall(request)
            return status_of(read_all(connection))

    with receiving(tmp_path, desk, certificate=certificate, key=key) as secured:
        assert ask(authority) == 202
        old = ssl.create_default_context(cadata=authority.certificate.decode())
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            handshake(secured, old)
        with connect(secured) as plain:
            plain.sendall(request)
            assert not answer_or_nothing(plain).startswith(b"HTTP/1.1")
        key.write_text("no key")
        assert ask(authority) == 202
        certificate.unlink()
        assert ask(authority) == 202
        newer.issue().write(tmp_path, "receiver")
        with pytest.raises(ssl.SSLCertVerificationError):
            ask(authority)
        assert ask(newer) == 202
    key.write_text("no key")
    with (
        pytest.raises(ConfigError, match="cannot be used"),
        receiving(tmp_path, desk, certificate=certificate, key=key),
    ):
        pass


@pytest.mark.parametrize("error", [RuntimeError("no thread"), OSError("no memory")])
def test_without_a_thread_a_connection_is_closed_and_its_place_free_again(
    tmp_path: Path, desk: ScriptedDesk, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """The machine is out of threads for a while."""

    def no_thread(_: threading.Thread) -> None:
        raise error

    with receiving(tmp_path, desk, max_connections=1) as receiver:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", no_thread)
            with connect(receiver) as connection:
                assert answer_or_nothing(connection) == b""
        assert push(receiver.address, EVENT).status == 202


def test_only_pushed_streams_are_served(tmp_path: Path) -> None:
    """The others are fetched."""
    keys = {"file": str(tmp_path / "keys.json")}
    authority = {"issuers": ["https://issuer.example"], "events": ["session-revoked"]}
    common = {"issuer": "https://idp.example", "keys": keys, "audience": "us", "authority": authority}
    pushed = {**common, "name": "idp", "push": {"authorization_file": str(tmp_path / "a")}}
    polled = {**common, "name": "mdm", "poll": {"url": "https://idp.example/poll"}}
    settings = Settings.model_validate(
        {
            "policy": ["policy.yaml"],
            "issuers": [{"issuer": "https://issuer.example", "keys": keys}],
            "state": {"memory": True},
            "signals": {"streams": [pushed, polled]},
        }
    )
    assert push_streams(settings) == {"idp": tmp_path / "a"}
