"""The keeper's connection: transactions one after the other, whole or not at all, and the file as it is now."""

from __future__ import annotations

from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from extauthz.clock import Instant
from extauthz.errors import StateError
from extauthz.state.beat import Beat, read_beat, write_beat
from extauthz.state.follower import Follower, Seen
from extauthz.state.store import open_store
from extauthz.state.writer import StateWriter
from tests.simulators.barestate import BOB, restriction
from tests.simulators.tokens import NOW

if TYPE_CHECKING:
    from tests.simulators.barestate import BareState


def test_a_transaction_is_whole_or_not_at_all(state: BareState) -> None:
    """What it wrote, it can read; a caller's fault undoes it and is raised as it is."""
    with suppress(KeyError), state.writer.transaction() as writing:
        writing.connection.execute("UPDATE changes SET number = 7")
        assert writing.query("SELECT max(number) FROM changes", ()) == [(7,)]
        raise KeyError
    assert state.query("SELECT max(number) FROM changes") == [(0,)]


def test_what_is_wrong_with_the_file_is_said_and_the_next_transaction_opens_it_anew(state: BareState) -> None:
    """With the fix, as everywhere."""
    state.apply(restriction())
    with pytest.raises(StateError, match="cannot be used: OperationalError"), state.writer.transaction() as writing:
        writing.connection.execute("UPDATE nothing SET x = 1")
    away = state.path.rename(state.path.with_name("away.db"))
    with pytest.raises(StateError, match="No such file or directory"), state.writer.transaction():
        pytest.fail("there is nothing to write to")
    away.rename(state.path)
    assert state.apply(restriction()).changed == ()


def test_another_file_has_another_seal(state: BareState) -> None:
    """Nothing is sealed for a file that is gone."""
    state.apply(restriction(in_force=False))
    key_file = state.path.with_name("state.db.key")
    open_store(other := state.path.with_name("other.db"), key_file)
    state.path.with_name("state.db-wal").unlink()
    state.path.with_name("state.db-shm").unlink()
    other.replace(state.path)
    state.apply(restriction(in_force=False))
    assert state.find(BOB) == ()
    assert state.alarms == []


def test_threads_wait_for_one_another(state: BareState) -> None:
    """One connection, one transaction at a time."""
    threads = [Thread(target=lambda: [state.apply(restriction(event_at=NOW + n)) for n in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ((event_at,),) = state.query("SELECT event_at FROM restrictions")
    assert event_at == NOW + 19


def test_a_full_lock_is_said(state: BareState, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a bounded wait."""
    monkeypatch.setattr("extauthz.state.writer.WAIT_SECONDS", 0.01)
    impatient = StateWriter(state.path, state.key)
    with (
        state.writing(),
        pytest.raises(StateError, match="another program holds it locked"),
        impatient.transaction(),
    ):
        pytest.fail("it was locked")
    impatient.close()


def test_the_newest_beat_is_read(state: BareState) -> None:
    """None before the first; and followers see that there was one."""
    assert read_beat(state.query) is None
    follower = Follower(state.path)
    follower.look()
    for boot in (1.5, 2.5):
        with state.writing() as (connection, _):
            write_beat(connection, Instant(NOW), boot)
        assert follower.look() is Seen.CHANGED
        assert read_beat(follower.read) == Beat(NOW, boot)
    follower.close()


def test_rows_that_a_row_refuses_are_an_error(state: BareState) -> None:
    """Types are kept (STRICT): what is no number is not written as one."""
    with pytest.raises(StateError), state.writing() as (connection, _):
        connection.execute("INSERT INTO beat VALUES (1, 'x', 'y')")
