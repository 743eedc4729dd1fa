"""Opening the state file: made private, recognised, brought up, or refused with the fix."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from stat import S_IMODE
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from extauthz.errors import StateError
from extauthz.state import schema, store
from extauthz.state.apikeys import list_api_keys
from extauthz.state.held import HeldConnection
from extauthz.state.seal import open_seal
from extauthz.state.store import connect, open_store
from extauthz.state.transaction import to_query, transaction
from tests.simulators.barestate import memory_state

if TYPE_CHECKING:
    from pathlib import Path


def incarnation_of(path: Path) -> bytes:
    """Return what tells this file from all others."""
    with closing(connect(path, wait=1)) as connection:
        (found,) = connection.execute("SELECT value FROM meta WHERE name = 'incarnation'").fetchone()
        return bytes(found)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return an open state file, in a folder whose name would mean something in a URI."""
    folder = tmp_path / "a b?#%41"
    folder.mkdir()
    open_store(folder / "state.db")
    return folder / "state.db"


def test_a_new_file_is_private_and_ours(file: Path) -> None:
    """Nobody but the owner reads it, nor what SQLite puts beside it; it is durable and of the newest schema."""
    with closing(connect(file, wait=1)) as connection:
        connection.execute("UPDATE changes SET number = 1")
        values = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
        assert values == ["wal", 2]
        assert connection.execute("PRAGMA user_version").fetchone()[0] == len(schema.MIGRATIONS)
        modes = {entry.name: S_IMODE(entry.stat().st_mode) for entry in file.parent.iterdir()}
        assert modes == dict.fromkeys(("state.db", "state.db-wal", "state.db-shm", "state.db.key"), 0o600)


def test_opening_again_changes_nothing(file: Path) -> None:
    """The incarnation is drawn once for each file."""
    before = incarnation_of(file)
    open_store(file)
    assert incarnation_of(file) == before
    open_store(file.with_name("other.db"))
    assert incarnation_of(file.with_name("other.db")) != before


def test_many_open_a_new_file_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One makes the tables, the others find them."""
    monkeypatch.setattr(store, "OPENING_SECONDS", 60.0)  # However long the disk takes for each of them.
    path, failures = tmp_path / "state.db", []

    def open_it() -> None:
        try:
            open_store(path)
        except StateError as error:
            failures.append(error)

    threads = [Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o666, 0o607])
def test_a_file_that_everybody_may_open_is_refused(file: Path, mode: int) -> None:
    """A group may share it (containers do), others never."""
    file.chmod(mode)
    with pytest.raises(StateError, match="chmod o= "):
        open_store(file)
    file.chmod(0o660)
    open_store(file)


def test_a_newer_schema_is_refused_untouched(file: Path) -> None:
    """We cannot know what it means."""
    with closing(connect(file, wait=1)) as connection:
        connection.execute("PRAGMA user_version=99")
    with pytest.raises(StateError, match="newer version"):
        open_store(file)
    with closing(connect(file, wait=1)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (99,)


def test_an_older_schema_is_brought_up(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the steps that it lacks, each once; what was there stays."""
    before = incarnation_of(file)
    monkeypatch.setattr(store, "MIGRATIONS", (*schema.MIGRATIONS, ("CREATE TABLE later (x)",)))
    for _ in range(2):
        open_store(file)
    with closing(connect(file, wait=1)) as connection:
        assert connection.execute("SELECT count(*) FROM later").fetchone() == (0,)
    assert incarnation_of(file) == before


def test_a_step_that_fails_leaves_everything_as_it_was(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a schema would be none."""
    monkeypatch.setattr(store, "MIGRATIONS", (*schema.MIGRATIONS, ("CREATE TABLE later (x)", "CREATE TABLE later (y)")))
    with pytest.raises(StateError, match="cannot be used"):
        open_store(file)
    monkeypatch.undo()
    open_store(file)
    with closing(connect(file, wait=1)) as connection, pytest.raises(sqlite3.OperationalError, match="no such table"):
        connection.execute("SELECT * FROM later")


def test_keys_of_an_unsealed_file_are_sealed_when_it_is_brought_up(tmp_path: Path) -> None:
    """As they are, in the same transaction; afterwards nothing that is not sealed counts."""
    path = tmp_path / "state.db"
    path.touch(0o600)
    with closing(connect(path, wait=1)) as connection:
        for statement in schema.MIGRATIONS[0]:
            connection.execute(statement)
        connection.execute("PRAGMA user_version=1")
        connection.execute(f"PRAGMA application_id={schema.APPLICATION_ID}")
        connection.execute(
            "INSERT INTO api_keys VALUES"
            " ('old', x'00', x'00', 'ann', 'service', '', '[]', '[]', '[]', 1.0, 2.0, NULL, NULL, NULL, 1)"
        )
    key = open_store(path)
    with closing(connect(path, wait=1)) as connection:
        assert [stored.sealed for stored in list_api_keys(connection, open_seal(to_query(connection), key))] == [True]
        connection.execute("UPDATE api_keys SET mac = NULL")
    assert open_store(path) == key
    with closing(connect(path, wait=1)) as connection:
        assert [stored.sealed for stored in list_api_keys(connection, open_seal(to_query(connection), key))] == [False]


def test_a_sealed_file_is_of_use_with_its_key_only(file: Path) -> None:
    """Another one is refused, and none is made when it is missing: both would only look like forgeries."""
    key_file = file.with_name("state.db.key")
    key = key_file.read_text()
    key_file.write_text("00" * 32)
    with pytest.raises(StateError, match=r"state.db.key: it is not the key that the records of .* are sealed with"):
        open_store(file)
    key_file.unlink()
    with pytest.raises(StateError, match=r"state.db.key: No such file or directory; it holds the key"):
        open_store(file)
    (elsewhere := file.with_name("elsewhere")).write_text(key)
    elsewhere.chmod(0o600)
    assert open_store(file, elsewhere).hex() == key.strip()
    assert not key_file.exists()
    with closing(connect(file, wait=1)) as connection:
        connection.execute("DELETE FROM meta WHERE name = 'seal'")
    with pytest.raises(StateError, match="it is not the key"):
        open_store(file, elsewhere)


def test_another_programs_database_is_not_touched(tmp_path: Path) -> None:
    """By its id, or because there are tables and no id."""
    for number, statement in enumerate(("PRAGMA application_id=7", "CREATE TABLE theirs (x)")):
        path = tmp_path / f"{number}.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(statement)
        path.chmod(0o600)
        before = path.read_bytes()
        with pytest.raises(StateError, match="another program's database"):
            open_store(path)
        assert path.read_bytes() == before


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    """Text, a folder, a place that is not there."""
    (text := tmp_path / "text").write_text("not a database at all, but longer than a header of one hundred bytes" * 9)
    text.chmod(0o600)
    with pytest.raises(StateError, match="no state file; name another path"):
        open_store(text)
    (folder := tmp_path / "folder").mkdir(0o700)
    with pytest.raises(StateError, match="cannot be opened; check path and rights"):
        open_store(folder)
    with pytest.raises(StateError, match="No such file or directory; check path and rights"):
        open_store(tmp_path / "nowhere" / "state.db")


def test_a_damaged_file_is_said_to_be_damaged(file: Path) -> None:
    """With the fix: there is nothing to mend in it."""
    with closing(connect(file, wait=1)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with file.open("r+b") as raw:
        raw.seek(100)
        raw.write(os.urandom(3000))
    with pytest.raises(StateError, match="it is damaged; restore a backup"):
        open_store(file)


def test_a_locked_file_is_said_to_be_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a bounded time; another program keeps us from bringing the schema up."""
    monkeypatch.setattr(store, "OPENING_SECONDS", 0.05)
    path = tmp_path / "state.db"
    path.touch(0o600)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StateError, match="another program holds it locked"):
            open_store(path)
        other.execute("ROLLBACK")
    open_store(path)


def test_a_file_system_that_cannot_hold_the_log_is_refused(file: Path) -> None:
    """SQLite answers with the mode that it could have; in memory, for example, there is no log."""
    with memory_state() as connection, pytest.raises(StateError, match="its file system cannot hold it; put it on a"):
        store._use_log(file, connection)


def test_a_transaction_is_all_or_nothing() -> None:
    """Whatever ends it; the connection can be used further."""
    with memory_state() as connection:
        with suppress(KeyError), transaction(connection):
            connection.execute("UPDATE changes SET number = 7")
            raise KeyError
        assert connection.execute("SELECT max(number) FROM changes").fetchone() == (0,)
        with transaction(connection):
            connection.execute("UPDATE changes SET number = 7")
        assert connection.execute("SELECT max(number) FROM changes").fetchone() == (7,)


def test_a_held_connection_is_the_same_until_the_file_is_another(file: Path) -> None:
    """One that took its place is opened anew; one that is gone or of an older schema is an error."""
    held = HeldConnection(file, wait=1)
    first, fresh = held.get()
    assert fresh
    assert held.get() == (first, False)
    open_store(other := file.with_name("other.db"))
    other.replace(file)
    second, fresh = held.get()
    assert fresh
    assert second is not first
    file.rename(other)
    with pytest.raises(StateError, match="check path and rights"):
        held.get()
    other.rename(file)
    assert held.get() == (second, False)
    file.unlink()
    file.touch(0o600)
    with pytest.raises(StateError, match="of an older version; restart"):
        held.get()
    held.drop()
