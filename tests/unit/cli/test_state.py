"""`extauthz state`: backups that overwrite nothing, and a look that finds what is wrong and changes nothing."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from extauthz.cli.state import state_app
from extauthz.clock import Instant, SystemClock
from extauthz.model.state import StateName
from extauthz.state import schema, store
from extauthz.state.apikeys import insert_api_key
from extauthz.state.beat import write_beat
from extauthz.state.facts import put_fact
from extauthz.state.restrictions import lift
from tests.simulators.apikeys import make_key
from tests.simulators.barestate import HOUR, BareState, restriction
from tests.simulators.tokens import NOW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUNNER = CliRunner()


class Command:
    """The command line with settings and a state file that is in use.

    Attributes:
        state: the file.
        config: the settings.
    """

    def __init__(self, folder: Path) -> None:
        self.state = BareState(folder / "state.db")
        self.config = folder / "settings.yaml"
        self.config.write_text("policy: [p.yaml]\nstate: {path: state.db}\n")

    def run(self, *arguments: str) -> Result:
        """Run `extauthz state`."""
        return RUNNER.invoke(state_app, [*arguments, "--config", str(self.config)], env={"COLUMNS": "300"})

    def check(self, code: int = 0) -> dict[str, Any]:
        """Return what a look finds."""
        done = self.run("check", "--json")
        assert done.exit_code == code, done.output
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    """Yield a command line with a state in which something of each sort is sealed."""
    command = Command(tmp_path)
    state = command.state
    state.apply(restriction(), lift(restriction(), Instant(NOW + 1), Instant(NOW + HOUR)), restriction(source="x"))
    with state.writing() as (connection, seal):
        insert_api_key(connection, make_key(1)[1], seal)
        insert_api_key(connection, make_key(2)[1], seal)
        put_fact(connection, StateName("familiar", "a b"), {"known": True}, None, seal, "test")
    yield command
    state.writer.close()


def test_a_backup_is_written_once_and_says_what_is_not_in_it(command: Command, tmp_path: Path) -> None:
    """While the file is in use."""
    target = tmp_path / "backup.db"
    done = command.run("backup", str(target))
    assert done.exit_code == 0
    assert done.stdout == ""
    assert "state.db.key, which is not in it: keep that in another place" in done.stderr
    with closing(sqlite3.connect(target)) as copy:
        assert copy.execute("SELECT count(*) FROM restrictions").fetchone() == (2,)
    before = target.read_bytes()
    again = command.run("backup", str(target))
    assert again.exit_code == 2
    assert "File exists; a backup is written to a new file" in again.stderr
    assert target.read_bytes() == before


def test_a_look_says_what_is_there(command: Command) -> None:
    """For people and for programs; nothing is changed by it."""
    found = command.check()
    assert found["rows"]["restrictions"] == 2
    assert found["rows"]["api_keys"] == 2
    assert found["numbers"]["restriction"] == 3
    assert found["sealed"] == {
        "API keys": {"ours": 2, "forged": 0},
        "lifted restrictions": {"ours": 1, "forged": 0},
        "facts": {"ours": 1, "forged": 0},
    }
    assert (found["schema"], found["newest_schema"]) == (len(schema.MIGRATIONS),) * 2
    assert (found["faults"], found["wrong"], found["right_key"], found["copy"]) == ([], [], True, False)
    assert found["beat_age"] is None
    assert len(found["incarnation"]) == 32
    with command.state.writing() as (connection, _):
        write_beat(connection, Instant(SystemClock().now() - 5), 1.0)
    text = command.run("check").stdout
    assert "lifted restrictions: 1 sealed by us, 0 not" in text
    assert "         2 restrictions" in text
    assert "heart-beat 5." in text
    assert command.check()["incarnation"] == found["incarnation"]


def test_forged_records_are_counted_and_named(command: Command) -> None:
    """And make it fail: somebody has written who should not."""
    state = command.state
    state.forge("api_keys", "subject = 'root' WHERE key_id = ?", make_key(2)[1].key_id)
    state.forge("restrictions", "in_force = 0, lift_until = 9e12 WHERE source = 'x'")
    state.forge("facts", "mac = NULL")
    found = command.check(code=1)
    assert [sealed["forged"] for sealed in found["sealed"].values()] == [1, 1, 1]
    assert found["wrong"][0].startswith("1 API keys were not written by us, and do not count; find out who")
    done = command.run("check")
    assert done.exit_code == 1
    assert "API keys: 1 sealed by us, 1 not" in done.stdout
    assert "1 facts were not written by us" in done.stderr


def test_another_key_is_said(command: Command) -> None:
    """Nothing is counted as forged for that."""
    command.state.path.with_name("state.db.key").write_text("00" * 32)
    found = command.check(code=1)
    assert (found["right_key"], found["sealed"]) == (False, {})
    assert "restore that one" in found["wrong"][0]


def test_a_damaged_file_is_said_to_be_damaged(command: Command) -> None:
    """In SQLite's words."""
    state = command.state
    state.apply(*(restriction(reason=str(n) * 99, source=f"stream s{n}") for n in range(200)))
    ((root,),) = state.query("SELECT rootpage FROM sqlite_schema WHERE name = 'restrictions_identity'")
    state.writer.close()
    with state.path.open("r+b") as raw:
        raw.seek(root * 4096 - 900)
        raw.write(b"\xff" * 900)
    done = command.run("check")
    assert done.exit_code == 1, done.output
    assert "damaged: " in done.stderr
    assert "restore a backup" in done.stderr


def test_an_older_file_and_a_backup_are_what_they_are(command: Command, tmp_path: Path) -> None:
    """Nothing is brought up by looking."""
    command.run("backup", str(tmp_path / "backup.db"))
    command.config.write_text(f"policy: [p.yaml]\nstate: {{path: backup.db, key_file: {command.state.path}.key}}\n")
    assert "a backup: the next start begins anew with it" in command.run("check").stdout
    (old := tmp_path / "old.db").touch(0o600)
    with closing(store.connect(old, wait=1)) as connection:
        for statement in schema.MIGRATIONS[0]:
            connection.execute(statement)
        connection.execute("PRAGMA user_version=1")
        connection.execute(f"PRAGMA application_id={schema.APPLICATION_ID}")
    command.config.write_text(f"policy: [p.yaml]\nstate: {{path: old.db, key_file: {command.state.path}.key}}\n")
    found = command.check()
    assert (found["schema"], found["right_key"], found["sealed"]) == (1, None, {})
    assert f"schema 1, ours is {len(schema.MIGRATIONS)}: a start brings it up" in command.run("check").stdout


@pytest.mark.parametrize("arguments", [("check",), ("backup", "x.db")])
@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ("", "set `state: {path: FILE}`"),
        ("state: {memory: true}", "set `state: {path: FILE}`"),
        ("state: {path: nowhere.db}", "No such file or directory"),
        ("state: {path: settings.yaml}", "it is no state file"),
    ],
)
def test_without_a_state_file_there_is_nothing_to_do(
    command: Command, settings: str, complaint: str, arguments: tuple[str, ...]
) -> None:
    """With the fix, and nothing is made."""
    command.config.write_text(f"policy: [p.yaml]\n{settings}\n")
    done = command.run(*arguments)
    assert done.exit_code == 2
    assert complaint in done.stderr
    assert not command.config.with_name("nowhere.db").exists()
