"""Reaching a Redis: as whom, over what, how long, and what is told to the operator when it does not work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from extauthz.clock import SystemClock
from extauthz.errors import SharedStoreError
from extauthz.keeper.redis_connection import (
    FIRST_PAUSE,
    LAST_PAUSE,
    Backoff,
    RedisConnection,
    Script,
    Wire,
    _greet,
)
from tests.simulators.certificates import Authority
from tests.simulators.clock import ManualClock
from tests.simulators.redis import PASSWORD, RedisServer, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Yield a server for tests that leave it as it is."""
    with serving(tmp_path_factory.mktemp("redis")) as server:
        yield server


def connect(server: RedisServer, *scripts: Script, **changes: Any) -> RedisConnection:
    """Return a connection; settings may be changed."""
    return RedisConnection(server.settings(**changes), scripts, SystemClock())


def test_a_command_has_its_answer(server: RedisServer) -> None:
    """Several sent together have theirs, in order; a script is called by its name."""
    connection = connect(server, script := Script("return {KEYS[1], ARGV[1]}"))
    assert connection.ask("ECHO", "hello") == b"hello"
    assert connection.ask_all([("ECHO", "a"), script.call(("k",), 1), ("ECHO", b"\xff")]) == [
        b"a",
        [b"k", b"1"],
        b"\xff",
    ]
    assert len(connection.server.run) == 40
    assert connection.server.durable
    connection.close()


def test_a_refused_command_leaves_nothing_behind(server: RedisServer) -> None:
    """Answers of others that were sent with it are not taken for the next one's."""
    connection = connect(server)
    with pytest.raises(SharedStoreError, match=r"it refuses \(unknown\)|it refuses \(ERR\)|it refuses"):
        connection.ask_all([("ECHO", "a"), ("NONSENSE",), ("ECHO", "b")])
    assert connection.ask("ECHO", "c") == b"c"
    connection.close()


def test_a_late_answer_is_not_the_next_ones(tmp_path: Path) -> None:
    """After a timeout the connection is not used again."""
    with serving(tmp_path / "redis") as server:
        connection = connect(server, timeout=1.0)
        assert connection.ask("ECHO", "a") == b"a"
        server.freeze()
        with pytest.raises(SharedStoreError, match="did not answer in time"):
            connection.ask("ECHO", "late")
        server.thaw()
        assert connection.ask("ECHO", "b") == b"b"
        connection.close()


def test_an_interruption_closes_the_connection(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is that ends the wait."""
    connection = connect(server)
    assert connection.ask("ECHO", "a") == b"a"
    wire = connection._connection
    assert wire is not None
    with monkeypatch.context() as patch:
        patch.setattr(wire, "read_response", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            connection.ask("ECHO", "lost")
    assert connection.ask("ECHO", "b") == b"b"
    with monkeypatch.context() as patch:
        patch.setattr("extauthz.keeper.redis_connection._greet", _interrupt)
        connection.close()
        with pytest.raises(KeyboardInterrupt):
            connection.ask("ECHO", "lost")
    connection.close()


def _interrupt(*_: object, **__: object) -> object:
    raise KeyboardInterrupt


def test_attempts_to_connect_are_further_and_further_apart() -> None:
    """Up to a limit, and never at the same distance for many machines."""
    backoff = Backoff(lambda: 1.0)
    pauses = [backoff.next_pause() for _ in range(8)]
    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert pauses[-1] == LAST_PAUSE
    backoff.reset()
    assert backoff.next_pause() == FIRST_PAUSE
    assert len({Backoff().next_pause() for _ in range(20)}) > 5


def test_between_attempts_nobody_waits(server: RedisServer) -> None:
    """What is asked meanwhile is refused at once."""
    clock = ManualClock()
    connection = RedisConnection(server.settings(url="redis://127.0.0.1:1/0"), (), clock)
    with pytest.raises(SharedStoreError, match="cannot be reached"):
        connection.ask("PING")
    assert 0 < connection.pause <= FIRST_PAUSE
    with pytest.raises(SharedStoreError, match="a moment ago"):
        connection.ask("PING")
    clock.advance(FIRST_PAUSE)
    assert connection.pause == 0
    with pytest.raises(SharedStoreError, match="cannot be reached"):
        connection.ask("PING")


class TestAsWhom:
    def test_a_wrong_password_is_told(self, server: RedisServer, tmp_path: Path) -> None:
        """And one that cannot be read; a new file needs no restart."""
        (path := tmp_path / "password").write_text("wrong")
        connection = connect(server, password_file=path)
        with pytest.raises(SharedStoreError, match="check `username` and `password_file`"):
            connection.ask("PING")
        path.unlink()
        connection._not_before = 0.0
        with pytest.raises(SharedStoreError, match="password for the shared Redis cannot be read"):
            connection.ask("PING")
        path.write_text(PASSWORD)
        connection._not_before = 0.0
        assert connection.ask("PING") == b"PONG"
        connection.close()

    def test_no_password_is_told(self, server: RedisServer) -> None:
        """A server that asks for one."""
        with pytest.raises(SharedStoreError, match="check `username` and `password_file`"):
            connect(server, password_file=None).ask("PING")


class TestTheServer:
    def test_one_that_evicts_is_refused(self, tmp_path: Path) -> None:
        """What was used up could be used again; with room for all it may be set as it likes."""
        options = ("maxmemory 100mb", "maxmemory-policy allkeys-lru")
        with serving(tmp_path / "redis", options=options) as server:
            with pytest.raises(SharedStoreError, match="maxmemory-policy noeviction"):
                connect(server).ask("PING")
            server.say("CONFIG", "SET", "maxmemory-policy", "noeviction")
            assert connect(server).ask("PING") == b"PONG"

    def test_one_that_writes_nothing_down_is_told_of(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """It works, and the operator knows."""
        with serving(tmp_path / "redis", options=("appendonly no",)) as server:
            connection = connect(server)
            assert connection.ask("PING") == b"PONG"
            assert not connection.server.durable
            connection.close()
        assert "appendfsync always" in capsys.readouterr().out

    @pytest.mark.parametrize("answer", [None, b"", b"run_id", 7])
    def test_an_answer_that_is_none_is_no_server(self, server: RedisServer, answer: object) -> None:
        """Something else listens there: nothing is known about it, so nothing is taken for durable."""

        class Strange:
            def pack_commands(self, _: object) -> list[bytes]:
                return []

            def send_packed_command(self, _: object, *, check_health: bool) -> None:
                assert not check_health

            def read_response(self, *, disable_decoding: bool) -> object:
                assert disable_decoding
                return answer

            def disconnect(self) -> None: ...

        strange: Wire = Strange()
        assert _greet(strange, ()) == ("", False)
        del server


class TestTls:
    @pytest.fixture
    def secured(self, tmp_path: Path) -> Iterator[tuple[RedisServer, Authority]]:
        """Yield a server that speaks TLS and wants a certificate, and its authority."""
        authority = Authority()
        certificate, key = authority.issue().write(tmp_path, "server")
        (ca := tmp_path / "ca.pem").write_bytes(authority.certificate)
        with serving(tmp_path / "redis", tls=(certificate, key, ca)) as server:
            yield server, authority

    def test_both_sides_are_verified(self, secured: tuple[RedisServer, Authority], tmp_path: Path) -> None:
        """With a certificate of the authority it works; without one, with another authority or name it does not."""
        server, authority = secured
        certificate, key = authority.issue("client").write(tmp_path, "client")
        connection = connect(server, certificate=certificate, key=key)
        assert connection.ask("PING") == b"PONG"
        connection.close()
        with pytest.raises(SharedStoreError):
            connect(server).ask("PING")
        (stranger := tmp_path / "stranger.pem").write_bytes(Authority("stranger").certificate)
        with pytest.raises(SharedStoreError, match="certificate cannot be verified; check `ca_file`"):
            connect(server, certificate=certificate, key=key, ca_file=stranger).ask("PING")
        elsewhere = server.url.replace("127.0.0.1", "127.0.0.2")
        with pytest.raises(SharedStoreError):
            connect(server, certificate=certificate, key=key, url=elsewhere).ask("PING")

    def test_a_name_that_the_certificate_lacks_is_refused(self, tmp_path: Path) -> None:
        """Although the authority is the right one."""
        authority = Authority()
        certificate, key = authority.issue(names=()).write(tmp_path, "server")
        (ca := tmp_path / "ca.pem").write_bytes(authority.certificate)
        tls = (certificate, key, ca)
        with (
            serving(tmp_path / "redis", tls=tls) as server,
            pytest.raises(SharedStoreError, match="certificate cannot be verified"),
        ):
            connect(server).ask("PING")

    def test_files_that_are_missing_are_told(self, secured: tuple[RedisServer, Authority], tmp_path: Path) -> None:
        """Not an error of ours."""
        server, _ = secured
        with pytest.raises(SharedStoreError, match="cannot be reached"):
            connect(server, ca_file=tmp_path / "none.pem").ask("PING")

    def test_plaintext_to_a_server_that_wants_tls_fails(self, secured: tuple[RedisServer, Authority]) -> None:
        """Within the time of a command."""
        server, _ = secured
        with pytest.raises(SharedStoreError):
            connect(server, url=server.url.replace("rediss", "redis")).ask("PING")
