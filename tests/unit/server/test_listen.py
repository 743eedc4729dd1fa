"""Addresses to listen on."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from extauthz.config.settings import ListenerSettings, Settings
from extauthz.errors import ConfigError
from extauthz.server.listen import Address, judge_listeners, parse_address, prepared_socket


@pytest.mark.parametrize(
    ("text", "address", "is_local"),
    [
        ("127.0.0.1:9191", Address("127.0.0.1", 9191), True),
        ("127.8.9.10:0", Address("127.8.9.10", 0), True),
        ("localhost:9191", Address("localhost", 9191), True),
        ("[::1]:9191", Address("::1", 9191), True),
        ("unix:/run/check.sock", Address(path=Path("/run/check.sock")), True),
        ("0.0.0.0:9191", Address("0.0.0.0", 9191), False),  # noqa: S104 — judged, not bound
        ("[::]:9191", Address("::", 9191), False),
        ("10.0.0.1:65535", Address("10.0.0.1", 65535), False),
        ("localhost.example.com:1", Address("localhost.example.com", 1), False),
    ],
)
def test_an_address_is_read_written_and_judged(text: str, address: Address, is_local: bool) -> None:
    """It is written as it was read; local means that no other machine reaches it."""
    assert parse_address(text) == address
    assert str(address) == text
    assert address.is_local == is_local


@pytest.mark.parametrize(
    "text",
    ["", "9191", "127.0.0.1", "::1:9191", "127.0.0.1:65536", "a/b:1", "unix:", "unix:" + "x" * 108, "[]:1", ":1"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """With an example of what is."""
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1:9191|shorten"):
        parse_address(text)


def settings(*listeners: dict[str, Any], **insecure: bool) -> Settings:
    """Return settings with `listeners`."""
    return Settings.model_validate({"policy": ["p"], "listeners": listeners, "insecure": insecure})


TLS = {"certificate": "c", "key": "k"}


def test_plaintext_beyond_loopback_is_refused() -> None:
    """Every listener is judged, and each problem named."""
    wanted = settings({"address": "0.0.0.0:1"}, {"address": "127.0.0.1:1"}, {"address": "[::]:2"}, {"address": "x"})
    with pytest.raises(ConfigError) as caught:
        judge_listeners(wanted)
    assert [problem.file for problem in caught.value.problems] == [
        "listener 0.0.0.0:1",
        "listener [::]:2",
        "listener x",
    ]
    assert "insecure.plaintext_beyond_loopback" in caught.value.problems[0].fix


def test_tls_beyond_loopback_and_the_insecure_switch_are_accepted() -> None:
    """The two ways out."""
    assert judge_listeners(settings({"address": "0.0.0.0:1", "tls": TLS}))
    assert judge_listeners(settings({"address": "0.0.0.0:1"}, plaintext_beyond_loopback=True))


def bind(path: Path) -> socket.socket:
    """Bind and listen."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()
    return server


def listener(path: Path, mode: int = 0o660) -> tuple[Address, ListenerSettings]:
    """Return the address and settings of a Unix listener."""
    return Address(path=path), ListenerSettings(address=f"unix:{path}", socket_mode=mode)


def test_a_socket_gets_its_permissions_and_is_closed_to_others_before(tmp_path: Path) -> None:
    """Between binding and chmod only we can open it."""
    path = tmp_path / "s"
    with prepared_socket(*listener(path, 0o606)):
        server = bind(path)
        assert path.stat().st_mode & 0o077 == 0
    assert path.stat().st_mode & 0o777 == 0o606
    server.close()


def test_a_dead_socket_is_removed(tmp_path: Path) -> None:
    """Left over from a process that was killed."""
    path = tmp_path / "s"
    bind(path).close()
    with prepared_socket(*listener(path)):
        server = bind(path)
    server.close()


def test_a_socket_that_is_answered_stays(tmp_path: Path) -> None:
    """Another server is at work."""
    path = tmp_path / "s"
    server = bind(path)
    with pytest.raises(ConfigError, match="another process listens"), prepared_socket(*listener(path)):
        pytest.fail("the block must not run")
    assert path.is_socket()
    server.close()


def test_what_is_no_socket_stays(tmp_path: Path) -> None:
    """A file, also one behind a link, is never removed."""
    (path := tmp_path / "s").write_text("precious")
    (link := tmp_path / "link").symlink_to(path)
    for taken in (path, link):
        with pytest.raises(ConfigError, match="not a socket"), prepared_socket(*listener(taken)):
            pytest.fail("the block must not run")
    assert path.read_text() == "precious"


def test_the_folder_must_exist_and_not_be_open_to_all(tmp_path: Path) -> None:
    """Whoever can replace the socket can answer in our place."""
    with pytest.raises(ConfigError, match="does not exist"), prepared_socket(*listener(tmp_path / "none" / "s")):
        pytest.fail("the block must not run")
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigError, match="writable by all"), prepared_socket(*listener(tmp_path / "s")):
        pytest.fail("the block must not run")
    tmp_path.chmod(0o1777)
    with prepared_socket(*listener(tmp_path / "s")):
        server = bind(tmp_path / "s")
    server.close()


def test_tcp_needs_no_preparation() -> None:
    """Nothing is touched."""
    with prepared_socket(Address("127.0.0.1", 0), ListenerSettings(address="127.0.0.1:0")):
        pass
