"""What people take away and give back: the commands, the keeper behind its socket, the state file, the receipt."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from extauthz.cli.main import app
from extauthz.clock import Instant, SystemClock
from extauthz.config.load import load_settings
from extauthz.keeper.service import KeeperService
from extauthz.link.listener import LinkListener, make_run_dir
from extauthz.model.receipt import Action
from extauthz.model.restriction import Effect, Form, Mark, Restriction
from extauthz.state.sessions import SessionSeen
from tests.integration.running import PATIENCE
from tests.unit.cli.test_targets import token_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extauthz.keeper.keeper import Keeper

ISSUER = "https://issuer.example"
WHY = ("--reason", "laptop stolen")
MANY = 101
"""Sessions that a program may not end unasked."""


@dataclass
class Shop:
    """A keeper that answers, and the commands that ask it."""

    config: Path
    keeper: Keeper
    actions: Path
    silent: bool = False

    def run(self, *words: str, stdin: str | None = None) -> Result:
        """Return what came of a command."""
        return CliRunner().invoke(app, [*words, "--config", str(self.config)], input=stdin)

    def done(self, *words: str, stdin: str | None = None) -> str:
        """Return what a command printed; it must say that all is well."""
        result = self.run(*words, stdin=stdin)
        assert result.exit_code == 0, result.output
        return result.stdout

    def restrictions(self, *words: str) -> list[dict[str, Any]]:
        """Return what holds against whom."""
        return list(json.loads(self.done("restrictions", "--json", *words)))

    def recorded(self) -> list[dict[str, Any]]:
        """Return the lines about actions."""
        return [json.loads(line) for line in self.actions.read_bytes().splitlines()] if self.actions.exists() else []

    def note(self, subject: str, number: int = 1) -> None:
        """Let sessions of somebody be seen."""
        now = SystemClock().now()
        self.keeper.note_sessions(
            [
                SessionSeen(issuer=ISSUER, session=f"{subject}-{each}", subject=subject, tenant="acme", at=now)
                for each in range(number)
            ]
        )


def write_settings(folder: Path, run_dir: Path = Path("run")) -> Path:
    """Write settings of a server with one issuer and a state, and return their file."""
    (folder / "policy.yaml").write_text("resources: []\n")
    settings = {
        "policy": ["policy.yaml"],
        "issuers": [{"issuer": ISSUER, "keys": {"file": "keys.json"}}],
        "state": {"path": "state.db"},
        "server": {"run_dir": str(run_dir)},
        "records": {"path": "records.jsonl"},
    }
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """Run a keeper with two workers; one of them can be silent."""
    monkeypatch.setattr("extauthz.keeper.receipts.CONFIRM_SECONDS", PATIENCE)
    config = write_settings(tmp_path)

    def newest(_: float) -> int:
        return 2**40

    def moody(timeout: float) -> int:
        if running.silent:
            raise TimeoutError
        return newest(timeout)

    with ExitStack() as undo:
        service = KeeperService(load_settings(config), SystemClock(), confirmers={"0": newest, "1": moody})
        running = Shop(config, service.keeper, tmp_path / "records.jsonl.actions")
        service.start()
        undo.callback(service.stop)
        yield running


def test_a_revocation_is_told_recorded_and_listed(shop: Shop) -> None:
    """The receipt says where it is in force; who and why are in the record; `restrictions` lists it."""
    shop.note("alice")
    told = shop.done("revoke", "subject", "alice", *WHY)
    assert told.startswith(f"revoked subject alice of {ISSUER}\nin force on 2/2 workers after ")
    assert "; 1 live session\n" in told
    assert "a machine stays quarantined until `extauthz release subject alice" in told
    (row,) = shop.restrictions()
    assert row["value"] == "alice"
    assert (row["effect"], row["source"], row["reason"]) == ("revoked", "operator", "laptop stolen")
    (line,) = shop.recorded()
    assert (line["kind"], line["outcome"], line["receipt"]["workers"]) == ("revoke", "in_force", 2)
    assert line["by"]
    shown = shop.done("restrictions")
    assert f"subject alice --issuer {ISSUER}" in shown


def test_programs_get_json(shop: Shop) -> None:
    """One document on standard output, nothing else."""
    document = json.loads(shop.done("quarantine", "client", "billing", *WHY, "--output", "json"))
    assert document["target"] == {"form": "client", "issuer": ISSUER, "value": "billing"}
    assert document["receipt"]["in_force_everywhere"] is True
    assert document["receipt"]["of_workers"] == 2


def test_a_worker_that_does_not_answer_is_told(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is durable, and the exit code says that not everybody has confirmed it."""
    monkeypatch.setattr("extauthz.keeper.receipts.CONFIRM_SECONDS", 5.0)
    shop.silent = True
    result = shop.run("revoke", "session", "s-1", *WHY)
    assert result.exit_code == 3
    assert "in force on 1/2 workers" in result.stdout
    assert "NOT confirmed everywhere" in result.stdout
    assert len(shop.restrictions()) == 1


def test_what_is_released_holds_no_more(shop: Shop) -> None:
    """Also of several effects only one; a second release says that there is nothing."""
    shop.done("quarantine", "workload", "w", *WHY)
    told = shop.done("revoke", "workload", "w", *WHY)
    assert "stays quarantined until `extauthz release workload w" in told
    assert "(1 restriction lifted)" in shop.done("release", "workload", "w", *WHY, "--effect", "quarantined")
    assert [row["effect"] for row in shop.restrictions()] == ["revoked"]
    assert "(1 restriction lifted)" in shop.done("release", "workload", "w", *WHY)
    assert shop.restrictions() == []
    assert "nothing held against workload w" in shop.done("release", "workload", "w", *WHY)
    assert "lifted" in shop.done("restrictions", "--all")
    assert [line["kind"] for line in shop.recorded()][-2:] == ["release", "release"]


def test_a_program_says_that_many_are_meant(shop: Shop) -> None:
    """A tenant, or more sessions than a few, need `--yes`; without it nothing is done."""
    shop.note("alice", MANY)
    for target in (("subject", "alice"), ("tenant", "acme"), ("issuer",), ("everybody",)):
        result = shop.run("revoke", *target, *WHY)
        assert result.exit_code == 2
        assert "--yes" in result.stderr
    assert shop.restrictions() == []
    assert f"; {MANY} live sessions" in shop.done("revoke", "subject", "alice", *WHY, "--yes")
    assert shop.done("quarantine", "tenant", "acme", *WHY, "-y")
    assert "none of that name was seen lately" in shop.run("revoke", "subject", "alcie", *WHY).stderr


def test_a_person_is_asked(shop: Shop) -> None:
    """On a terminal the answer decides, whatever it is about."""
    command = [sys.executable, "-m", "extauthz", "revoke", "session", "s-1", *WHY, "--config", str(shop.config)]
    codes = {}
    for answer in (b"n\n", b"y\n"):
        ours, theirs = pty.openpty()
        os.write(ours, answer)
        codes[answer] = subprocess.run(
            command, stdin=theirs, capture_output=True, timeout=PATIENCE, check=False
        ).returncode
        os.close(ours)
        os.close(theirs)
    assert codes == {b"n\n": 2, b"y\n": 0}
    assert len(shop.restrictions()) == 1


def test_a_token_never_comes_by_the_command_line(shop: Shop) -> None:
    """It is read from standard input, and only its issuer and id go anywhere."""
    token = token_of({"iss": ISSUER, "jti": "j-1"})
    assert shop.run("revoke", "token", token, *WHY).exit_code == 2
    assert shop.run("revoke", "session", "--token-file", "-", *WHY, stdin=token).exit_code == 2
    assert "revoked token j-1" in shop.done("revoke", "token", "--token-file", "-", *WHY, stdin=token)
    assert "token" in json.dumps(shop.restrictions())
    assert token not in shop.actions.read_text()


def test_live_sessions_are_listed(shop: Shop) -> None:
    """By subject and tenant; more than are shown are told."""
    shop.note("alice", 3)
    shop.note("bob")
    rows = json.loads(shop.done("sessions", "--subject", "alice", "--json"))
    assert {row["session"] for row in rows} == {"alice-0", "alice-1", "alice-2"}
    assert "bob-0" in shop.done("sessions")
    assert "2 of 4" in shop.run("sessions", "--limit", "2").stderr
    assert "no live session" in shop.done("sessions", "--subject", "carol")


def test_what_waits_is_admitted_or_dismissed(shop: Shop) -> None:
    """A held event takes effect when a person says so, once; a dismissed one never does."""
    shop.note("alice", 3)
    for number in (1, 2):
        action = Action(id=f"e{number}", source="stream okta", kind="session-revoked", received_at=SystemClock().now())
        restriction = Restriction(
            mark=Mark(Form.SUBJECT, ISSUER, "alice"),
            effect=Effect.REVOKED,
            source="stream okta",
            event_at=action.received_at,
            until=Instant(action.received_at + 3600),
            signal=action.id,
        )
        assert shop.keeper.carry_out(action, [restriction], hold_above=2, subject="subject alice").held
    assert "3 sessions" in shop.done("signals", "held")
    first, second = (row["id"] for row in json.loads(shop.done("signals", "held", "--json")))
    assert shop.restrictions() == []
    assert "in force on 2/2 workers" in shop.done("signals", "admit", first)
    assert len(shop.restrictions()) == 1
    assert f"dismissed {second}" in shop.done("signals", "dismiss", second)
    assert shop.run("signals", "admit", second).exit_code == 1
    assert "nothing waits" in shop.done("signals", "held")


def test_what_arrived_is_shown(shop: Shop) -> None:
    """The newest lines, as text and as JSON."""
    shop.done("revoke", "session", "s-1", *WHY)
    shop.done("quarantine", "client", "billing", *WHY)
    lines = shop.done("signals", "tail").splitlines()
    assert ["revoke" in lines[0], "quarantine" in lines[1]] == [True, True]
    (newest,) = (json.loads(line) for line in shop.done("signals", "tail", "-n", "1", "--json").splitlines())
    assert (newest["kind"], newest["reason"]) == ("quarantine", "laptop stolen")


def test_without_a_keeper_the_message_says_what_to_do(tmp_path: Path) -> None:
    """It names the socket, the setting, and the way without a server; `--offline` is that way."""
    config = write_settings(tmp_path)
    words = ["revoke", "client", "billing", *WHY, "--config", str(config)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    for told in ("admin.sock", "server.run_dir", "--offline"):
        assert told in result.stderr
    offline = CliRunner().invoke(app, [*words, "--offline"])
    assert offline.exit_code == 0, offline.output
    assert "in force from the first decision of the server that is started next" in offline.stdout
    service = KeeperService(load_settings(config), SystemClock(), confirmers={})
    service.start()
    try:
        listed = CliRunner().invoke(app, ["restrictions", "--json", "--config", str(config)])
        assert "billing" in listed.stdout
        refused = CliRunner().invoke(app, [*words, "--offline"])
        assert (refused.exit_code, "leave --offline out" in refused.stderr) == (2, True)
    finally:
        service.stop()


def test_settings_without_a_state_are_told(tmp_path: Path) -> None:
    """There is nothing to revoke in, and the message says what to set."""
    config = tmp_path / "settings.yaml"
    config.write_text("policy: [policy.yaml]\n")
    result = CliRunner().invoke(app, ["revoke", "subject", "alice", *WHY, "--config", str(config)])
    assert (result.exit_code, "state: {path: FILE}" in result.stderr) == (2, True)


def test_what_arrives_is_followed(shop: Shop) -> None:
    """`--follow` prints the next action when it is done, and ends without a fuss."""
    shop.done("revoke", "session", "s-6", *WHY)
    words = ["signals", "tail", "--follow", "--json", "--config", str(shop.config)]
    # Where the tests run in the background, a shell has told them to ignore what a terminal sends.
    command = ["env", "--default-signal=INT", sys.executable, "-m", "extauthz", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        assert "s-6" in json.loads(following.stdout.readline())["subject"]
        shop.done("revoke", "session", "s-7", *WHY)
        assert "s-7" in json.loads(following.stdout.readline())["subject"]
        following.send_signal(signal.SIGINT)
        assert (following.wait(PATIENCE), following.stderr.read() if following.stderr else "") == (0, "")


def test_another_user_s_server_is_told(tmp_path: Path) -> None:
    """The message says as whom to run it."""
    folder = Path("/")  # Root's, which we are not; and if we are, we can give one away.
    if os.geteuid() == 0:
        folder = tmp_path / "run"
        make_run_dir(folder)
        os.chown(folder, 54321, -1)
    config = write_settings(tmp_path, folder)
    result = CliRunner().invoke(app, ["revoke", "session", "s-1", *WHY, "--config", str(config)])
    assert (result.exit_code, "run this as that user" in result.stderr) == (1, True)


def test_an_answer_of_another_version_is_told(tmp_path: Path) -> None:
    """It is no receipt, so nobody is told that anything is in force."""
    config = write_settings(tmp_path)
    make_run_dir(tmp_path / "run")
    listener = LinkListener(tmp_path / "run" / "admin.sock", lambda _: {"sessions": 0, "receipt": {"id": "x"}})
    listener.start()
    try:
        for words in (["revoke", "session", "s-1", *WHY], ["signals", "admit", "e1"]):
            result = CliRunner().invoke(app, [*words, "--config", str(config)])
            assert (result.exit_code, result.stdout) == (1, "")
            assert "of the same version" in result.stderr
    finally:
        listener.stop()


@pytest.mark.parametrize(
    "words",
    [
        ("revoke", "session", "s-1", "--reason", " "),
        ("revoke", "session", "s-1", "--reason", "a\nb"),
        ("revoke", "session", "s-1"),
        ("revoke", "moon", "s-1", *WHY),
        ("release", "session", "s-1", *WHY, "--effect", "nothing"),
        ("restrictions", "--name", "alice"),
    ],
)
def test_wrong_usage(shop: Shop, words: tuple[str, ...]) -> None:
    """Exit code 2, and nothing is done."""
    assert shop.run(*words).exit_code == 2
    assert shop.restrictions() == []


def test_answers_for_programs(shop: Shop) -> None:
    """What is admitted is told as JSON; restrictions are found by target and source."""
    shop.note("alice", 2)
    action = Action(id="e9", source="stream okta", kind="account-disabled", received_at=SystemClock().now())
    mark = Mark(Form.SUBJECT, ISSUER, "alice")
    disabled = Restriction(mark=mark, effect=Effect.DISABLED, source="stream okta", event_at=action.received_at)
    held = shop.keeper.carry_out(action, [disabled], hold_above=1).held
    document = json.loads(shop.done("signals", "admit", held, "--json"))
    assert document["receipt"]["in_force_everywhere"] is True
    assert len(shop.restrictions("--form", "subject", "--name", "alice", "--issuer", ISSUER)) == 1
    assert len(shop.restrictions("--source", "stream okta")) == 1
    assert shop.restrictions("--source", "operator") == []
