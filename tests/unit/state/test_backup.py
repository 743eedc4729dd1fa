"""Backups: whole, private, never over something else; and a copy begins anew before anybody decides by it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from stat import S_IMODE
from typing import TYPE_CHECKING

import pytest

from extauthz.clock import Instant
from extauthz.errors import StateError
from extauthz.model.state import StateName
from extauthz.state import backup
from extauthz.state.apikeys import insert_api_key, read_api_keys
from extauthz.state.backup import back_up, begin_anew, find_faults, is_copy
from extauthz.state.beat import read_beat, write_beat
from extauthz.state.changes import read_changed, read_numbers
from extauthz.state.facts import find_fact, put_fact
from extauthz.state.follower import Follower, Seen
from extauthz.state.restrictions import lift
from extauthz.state.seal import open_seal
from extauthz.state.store import connect, open_store
from extauthz.state.transaction import to_query
from tests.simulators.apikeys import make_key
from tests.simulators.barestate import BOB, HOUR, BareState, restriction
from tests.simulators.tokens import NOW

if TYPE_CHECKING:
    from pathlib import Path

_, KEY = make_key(1)
POSTURE = StateName("posture", "device a")


def save(state: BareState) -> Path:
    """Return a backup of a state."""
    target = state.path.with_name("backup.db")
    with closing(connect(state.path, wait=1)) as connection:
        back_up(connection, target)
    return target


def fill(state: BareState) -> None:
    """Put something of each sort of sealed record into a state, and a forged one beside it."""
    state.apply(restriction(), restriction(source="stream x"))
    state.apply(lift(restriction(), Instant(NOW + 1), Instant(NOW + HOUR)))
    with state.writing() as (connection, seal):
        insert_api_key(connection, KEY, seal)
        insert_api_key(connection, make_key(2)[1], seal)
        put_fact(connection, POSTURE, {"compliant": True, "observed_at": NOW}, None, seal, "test")
        put_fact(connection, StateName("posture", "x"), {"compliant": False, "observed_at": NOW}, None, seal, "test")
        write_beat(connection, Instant(NOW), 1.0)
    state.forge("api_keys", "subject = 'root' WHERE key_id <> ?", KEY.key_id)
    state.forge("restrictions", "in_force = 0, lift_until = 9e12 WHERE source = 'stream x'")
    state.forge("facts", """value = '{"compliant": true, "observed_at": 9}' WHERE of = 'x'""")


def test_a_backup_is_whole_and_private(state: BareState) -> None:
    """One file, marked as a copy; the original is not."""
    fill(state)
    target = save(state)
    assert S_IMODE(target.stat().st_mode) == 0o600
    with closing(sqlite3.connect(target)) as copy:
        assert copy.execute("SELECT count(*) FROM restrictions").fetchone() == (2,)
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert is_copy(copy)
    assert sorted(entry.name for entry in state.path.parent.glob("backup*")) == ["backup.db"]
    with closing(connect(state.path, wait=1)) as original:
        assert not is_copy(original)


def test_nothing_is_written_over(state: BareState) -> None:
    """Neither a file nor what a link leads to."""
    (target := state.path.with_name("backup.db")).write_text("precious")
    with pytest.raises(StateError, match="File exists; a backup is written to a new file"):
        save(state)
    assert target.read_text() == "precious"
    target.unlink()
    target.symlink_to(state.path.with_name("elsewhere.db"))
    with pytest.raises(StateError, match="File exists"):
        save(state)


def test_what_fails_leaves_nothing_behind(state: BareState, monkeypatch: pytest.MonkeyPatch) -> None:
    """A half copy could be taken for a whole one."""
    monkeypatch.setattr(backup, "COPY_ID", "nothing that SQLite understands")
    with pytest.raises(sqlite3.OperationalError):
        save(state)
    assert list(state.path.parent.glob("backup*")) == []


def test_a_damaged_copy_is_said_to_be_damaged(state: BareState) -> None:
    """A backup that is found out only when it is needed is none."""
    state.apply(*(restriction(reason=str(n) * 99, source=f"stream s{n}") for n in range(200)))
    with closing(connect(state.path, wait=1)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ((root,),) = state.query("SELECT rootpage FROM sqlite_schema WHERE name = 'restrictions_identity'")
    state.writer.close()
    with state.path.open("r+b") as raw:
        raw.seek(root * 4096 - 900)
        raw.write(b"\xff" * 900)
    with closing(sqlite3.connect(state.path)) as connection:
        target = state.path.with_name("backup.db")
        with pytest.raises(StateError, match="the copy is damaged"):
            back_up(connection, target)
    assert not target.exists()


def test_what_cannot_be_looked_over_is_not_called_damaged(state: BareState) -> None:
    """It is locked: that says nothing about it."""
    target = save(state)
    with closing(sqlite3.connect(target, timeout=0)) as locked, closing(sqlite3.connect(target)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError):
            find_faults(locked)


def test_a_restored_backup_begins_anew(state: BareState) -> None:
    """Another incarnation; what was ours is ours, what was forged stays forged; numbers go on far beyond."""
    fill(state)
    old, before = state.seal, read_numbers(state.query)
    target = save(state)
    state.apply(restriction(source="stream late"))
    state.writer.close()
    target.replace(state.path)
    restored = BareState(state.path)
    assert restored.seal.seal("x") != old.seal("x")
    assert read_beat(restored.query) is None
    assert [row.source for row in restored.find(BOB)] == ["stream x"]
    assert len(restored.alarms) == 1
    keys = read_api_keys(restored.query, 0, restored.seal, on_alarm=restored.alarms.append).keys
    assert list(keys.values()).count(None) == 1
    assert keys[KEY.key_id] == KEY

    def posture(of: str) -> object:
        name = StateName("posture", of)
        return find_fact(restored.query, name, restored.seal, Instant(NOW), on_alarm=restored.alarms.append)

    assert posture("device a") is not None
    assert posture("x") is None
    assert restored.apply(restriction(source="stream new")).number > before["restriction"] + 1_000_000
    everything_anew = read_changed(restored.query, "fact", "SELECT 'x' WHERE ? < ?", before["fact"], 9)
    assert everything_anew.names is None
    incarnation = restored.seal.seal("x")
    open_store(state.path)
    assert restored.seal.seal("x") == incarnation
    restored.writer.close()


def test_nobody_decides_by_a_backup_before_it_began_anew(state: BareState) -> None:
    """Also when it is put in place under a running server: that has to be started again."""
    state.apply(restriction())
    target = save(state)
    follower = Follower(state.path)
    follower.look()
    for side in ("-wal", "-shm"):
        state.path.with_name(state.path.name + side).unlink()
    target.replace(state.path)
    with pytest.raises(StateError, match="replaced by a backup; restart"):
        follower.look()
    open_store(state.path)
    assert follower.look() is Seen.REPLACED
    follower.close()


def test_a_backup_is_not_mixed_with_the_log_of_another_file(state: BareState) -> None:
    """SQLite would apply what was logged to the file that was there before."""
    target = save(state)
    state.apply(restriction())  # is in the log now, and the writer is still there
    target.replace(state.path)
    with pytest.raises(StateError, match=r"state.db-wal: it belongs to the file that was here before"):
        open_store(state.path)
    for side in ("-wal", "-shm"):
        state.path.with_name(state.path.name + side).unlink()
    open_store(state.path)
    assert state.find(BOB) == ()


def test_beginning_anew_twice_is_beginning_once(state: BareState) -> None:
    """Several processes open a copy at once."""
    with closing(connect(save(state), wait=1)) as connection:
        begin_anew(connection, state.key)
        first = open_seal(to_query(connection), state.key).seal("x")
        begin_anew(connection, state.key)
        assert open_seal(to_query(connection), state.key).seal("x") == first


def test_looking_at_a_file_leaves_the_locks_of_others_alone(state: BareState) -> None:
    """Whoever closes a descriptor of its own of a file gives up all locks of its process on it.

    Then another process that closes its last connection would take the log away from under ours.
    """
    state.apply(restriction())
    log = state.path.with_name("state.db-wal")
    number = log.stat().st_ino
    connect(state.path, wait=1).close()
    open_store(state.path)
    other = "import sys; from pathlib import Path; from extauthz.state.store import open_store; "
    subprocess.run([sys.executable, "-c", other + "open_store(Path(sys.argv[1]))", state.path], check=True, timeout=60)
    assert log.stat().st_ino == number
    follower = Follower(state.path)
    follower.look()
    state.apply(restriction(source="stream x"))
    assert follower.look() is Seen.CHANGED
    follower.close()
