"""`extauthz serve` as a process: start, signals, drain, exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from extauthz.server.probe import find_health
from tests.integration.running import BROKEN, POLICY, seconds_of_patience, settings
from tests.simulators.envoy_messages import check_request
from tests.simulators.grpc_client import client, outcome_of
from tests.simulators.keyhost import KeyHost
from tests.simulators.tokens import TokenMaker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PING = check_request(path="/ping")
ALLOWED = (200, "allowed")
SECONDS = 60.0
LONG_NOTICE = (
    "from extauthz.server import app; app.NOTICE_SECONDS = 6.0; from extauthz.cli.main import app as cli; cli()"
)
"""The command line, in a program that says for longer than the product's second that it will not serve any more."""


@dataclass
class Process:
    """A started `extauthz serve`."""

    child: subprocess.Popen[str]
    log: Path

    @property
    def printed(self) -> str:
        """Return standard error so far."""
        return self.log.read_text()

    def address(self) -> str:
        """Return the bound address once the banner tells it."""
        seconds_of_patience(lambda: "  metrics " in self.printed or self.child.poll() is not None, SECONDS)
        found = re.search(r"listening +(\S+) ", self.printed)
        assert found, self.printed
        return found[1]


@contextmanager
def serve(
    folder: Path,
    keys_url: str = "http://127.0.0.1:1/",
    *,
    program: tuple[str, str] = ("-m", "extauthz"),
    **changes: Any,
) -> Iterator[Process]:
    """Yield a process; it is ended if the test has not done so."""
    (folder / "settings.yaml").write_text(json.dumps(settings(folder, keys_url, **changes)))
    command = [sys.executable, *program, "serve", "--config", str(folder / "settings.yaml")]
    with (log := folder / "stderr").open("w") as stderr:
        child = subprocess.Popen(command, stderr=stderr, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    try:
        yield Process(child, log)
    finally:
        if child.poll() is None:
            child.kill()
        child.wait(SECONDS)


def question_of(maker: TokenMaker) -> bytes:
    """Return a question with a token that is good now."""
    return check_request(path="/things/7", headers={"authorization": f"Bearer {maker.mint(now=time.time())}"})


def test_sigterm_lets_a_decision_under_way_end_and_writes_its_record(tmp_path: Path) -> None:
    """The question waits for a slow issuer; the stop waits for the question; nobody sees an RPC error."""
    maker, host = TokenMaker(), KeyHost(TokenMaker().jwks())
    (tmp_path / "policy.yaml").write_text(POLICY)
    server = {"deadline": 60, "drain": 60}
    with serve(tmp_path, host.url, server=server, keys={"timeout": 60}) as process, client(process.address()) as asker:
        rotated = TokenMaker(kid="k2")
        seconds_of_patience(lambda: outcome_of(asker.ask(question_of(maker))) == ALLOWED)  # The first fetch is over.
        while host.asked.acquire(blocking=False):
            pass
        host.gate.clear()
        under_way = asker.ask_soon(question_of(rotated))
        assert host.asked.acquire(timeout=SECONDS)
        process.child.send_signal(signal.SIGTERM)
        seconds_of_patience(lambda: "stopping" in process.printed)
        host.publish(maker.jwks(rotated))
        host.gate.set()
        answer = under_way()
        assert outcome_of(answer) == ALLOWED
        assert process.child.wait(SECONDS) == 0
    decision_id = answer.dynamic_metadata.fields["decision_id"].string_value
    assert decision_id in (tmp_path / "records.jsonl").read_text()
    host.stop()


def test_after_sigterm_health_says_so_before_calls_are_refused(tmp_path: Path) -> None:
    """Balancers get a moment in which questions are still answered."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    program = ("-c", LONG_NOTICE)
    with serve(tmp_path, program=program, server={"drain": 24}) as process, client(process.address()) as asker:
        assert find_health(process.address(), SECONDS) == "SERVING"
        process.child.send_signal(signal.SIGTERM)
        seconds_of_patience(lambda: find_health(process.address(), SECONDS) == "NOT_SERVING")
        assert outcome_of(asker.ask(PING)) == ALLOWED
        assert process.child.wait(SECONDS) == 0
        with pytest.raises(grpc.RpcError):
            asker.ask(PING, seconds=1)


def test_sighup_looks_at_policy_at_once(tmp_path: Path) -> None:
    """Also where the interval is off; a broken policy is kept out with its place."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    with serve(tmp_path, policy_reload=0) as process, client(process.address()) as asker:
        assert outcome_of(asker.ask(PING)) == ALLOWED
        (tmp_path / "policy.yaml").write_text(BROKEN)
        process.child.send_signal(signal.SIGHUP)
        seconds_of_patience(lambda: "policy.yaml:3:" in process.printed)
        assert outcome_of(asker.ask(PING)) == ALLOWED
        (tmp_path / "policy.yaml").write_text(POLICY.replace("/ping", "/pong"))
        process.child.send_signal(signal.SIGHUP)
        seconds_of_patience(lambda: outcome_of(asker.ask(PING)) == (403, "no_resource"))
        process.child.send_signal(signal.SIGINT)
        assert process.child.wait(SECONDS) == 0


def test_a_broken_policy_does_not_keep_the_server_from_answering(tmp_path: Path) -> None:
    """No answer would be an error, and errors may let through; its health says that it does not serve."""
    (tmp_path / "policy.yaml").write_text(BROKEN)
    with serve(tmp_path) as process, client(process.address()) as asker:
        assert outcome_of(asker.ask(PING)) == (503, "evaluation_failed")
        assert find_health(process.address(), SECONDS) == "NOT_SERVING"
        seconds_of_patience(lambda: "NONE: everything is denied" in process.printed)
        process.child.terminate()
        assert process.child.wait(SECONDS) == 0


def test_weakening_switches_are_loud(tmp_path: Path) -> None:
    """In the banner, each with what it gives away."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    with serve(tmp_path, insecure={"unauthenticated_proxies": True}, records={"overflow": "drop"}) as process:
        process.address()
        seconds_of_patience(lambda: process.printed.count("WEAKENED") == 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"listeners": [{"address": "0.0.0.0:0"}]}, "plaintext on an address others reach"),
        ({"surprise": {}}, "unknown key `surprise`"),
    ],
)
def test_settings_that_cannot_be_served_end_with_code_2(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    """One line that says what to do, no traceback."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    with serve(tmp_path, **changes) as process:
        assert process.child.wait(SECONDS) == 2
        (line,) = process.printed.splitlines()
    assert message in line
