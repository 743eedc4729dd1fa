"""A whole server and an issuer that is dead, slow or lying: decided denials, and the last good keys stay."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.integration.running import Running, running, seconds_of_patience
from tests.simulators.envoy_messages import check_request
from tests.simulators.grpc_client import outcome_of
from tests.simulators.keyhost import KeyHost
from tests.simulators.tokens import TokenMaker

if TYPE_CHECKING:
    from pathlib import Path

UNAVAILABLE = (503, "evidence_unavailable")
ALLOWED = (200, "allowed")
ROTATED = TokenMaker(kid="k2")


def ask_with(server: Running, maker: TokenMaker) -> tuple[int, str]:
    """Return the outcome for a token that is good now and signed by `maker`."""
    return outcome_of(server.ask(maker.mint(now=time.time())))


def test_an_issuer_that_is_dead_from_the_start_is_unavailable(tmp_path: Path) -> None:
    """503, not 401: the token may be good."""
    host = KeyHost({})
    host.stop()
    with running(tmp_path, host=host) as server:
        assert outcome_of(server.ask(server.mint())) == UNAVAILABLE
        assert server.application.readiness.unavailable_issuers == (server.maker.issuer,)
        assert outcome_of(server.ask(path="/ping")) == ALLOWED


def test_an_issuer_that_dies_is_remembered(tmp_path: Path) -> None:
    """Known keys go on working; a token under an unknown key cannot be judged."""
    with running(tmp_path) as server:
        server.keys.stop()
        assert outcome_of(server.ask(server.mint())) == ALLOWED
        assert ask_with(server, ROTATED) == UNAVAILABLE


def test_a_new_key_is_found_without_restart(tmp_path: Path) -> None:
    """The token that names it causes the fetch and is then accepted, as the old one still is."""
    with running(tmp_path) as server:
        server.keys.publish(server.maker.jwks(ROTATED))
        seconds_of_patience(lambda: ask_with(server, ROTATED) == ALLOWED)
        assert outcome_of(server.ask(server.mint())) == ALLOWED


def test_a_key_that_the_issuer_does_not_have_is_refused_as_such(tmp_path: Path) -> None:
    """The look was good, so the token is not: 401."""
    with running(tmp_path) as server:
        assert ask_with(server, ROTATED) == (401, "signature_invalid")


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (200, b"<html>sign in</html>"),
        (200, b"{"),
        (200, b'{"keys": []}'),
        (200, b'{"keys": [], "keys": []}'),
        (200, b"x" * (2 << 20)),
        (500, b'{"keys": []}'),
        (302, b""),
    ],
)
def test_a_lying_issuer_changes_nothing(tmp_path: Path, status: int, content: bytes) -> None:
    """Known keys stay, unknown ones are unavailable."""
    with running(tmp_path) as server:
        server.keys.status, server.keys.content = status, content
        assert ask_with(server, ROTATED) == UNAVAILABLE
        assert outcome_of(server.ask(server.mint())) == ALLOWED


def test_a_slow_issuer_is_given_up_at_the_deadline(tmp_path: Path) -> None:
    """The answer comes at our deadline; the issuer's own time is longer than whoever asks here would wait."""
    with running(tmp_path, server={"deadline": 4.0}, keys={"timeout": 60.0}) as server:
        server.keys.gate.clear()
        assert ask_with(server, ROTATED) == UNAVAILABLE


def test_a_slow_issuer_holds_up_nobody_else(tmp_path: Path) -> None:
    """Decisions that wait for it are few; with all slots taken the others are answered at once, and known keys work."""
    with running(tmp_path, server={"deadline": 60.0}, keys={"timeout": 60.0}) as server:
        server.keys.gate.clear()
        raw_token = ROTATED.mint(now=time.time())
        crowd = [server.asker.ask_soon(_question(raw_token)) for _ in range(12)]
        assert outcome_of(server.ask(server.mint())) == ALLOWED  # Who asks would not wait as long as the issuer takes.
        seconds_of_patience(lambda: "evidence_unavailable" in {record["reason"] for record in server.records()})
        server.keys.publish(server.maker.jwks(ROTATED))
        server.keys.gate.set()
        outcomes = {outcome_of(call()) for call in crowd}
    assert UNAVAILABLE in outcomes
    assert outcomes <= {UNAVAILABLE, ALLOWED}


def test_a_recovered_issuer_is_believed_again(tmp_path: Path) -> None:
    """Without restart."""
    with running(tmp_path) as server:
        server.keys.status = 500
        assert ask_with(server, ROTATED) == UNAVAILABLE
        server.keys.status = 200
        server.keys.publish(server.maker.jwks(ROTATED))
        seconds_of_patience(lambda: ask_with(server, ROTATED) == ALLOWED)


def test_a_key_of_another_issuer_does_not_count(tmp_path: Path) -> None:
    """The same name under another issuer is another key."""
    impostor = replace(TokenMaker(issuer="https://impostor.example"), kid="k1")
    token = impostor.mint(now=time.time(), iss=TokenMaker().issuer)
    with running(tmp_path) as server:
        assert outcome_of(server.ask(token)) == (401, "signature_invalid")


def _question(token: str) -> bytes:
    return check_request(path="/things/7", headers={"authorization": f"Bearer {token}"})
