"""The table of API keys: what goes in comes out, changes are numbered, rows that are not ours are no keys."""

from __future__ import annotations

from contextlib import closing
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
)
from extauthz.state.store import connect_memory
from extauthz.state.transaction import transaction
from tests.simulators.apikeys import DAY, make_key
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
    with closing(connect_memory()) as connection:
        with transaction(connection):
            insert_api_key(connection, ONE)
            insert_api_key(connection, TWO)
        yield connection


def changed(table: sqlite3.Connection, since: int) -> Changes:
    """Return what has changed."""
    return read_api_keys(lambda statement, parameters: table.execute(statement, parameters).fetchall(), since)


def test_keys_come_out_as_they_went_in(table: sqlite3.Connection) -> None:
    """Every field."""
    assert [stored.key for stored in list_api_keys(table)] == [ONE, TWO]
    assert changed(table, 0).keys == {ONE.key_id: ONE, TWO.key_id: TWO}
    found = find_stored_api_key(table, ONE.key_id)
    assert found is not None
    assert (found.key, found.revoked_at, found.replaced_by, found.used_at) == (ONE, None, "", None)
    assert find_stored_api_key(table, "nobody") is None


def test_revoking_is_final_and_keeps_its_first_time(table: sqlite3.Connection) -> None:
    """Only of the one that is named."""
    revoke_api_key(table, ONE.key_id, Instant(NOW))
    revoke_api_key(table, ONE.key_id, Instant(NOW + 9))
    one, two = list_api_keys(table)
    assert (one.key, one.revoked_at) == (replace(ONE, revoked=True), NOW)
    assert (two.key, two.revoked_at) == (TWO, None)


def test_a_replaced_key_goes_on_for_the_overlap_and_never_longer_than_before(table: sqlite3.Connection) -> None:
    """Both keys say so."""
    _, three = make_key(3)
    _, four = make_key(4)
    replace_api_key(table, ONE.key_id, three, Instant(NOW + 60))
    replace_api_key(table, TWO.key_id, four, Instant(NOW + 9 * DAY))
    stored = {each.key.key_id: each for each in list_api_keys(table)}
    assert (stored[ONE.key_id].key.expires_at, stored[ONE.key_id].replaced_by) == (NOW + 60, three.key_id)
    assert (stored[TWO.key_id].key.expires_at, stored[TWO.key_id].replaced_by) == (TWO.expires_at, four.key_id)
    assert stored[three.key_id].key == three


def test_a_revoked_key_can_be_written(table: sqlite3.Connection) -> None:
    """As one that was taken over from elsewhere."""
    _, three = make_key(3, revoked=True)
    insert_api_key(table, three)
    found = find_stored_api_key(table, three.key_id)
    assert found is not None
    assert found.key.revoked


def test_changes_are_read_from_where_one_stood(table: sqlite3.Connection) -> None:
    """Nothing when nothing has changed, all when the file went back in time; uses do not count."""
    number = changed(table, 0).number
    assert changed(table, number).keys == {}
    revoke_api_key(table, TWO.key_id, NOW)
    note_uses(table, {ONE.key_id: NOW})
    later = changed(table, number)
    assert later.number > number
    assert later.keys == {TWO.key_id: replace(TWO, revoked=True)}
    assert set(changed(table, later.number + 5).keys) == {ONE.key_id, TWO.key_id}


def test_the_newest_use_stays(table: sqlite3.Connection) -> None:
    """Several servers write, in any order; a key that is not there is no fault."""
    for at in (NOW, NOW + 60, NOW + 30):
        note_uses(table, {ONE.key_id: Instant(at), "nobody": Instant(at)})
    assert [stored.used_at for stored in list_api_keys(table)] == [NOW + 60, None]


@pytest.mark.parametrize(
    ("column", "value"),
    [("kind", "user"), ("kind", "anonymous"), ("kind", "x"), ("scopes", "x"), ("scopes", "{}"), ("roles", "[1]")],
)
def test_a_row_that_we_did_not_write_is_no_key(table: sqlite3.Connection, column: str, value: Any) -> None:
    """It proves nobody, and the others go on."""
    statement = "UPDATE api_keys SET {column} = ? WHERE key_id = ?"
    table.execute(statement.format(column=column), (value, ONE.key_id))
    assert changed(table, 0).keys == {ONE.key_id: None, TWO.key_id: TWO}
    with pytest.raises(StateError, match="not written by us"):
        list_api_keys(table)
