"""The table of API keys: what goes in comes out, changes are numbered, rows that are not ours are no keys."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.clock import Instant
from extauthz.errors import StateError
from extauthz.model.identity import Kind
from extauthz.state.apikeys import (
    find_stored_api_key,
    insert_api_key,
    list_api_keys,
    note_uses,
    read_api_keys,
    replace_api_key,
    revoke_api_key,
    seal_api_keys,
)
from extauthz.state.seal import Seal
from extauthz.state.transaction import to_query, transaction
from tests.simulators.apikeys import DAY, make_key
from tests.simulators.barestate import memory_seal, memory_state
from tests.simulators.tokens import NOW

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from extauthz.state.apikeys import Changes

_, ONE = make_key(1, networks=("192.0.2.0/24",))
_, TWO = make_key(2, kind=Kind.AGENT, tenant="", scopes=frozenset(), roles=frozenset())


@pytest.fixture
def table() -> Iterator[sqlite3.Connection]:
    """Yield a state with two keys."""
    with memory_state() as connection:
        with transaction(connection):
            insert_api_key(connection, ONE, memory_seal(connection))
            insert_api_key(connection, TWO, memory_seal(connection))
        yield connection


def changed(table: sqlite3.Connection, since: int, alarms: list[str] | None = None) -> Changes:
    """Return what has changed; alarms are written down."""
    alarms = [] if alarms is None else alarms
    return read_api_keys(to_query(table), since, memory_seal(table), on_alarm=alarms.append)


def test_keys_come_out_as_they_went_in(table: sqlite3.Connection) -> None:
    """Every field."""
    assert [stored.key for stored in list_api_keys(table, memory_seal(table))] == [ONE, TWO]
    assert changed(table, 0).keys == {ONE.key_id: ONE, TWO.key_id: TWO}
    found = find_stored_api_key(table, ONE.key_id, memory_seal(table))
    assert found is not None
    assert (found.key, found.revoked_at, found.replaced_by, found.used_at) == (ONE, None, "", None)
    assert find_stored_api_key(table, "nobody", memory_seal(table)) is None


def test_revoking_is_final_and_keeps_its_first_time(table: sqlite3.Connection) -> None:
    """Only of the one that is named."""
    revoke_api_key(table, ONE.key_id, Instant(NOW), memory_seal(table))
    revoke_api_key(table, ONE.key_id, Instant(NOW + 9), memory_seal(table))
    one, two = list_api_keys(table, memory_seal(table))
    assert (one.key, one.revoked_at) == (replace(ONE, revoked=True), NOW)
    assert (two.key, two.revoked_at) == (TWO, None)


def test_a_replaced_key_goes_on_for_the_overlap_and_never_longer_than_before(table: sqlite3.Connection) -> None:
    """Both keys say so."""
    _, three = make_key(3)
    _, four = make_key(4)
    replace_api_key(table, ONE.key_id, three, Instant(NOW + 60), memory_seal(table))
    replace_api_key(table, TWO.key_id, four, Instant(NOW + 9 * DAY), memory_seal(table))
    stored = {each.key.key_id: each for each in list_api_keys(table, memory_seal(table))}
    assert (stored[ONE.key_id].key.expires_at, stored[ONE.key_id].replaced_by) == (NOW + 60, three.key_id)
    assert (stored[TWO.key_id].key.expires_at, stored[TWO.key_id].replaced_by) == (TWO.expires_at, four.key_id)
    assert stored[three.key_id].key == three


def test_a_revoked_key_can_be_written(table: sqlite3.Connection) -> None:
    """As one that was taken over from elsewhere."""
    _, three = make_key(3, revoked=True)
    insert_api_key(table, three, memory_seal(table))
    found = find_stored_api_key(table, three.key_id, memory_seal(table))
    assert found is not None
    assert found.key.revoked


def test_changes_are_read_from_where_one_stood(table: sqlite3.Connection) -> None:
    """Nothing when nothing has changed, all when the file went back in time; uses do not count."""
    number = changed(table, 0).number
    assert changed(table, number).keys == {}
    revoke_api_key(table, TWO.key_id, NOW, memory_seal(table))
    note_uses(table, {ONE.key_id: NOW})
    later = changed(table, number)
    assert later.number > number
    assert later.keys == {TWO.key_id: replace(TWO, revoked=True)}
    assert set(changed(table, later.number + 5).keys) == {ONE.key_id, TWO.key_id}


def test_the_newest_use_stays(table: sqlite3.Connection) -> None:
    """Several servers write, in any order; a key that is not there is no fault."""
    for at in (NOW, NOW + 60, NOW + 30):
        note_uses(table, {ONE.key_id: Instant(at), "nobody": Instant(at)})
    assert [stored.used_at for stored in list_api_keys(table, memory_seal(table))] == [NOW + 60, None]


@pytest.mark.parametrize(
    ("column", "value"),
    [("kind", "user"), ("kind", "anonymous"), ("kind", "x"), ("scopes", "x"), ("scopes", "{}"), ("roles", "[1]")],
)
def test_a_row_that_we_did_not_write_is_no_key(table: sqlite3.Connection, column: str, value: Any) -> None:
    """It proves nobody, and the others go on."""
    statement = "UPDATE api_keys SET {column} = ? WHERE key_id = ?"
    table.execute(statement.format(column=column), (value, ONE.key_id))
    alarms: list[str] = []
    assert changed(table, 0, alarms).keys == {ONE.key_id: None, TWO.key_id: TWO}
    assert "was not written by us" in alarms[0]
    with pytest.raises(StateError, match="not written by us"):
        list_api_keys(table, memory_seal(table))


FORGED = [
    "salt = zeroblob(16)",
    "digest = zeroblob(32)",
    "subject = 'root'",
    "kind = 'ci'",
    "tenant = 'other'",
    """scopes = '["admin"]'""",
    """roles = '["admin"]'""",
    "networks = '[]'",
    "created_at = created_at + 1",
    "expires_at = 9e12",
    "revoked_at = NULL",
    "replaced_by = NULL",
    "mac = NULL",
    "mac = zeroblob(32)",
]


def forge(table: sqlite3.Connection, change: str) -> None:
    """Change the first key as somebody does who has the file and not the key."""
    done = table.execute(f"UPDATE api_keys SET {change} WHERE key_id = ?", (ONE.key_id,))  # noqa: S608 — of this module
    assert done.rowcount == 1


def prepare(table: sqlite3.Connection) -> None:
    """Leave a key of which every field says something."""
    _, three = make_key(3)
    replace_api_key(table, ONE.key_id, three, Instant(NOW + 60), memory_seal(table))
    revoke_api_key(table, ONE.key_id, Instant(NOW), memory_seal(table))


@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_row_proves_nobody_and_raises_an_alarm(table: sqlite3.Connection, forged: str) -> None:
    """Whatever of it is forged; revoking it does not make it one of ours."""
    prepare(table)
    forge(table, forged)
    alarms: list[str] = []
    assert changed(table, 0, alarms).keys[ONE.key_id] is None
    assert len(alarms) == 1
    assert "its MAC does not hold" in alarms[0]
    assert not next(each for each in list_api_keys(table, memory_seal(table)) if each.key.key_id == ONE.key_id).sealed
    revoke_api_key(table, ONE.key_id, Instant(NOW + 9), memory_seal(table))
    assert changed(table, 0).keys[ONE.key_id] is None


def test_a_forged_new_row_proves_nobody(table: sqlite3.Connection) -> None:
    """Also one with the MAC of another."""
    others = "salt, digest, subject, kind, tenant, scopes, roles, networks, created_at, expires_at, changed, mac"
    table.execute(f"INSERT INTO api_keys (key_id, {others}) SELECT 'forged', {others} FROM api_keys LIMIT 1")  # noqa: S608 — of this module
    assert changed(table, 0).keys["forged"] is None


@pytest.mark.parametrize("forged", FORGED[2:6])
def test_without_comparing_seals_forged_rows_would_count(
    table: sqlite3.Connection, forged: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control."""
    monkeypatch.setattr(Seal, "holds", lambda *_: True)
    forge(table, forged)
    assert changed(table, 0).keys[ONE.key_id] not in {None, ONE}


def test_uses_are_outside_of_the_seal(table: sqlite3.Connection) -> None:
    """They are written all the time, by processes that have no key."""
    note_uses(table, {ONE.key_id: Instant(NOW)})
    assert changed(table, 0).keys[ONE.key_id] == ONE


def test_rows_of_an_older_file_are_sealed_as_they_are(table: sqlite3.Connection) -> None:
    """All of them, once."""
    table.execute("UPDATE api_keys SET mac = NULL")
    assert set(changed(table, 0).keys.values()) == {None}
    assert seal_api_keys(table, memory_seal(table)) == 2
    assert changed(table, 0).keys == {ONE.key_id: ONE, TWO.key_id: TWO}
