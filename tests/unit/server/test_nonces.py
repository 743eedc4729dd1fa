"""Nonces made from time and a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extauthz.clock import Instant
from extauthz.config.settings import Settings
from extauthz.errors import ConfigError
from extauthz.response.challenge import find_nonce_header
from extauthz.server.nonces import TimedNonces, nonces_from
from tests.simulators.tokens import NOW

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECRET = b"s" * 32
INSTANTS = st.floats(0, 4e9).map(Instant)


@given(INSTANTS, st.floats(0, 600))
def test_a_nonce_is_accepted_for_one_to_two_lifetimes(at: Instant, age: float) -> None:
    """At least as long as it can have been given out, at most twice as long."""
    nonces = TimedNonces(SECRET, 120.0)
    accepted = nonces.accepts_nonce(nonces.nonce_at(at), Instant(at + age))
    assert accepted or age >= 120
    assert not accepted or age < 240


def test_a_nonce_from_the_future_is_not_accepted() -> None:
    """Nobody has it who did not make it."""
    nonces = TimedNonces(SECRET, 120.0)
    assert not nonces.accepts_nonce(nonces.nonce_at(Instant(NOW + 120)), NOW)


@given(st.text(max_size=30))
def test_what_somebody_else_made_is_not_accepted(text: str) -> None:
    """Guesses of any shape, and the nonces of another secret; nothing is raised."""
    assert not TimedNonces(SECRET, 120.0).accepts_nonce(text.encode("utf-8", "replace").decode(), NOW)
    assert not TimedNonces(SECRET, 120.0).accepts_nonce(TimedNonces(b"t" * 32, 120.0).nonce_at(NOW), NOW)


def test_servers_with_one_secret_accept_each_others_nonces() -> None:
    """Nothing but secret and time goes into a nonce, and it fits into its header."""
    one, other = TimedNonces(SECRET, 120.0), TimedNonces(SECRET, 120.0)
    assert other.accepts_nonce(one.nonce_at(NOW), NOW)
    assert find_nonce_header(one.nonce_at(NOW)) == one.nonce_at(NOW)


def settings_with(secret_file: Path | None = None, nonce: str = "required") -> Settings:
    """Return settings with one profile that accepts proofs."""
    profile: dict[str, Any] = {"audience": "a", "dpop": {"origin": "https://a.example", "nonce": nonce}}
    return Settings.model_validate(
        {
            "policy": ["policy.yaml"],
            "issuers": [{"issuer": "https://i.example", "keys": {"url": "https://i.example/jwks"}}],
            "profiles": {"default": profile | {"issuers": ["https://i.example"]}},
            "dpop": {"nonce_secret_file": secret_file},
            "state": {"memory": True},
        }
    )


def test_nonces_are_made_where_a_profile_asks_for_them() -> None:
    """Without a file each process has a secret of its own."""
    assert nonces_from(settings_with(nonce="off")) is None
    one, other = nonces_from(settings_with()), nonces_from(settings_with())
    assert one is not None
    assert other is not None
    assert one.nonce_at(NOW) != other.nonce_at(NOW)


def test_workers_of_one_server_accept_the_nonces_of_each_other(tmp_path: Path) -> None:
    """They are given one secret, unless the settings name another."""
    one, other = (nonces_from(settings_with(), b"s" * 32) for _ in range(2))
    assert one is not None
    assert other is not None
    assert other.accepts_nonce(one.nonce_at(NOW), NOW)
    (file := tmp_path / "secret").write_bytes(b"t" * 32)
    named = nonces_from(settings_with(file), b"s" * 32)
    assert named is not None
    assert not named.accepts_nonce(one.nonce_at(NOW), NOW)


def test_a_secret_comes_from_a_file(tmp_path: Path) -> None:
    """White space round it, such as an editor's newline, is not part of it."""
    file = tmp_path / "secret"
    file.write_bytes(SECRET + b"\n")
    nonces = nonces_from(settings_with(file))
    assert nonces is not None
    assert nonces.nonce_at(NOW) == TimedNonces(SECRET, 120.0).nonce_at(NOW)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda file: file.write_bytes(b"s" * 31), "too short"),
        (lambda file: file.write_bytes(b" " * 64), "too short"),
        (lambda _: None, "cannot be read"),
    ],
)
def test_a_file_without_a_secret_is_an_error(write: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    """The server does not start with a secret that can be guessed."""
    file = tmp_path / "secret"
    write(file)
    with pytest.raises(ConfigError, match=message):
        nonces_from(settings_with(file))
