"""The contract of spends, in memory and in a file, and what is in the file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from extauthz.clock import Instant
from extauthz.state.spends import Order, SpendTables
from extauthz.state.store import connect, open_store
from tests.simulators.barestate import memory_state
from tests.simulators.tokens import NOW
from tests.unit.state.spend_contract import DONE, SpendContract, spend, take

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROOM = 20


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a state file."""
    path = tmp_path / "state.db"
    open_store(path)
    return path


class TestInMemory(SpendContract):
    @pytest.fixture
    def tables(self) -> Iterator[SpendTables]:
        """Yield empty tables."""
        with memory_state() as connection:
            yield SpendTables(connection, ROOM)


class TestInAFile(SpendContract):
    @pytest.fixture
    def tables(self, path: Path) -> Iterator[SpendTables]:
        """Yield empty tables."""
        with closing(connect(path, wait=1)) as connection:
            yield SpendTables(connection, ROOM)


class TestOpenedAnewEachTime(SpendContract):
    @pytest.fixture
    def tables(self, path: Path) -> Iterator[SpendTables]:
        """Yield tables that remember nothing but what is in the file."""

        class Forgetful(SpendTables):
            def take(self, orders: object, at: object) -> object:  # type: ignore[override]  # hands everything on
                with closing(connect(path, wait=1)) as connection:
                    tables = SpendTables(connection, ROOM)
                    outcomes = tables.take(orders, at)  # type: ignore[arg-type]  # see above
                    self.rows = tables.rows
                    return outcomes

        with memory_state() as unused:
            yield Forgetful(unused, ROOM)


def test_a_failure_takes_nothing(path: Path) -> None:
    """One bad order of several undoes all of the transaction, and the tables can be used further."""
    with closing(connect(path, wait=1)) as connection:
        tables = SpendTables(connection, ROOM)
        bad = Order((spend("b", until=object()),), b"bad")  # what nobody can compare
        with pytest.raises(TypeError):
            tables.take([Order((spend(),), b"q1"), bad], NOW)
        assert take(tables, "q2", spend()) == DONE


def test_the_file_holds_digests_only(path: Path) -> None:
    """Neither keys nor questions can be read from it."""
    with closing(connect(path, wait=1)) as connection:
        assert take(SpendTables(connection, ROOM), "a-question-in-words", spend("a-key-in-words")) == DONE
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw = path.read_bytes()
    assert b"in-words" not in raw
    with closing(sqlite3.connect(path)) as other:
        rows = other.execute("SELECT name FROM spends UNION SELECT name FROM spent_questions").fetchall()
    assert {len(name) for (name,) in rows} == {32}


def test_expired_rows_go_a_little_at_a_time(path: Path) -> None:
    """No transaction removes more than a bounded number, and none fewer than may be added."""
    with closing(connect(path, wait=1)) as connection:
        tables = SpendTables(connection, 10_000)
        tables.take([Order((spend(f"k{n}"),), b"%d" % n) for n in range(300)], NOW)
        assert tables.rows == 600
        late = spend("x", until=Instant(NOW + 999))
        take(tables, "late", late, at=NOW + 100)
        assert tables.rows == 600 - 2 * 64 + 2
        many = [Order((spend(f"m{n}", until=NOW + 999),), b"m%d" % n) for n in range(200)]
        tables.take(many, Instant(NOW + 100))
        assert tables.rows == 2 + 400
