"""A follower sees every change at once, whoever made it, and every other file in the place of its own."""

from __future__ import annotations

import shutil
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from extauthz.errors import StateError
from extauthz.state.follower import Follower, Seen
from extauthz.state.store import connect, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHANGE = "UPDATE changes SET number = number + 1"
READ = "SELECT number FROM changes WHERE kind IN ('api_key', 'x', 'y', 'z')"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a state file."""
    open_store(tmp_path / "state.db")
    return tmp_path / "state.db"


@pytest.fixture
def follower(file: Path) -> Iterator[Follower]:
    """Yield a follower that has looked once."""
    follower = Follower(file)
    assert follower.look() is Seen.REPLACED
    yield follower
    follower.close()


def test_each_change_is_seen_once(file: Path, follower: Follower) -> None:
    """And what is read afterwards holds it."""
    with closing(connect(file, wait=1)) as writer:
        for number in range(1, 200):
            assert follower.look() is Seen.SAME
            writer.execute(CHANGE)
            assert follower.look() is Seen.CHANGED
            assert follower.read(READ, ()) == [(number,)]


def test_reading_does_not_freeze_it(file: Path, follower: Follower) -> None:
    """A half-read statement would: every one is read to its end."""
    with closing(connect(file, wait=1)) as writer:
        writer.execute("INSERT INTO changes VALUES ('x', 1), ('y', 2), ('z', 3)")
        assert follower.look() is Seen.CHANGED
        assert len(follower.read(READ, ())) == 4
        writer.execute(CHANGE)
        assert follower.look() is Seen.CHANGED


def test_a_half_read_statement_on_the_same_connection_would_freeze_it(file: Path, follower: Follower) -> None:
    """The negative control."""
    assert follower._connection is not None
    with closing(connect(file, wait=1)) as writer:
        writer.execute("INSERT INTO changes VALUES ('x', 1), ('y', 2), ('z', 3)")
        follower.look()
        half_read = follower._connection.execute(READ)
        half_read.fetchone()
        writer.execute(CHANGE)
        assert follower.look() is Seen.SAME
        half_read.close()
        assert follower.look() is Seen.CHANGED


def test_an_open_transaction_on_the_same_connection_would_freeze_it(file: Path, follower: Follower) -> None:
    """Another reason why nothing else uses it; one on another connection does no harm."""
    assert follower._connection is not None
    with closing(connect(file, wait=1)) as writer, closing(connect(file, wait=1)) as reader:
        reader.execute("BEGIN")
        reader.execute(READ).fetchall()
        writer.execute(CHANGE)
        assert follower.look() is Seen.CHANGED
        follower._connection.execute("BEGIN")
        follower._connection.execute(READ).fetchall()
        writer.execute(CHANGE)
        assert follower.look() is Seen.SAME
        follower._connection.execute("COMMIT")
        assert follower.look() is Seen.CHANGED


def test_what_is_written_by_the_same_connection_would_not_be_seen(file: Path, follower: Follower) -> None:
    """A third reason: whoever writes has a connection of its own."""
    assert follower._connection is not None
    follower._connection.execute(CHANGE)
    assert follower.look() is Seen.SAME
    with closing(connect(file, wait=1)) as writer:
        writer.execute(CHANGE)
    assert follower.look() is Seen.CHANGED


def test_what_is_not_committed_is_not_seen(file: Path, follower: Follower) -> None:
    """Neither before it is undone nor afterwards."""
    with closing(connect(file, wait=1)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute(CHANGE)
        assert follower.look() is Seen.SAME
        writer.execute("ROLLBACK")
        assert follower.look() is Seen.SAME


def test_a_restored_backup_is_seen(file: Path, follower: Follower) -> None:
    """It is another file, whatever its numbers say."""
    backup = file.with_name("backup.db")
    shutil.copy(file, backup)
    backup.replace(file)
    assert follower.look() is Seen.REPLACED
    assert follower.look() is Seen.SAME


def test_a_file_that_cannot_be_read_is_an_error_and_another_one_afterwards(file: Path, follower: Follower) -> None:
    """Nothing that was read before counts."""
    away = file.rename(file.with_name("away.db"))
    with pytest.raises(StateError):
        follower.look()
    with pytest.raises(StateError):
        follower.look()
    away.rename(file)
    assert follower.look() is Seen.SAME  # It is the very file that was held all the time.
    with pytest.raises(StateError, match="cannot be used"):
        follower.read("SELECT * FROM nowhere", ())
    with pytest.raises(StateError, match="not looked at"):
        follower.read(READ, ())
    assert follower.look() is Seen.REPLACED
