"""A state file for tests: opened, written and read as servers do it, and forged as an intruder would."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from extauthz.clock import Instant
from extauthz.model.restriction import OPERATOR, Effect, Form, Mark, Restriction
from extauthz.state.restrictions import apply_restrictions, find_restrictions
from extauthz.state.seal import open_seal
from extauthz.state.store import connect, open_store
from extauthz.state.transaction import to_query
from extauthz.state.writer import StateWriter
from tests.simulators.tokens import ISSUER, NOW

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from extauthz.state.follower import Rows
    from extauthz.state.restrictions import Applied
    from extauthz.state.seal import Seal

HOUR = 3600.0
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


class StateFile:
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

    def forge(self, statement: str, *parameters: object) -> int:
        """Write as somebody does who has the file and not the key; return how many rows that changed."""
        with closing(connect(self.path, wait=1)) as connection:
            return connection.execute(statement, parameters).rowcount


@contextmanager
def state_file(folder: Path) -> Iterator[StateFile]:
    """Yield a new state file in a folder."""
    file = StateFile(folder / "state.db")
    try:
        yield file
    finally:
        file.writer.close()
