"""A state file without anybody's view of it: written and read as servers do, and forged as an intruder would."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from extauthz.clock import Instant
from extauthz.model.restriction import OPERATOR, Effect, Form, Mark, Restriction
from extauthz.state.restrictions import apply_restrictions, find_restrictions
from extauthz.state.seal import KEY_BYTES, Seal, open_seal
from extauthz.state.store import connect, migrate, open_store
from extauthz.state.transaction import to_query
from extauthz.state.writer import StateWriter
from tests.simulators.tokens import ISSUER, NOW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from extauthz.state.follower import Rows
    from extauthz.state.restrictions import Applied

HOUR = 3600.0
KEY = bytes(range(KEY_BYTES))
BOB = Mark(Form.SUBJECT, ISSUER, "bob")


def restriction(mark: Mark = BOB, **changes: Any) -> Restriction:
    """Return a restriction by a person; `changes` replace fields."""
    fields: dict[str, Any] = {
        "mark": mark,
        "effect": Effect.REVOKED,
        "source": OPERATOR,
        "event_at": Instant(NOW),
        "until": Instant(NOW + HOUR),
        "signal": "a1",
        **changes,
    }
    return Restriction(**fields)


class BareState:
    """A state file that is open for writing.

    Attributes:
        path: of the file.
        key: that its records are sealed with.
        writer: of it.
        alarms: what was said about records that are not ours.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.key = open_store(path)
        self.writer = StateWriter(path, self.key)
        self.alarms: list[str] = []

    def query(self, statement: str, parameters: tuple[object, ...] = ()) -> Rows:
        """Read from the file, by a connection of its own."""
        with closing(connect(self.path, wait=1)) as connection:
            return to_query(connection)(statement, parameters)

    @property
    def seal(self) -> Seal:
        """Return the seal of the file as it is now."""
        return open_seal(self.query, self.key)

    def apply(self, *wanted: Restriction, own: bool = True) -> Applied:
        """Merge restrictions into the table."""
        with self.writer.transaction() as writing:
            return apply_restrictions(writing.connection, wanted, writing.seal, own=own)

    def find(self, *marks: Mark, at: float = NOW) -> tuple[Restriction, ...]:
        """Return what is in force."""
        return find_restrictions(self.query, marks, self.seal, Instant(at), on_alarm=self.alarms.append)

    @contextmanager
    def writing(self) -> Iterator[tuple[sqlite3.Connection, Seal]]:
        """Yield a transaction."""
        with self.writer.transaction() as writing:
            yield writing.connection, writing.seal

    def forge(self, table: str, change: str, *parameters: object) -> int:
        """Change rows as somebody does who has the file and not the key; return how many."""
        with closing(connect(self.path, wait=1)) as connection:
            return connection.execute(f"UPDATE {table} SET {change}", parameters).rowcount  # noqa: S608 — of a test


@contextmanager
def bare_state(folder: Path) -> Iterator[BareState]:
    """Yield a new state file in a folder."""
    file = BareState(folder / "state.db")
    try:
        yield file
    finally:
        file.writer.close()


@contextmanager
def memory_state() -> Iterator[sqlite3.Connection]:
    """Yield a connection to an empty state in memory, sealed with `KEY`: quicker than a file, for tables alone."""
    with closing(_in_memory()) as connection:
        connection.deserialize(_empty())
        yield connection


@cache
def _empty() -> bytes:
    """Return an empty state, made once: making tables takes longer than most tests."""
    with closing(_in_memory()) as connection:
        migrate(connection, KEY)
        return connection.serialize()


def _in_memory() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)


def memory_seal(connection: sqlite3.Connection) -> Seal:
    """Return the seal of a state in memory."""
    return open_seal(to_query(connection), KEY)
