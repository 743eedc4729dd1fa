"""The API keys in memory: as new as the file at every use, closed when it cannot be read, epochs never used twice."""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from extauthz.clock import Instant, SystemClock
from extauthz.errors import Refusal
from extauthz.ledger import Ledger
from extauthz.model.reason import Reason
from extauthz.model.state import StateName
from extauthz.server.apikeys import ApiKeyView
from extauthz.server.epochs import Epochs
from extauthz.state.apikeys import insert_api_key, note_uses, revoke_api_key
from extauthz.state.store import connect, open_store
from extauthz.state.transaction import transaction
from tests.simulators.apikeys import make_key
from tests.simulators.clock import ManualClock
from tests.simulators.tokens import NOW

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

_, ONE = make_key(1)
_, TWO = make_key(2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a state file."""
    open_store(tmp_path / "state.db")
    return tmp_path / "state.db"


@pytest.fixture
def writer(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection of somebody else, after a first key was made."""
    with closing(connect(path, wait=1)) as connection:
        insert_api_key(connection, ONE)
        yield connection


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that stands still."""
    return ManualClock()


@pytest.fixture
def view(path: Path, writer: sqlite3.Connection, clock: ManualClock) -> Iterator[ApiKeyView]:
    """Yield a view that has looked once."""
    del writer
    view = ApiKeyView(path, clock)
    view.look()
    yield view
    view.close()


def is_revoked(view: ApiKeyView, key_id: str) -> bool:
    """Return whether the key is revoked, found as a decision finds it: the epoch first."""
    ledger = Ledger(Epochs({"api_key": view.epoch}))
    ledger.note(StateName("api_key", key_id))
    key = view.find_api_key(key_id)
    assert key is not None
    return key.revoked


def test_a_change_is_there_at_the_next_use(view: ApiKeyView, writer: sqlite3.Connection) -> None:
    """And its epoch is another one, while the epochs of other keys stay."""
    insert_api_key(writer, TWO)
    before = {key.key_id: view.epoch(key.key_id) for key in (ONE, TWO)}
    assert not is_revoked(view, ONE.key_id)
    revoke_api_key(writer, ONE.key_id, NOW)
    assert is_revoked(view, ONE.key_id)
    after = {key.key_id: view.epoch(key.key_id) for key in (ONE, TWO)}
    assert after[ONE.key_id] != before[ONE.key_id]
    assert after[TWO.key_id] == before[TWO.key_id]


def test_a_key_that_was_unknown_gets_an_epoch_when_it_is_made(view: ApiKeyView, writer: sqlite3.Connection) -> None:
    """What was decided while it was unknown ends."""
    before = view.epoch(TWO.key_id)
    assert view.find_api_key(TWO.key_id) is None
    insert_api_key(writer, TWO)
    assert view.epoch(TWO.key_id) != before
    assert view.find_api_key(TWO.key_id) == TWO
    assert view.keys == 2


def test_what_is_no_change_of_a_key_changes_no_epoch(view: ApiKeyView, writer: sqlite3.Connection) -> None:
    """Uses and spends are written all the time."""
    before = view.epoch(ONE.key_id)
    note_uses(writer, {ONE.key_id: NOW})
    writer.execute("INSERT INTO spends VALUES (x'00', 1, 1.0)")
    assert view.epoch(ONE.key_id) == before


def test_what_is_not_committed_is_not_there(view: ApiKeyView, writer: sqlite3.Connection) -> None:
    """Half a change is none."""
    before = view.epoch(ONE.key_id)
    with transaction(writer):
        revoke_api_key(writer, ONE.key_id, NOW)
        assert view.epoch(ONE.key_id) == before
        assert not is_revoked(view, ONE.key_id)
    assert is_revoked(view, ONE.key_id)


def test_a_restored_backup_is_read_whole_under_new_epochs(
    path: Path, view: ApiKeyView, writer: sqlite3.Connection
) -> None:
    """Its numbers are those of the past, and may be used for other changes now."""
    writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(path, backup := path.with_name("backup.db"))
    revoke_api_key(writer, ONE.key_id, NOW)
    assert is_revoked(view, ONE.key_id)
    epochs = {view.epoch(ONE.key_id), view.epoch(TWO.key_id)}
    writer.close()
    backup.replace(path)
    for side in ("-wal", "-shm"):
        path.with_name(path.name + side).unlink(missing_ok=True)
    assert not is_revoked(view, ONE.key_id)
    assert view.epoch(ONE.key_id) not in epochs
    epochs.add(view.epoch(TWO.key_id))
    with closing(connect(path, wait=1)) as other:
        insert_api_key(other, TWO)
    assert view.epoch(TWO.key_id) not in epochs
    assert view.find_api_key(TWO.key_id) == TWO


def test_numbers_that_go_back_are_read_whole(view: ApiKeyView, writer: sqlite3.Connection) -> None:
    """As after a backup was written into the very file."""
    insert_api_key(writer, TWO)
    epochs = {view.epoch(key.key_id) for key in (ONE, TWO)}
    with transaction(writer):
        writer.execute("DELETE FROM api_keys WHERE key_id = ?", (TWO.key_id,))
        writer.execute("UPDATE api_keys SET subject = 'another'")
        writer.execute("UPDATE changes SET number = 1")
    assert {view.epoch(key.key_id) for key in (ONE, TWO)}.isdisjoint(epochs)
    assert view.find_api_key(ONE.key_id) == replace(ONE, subject="another")
    assert view.find_api_key(TWO.key_id) is None


def test_without_the_file_nothing_is_proven_and_no_epoch_holds(
    path: Path, view: ApiKeyView, clock: ManualClock
) -> None:
    """It is our fault, not the caller's; when the file is back, all is read anew."""
    before = view.epoch(ONE.key_id)
    away = path.rename(path.with_name("away.db"))
    epochs = [view.epoch(ONE.key_id) for _ in range(3)]
    assert len({before, *epochs}) == 4
    assert view.failing
    with pytest.raises(Refusal) as refusal:
        view.find_api_key(ONE.key_id)
    assert refusal.value.reason is Reason.EVIDENCE_UNAVAILABLE
    away.rename(path)
    assert view.epoch(ONE.key_id) not in {before, *epochs}
    assert view.failing, "the file is not tried with every decision"
    assert view.keys == 0
    clock.advance(0.1)
    assert view.epoch(ONE.key_id) not in {before, *epochs}
    assert (view.failing, view.keys) == (False, 1)


def test_a_row_that_is_no_key_is_left_out(view: ApiKeyView, writer: sqlite3.Connection) -> None:
    """Also where it was one before."""
    writer.execute("UPDATE api_keys SET kind = 'user', changed = 99")
    writer.execute("UPDATE changes SET number = 99")
    view.look()
    assert view.find_api_key(ONE.key_id) is None


def test_a_thousand_changes_are_seen_each_at_once(view: ApiKeyView, writer: sqlite3.Connection) -> None:
    """None is missed, however fast they come."""
    missed = 0
    for number in range(10, 1010):
        _, key = make_key(number)
        insert_api_key(writer, key)
        revoke_api_key(writer, key.key_id, Instant(NOW))
        missed += not is_revoked(view, key.key_id)
    assert missed == 0


def test_without_looking_a_change_would_be_missed(
    view: ApiKeyView, writer: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control."""
    monkeypatch.setattr(ApiKeyView, "_look", lambda _: None)
    revoke_api_key(writer, ONE.key_id, NOW)
    assert not is_revoked(view, ONE.key_id)


def test_a_look_costs_microseconds(view: ApiKeyView) -> None:
    """So every decision can afford one: a thousand take less than a second on any machine."""
    clock = SystemClock()
    begun = clock.monotonic()
    for _ in range(1000):
        view.epoch(ONE.key_id)
    assert clock.monotonic() - begun < 1
