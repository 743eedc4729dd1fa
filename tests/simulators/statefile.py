"""A state file and whoever writes it: what a keeper does, by hand."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from extauthz.clock import Instant
from extauthz.model.restriction import OPERATOR, Effect, Form, Mark, Restriction
from extauthz.server.freshness import Expected, Freshness
from extauthz.server.stateview import StateView
from extauthz.state.apikeys import insert_api_key, revoke_api_key
from extauthz.state.beat import write_beat
from extauthz.state.facts import put_fact, remove_fact
from extauthz.state.restrictions import apply_restrictions, lift
from extauthz.state.sessions import SessionSeen, note_sessions
from extauthz.state.signals import stream_heard, stream_status
from extauthz.state.store import connect, open_store
from extauthz.state.writer import StateWriter
from tests.simulators.clock import ManualClock
from tests.simulators.tokens import ISSUER, NOW

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from extauthz.model.state import StateName
    from extauthz.ports import ApiKey

STALENESS = 5.0


def restriction(mark: Mark, effect: Effect = Effect.REVOKED, **others: Any) -> Restriction:
    """Return what an operator takes away from a target now; `others` replace fields."""
    fields: dict[str, Any] = {"source": OPERATOR, "event_at": NOW, "signal": "s-1", **others}
    return Restriction(mark=mark, effect=effect, **fields)


def subject(value: str = "deployer", issuer: str = ISSUER) -> Mark:
    """Return a caller as a target."""
    return Mark(Form.SUBJECT, issuer, value)


class StateFile:
    """A state file with a writer of its own.

    Args:
        path: where it is, or will be.
        clock: of the writer.
    """

    def __init__(self, path: Path, clock: ManualClock | None = None) -> None:
        self.path = path
        self.clock = clock or ManualClock()
        self.key = open_store(path)
        self.writer = StateWriter(path, self.key)
        self.beat()

    def view(self, *streams: Expected) -> StateView:
        """Return a view that has looked once."""
        view = StateView(self.path, self.key, self.clock, Freshness(self.clock, STALENESS, streams))
        view.freshen()
        return view

    def beat(self) -> None:
        """Say that the state is up to date."""
        with self.writer.transaction() as (connection, _, _):
            write_beat(connection, self.clock.now(), self.clock.boot())

    def restrict(self, *restrictions: Restriction) -> int:
        """Put restrictions in force; return the number of the change."""
        with self.writer.transaction() as (connection, seal, _):
            return apply_restrictions(connection, restrictions, seal, own=True).number

    def lift(self, restriction: Restriction) -> None:
        """Lift a restriction."""
        self.restrict(lift(restriction, self.clock.now(), Instant(self.clock.now() + 3600)))

    def put(self, name: StateName, value: Mapping[str, Any], until: float | None = None) -> None:
        """Put a fact in place."""
        end = Instant(until) if until is not None else None
        with self.writer.transaction() as (connection, seal, _):
            put_fact(connection, name, value, end, seal, OPERATOR)

    def remove(self, name: StateName) -> None:
        """Take a fact back."""
        with self.writer.transaction() as (connection, _, _):
            remove_fact(connection, name, self.clock.now(), OPERATOR)

    def insert(self, key: ApiKey) -> None:
        """Add an API key."""
        with self.writer.transaction() as (connection, seal, _):
            insert_api_key(connection, key, seal)

    def revoke(self, key_id: str) -> None:
        """Revoke an API key."""
        with self.writer.transaction() as (connection, seal, _):
            revoke_api_key(connection, key_id, self.clock.now(), seal)

    def see(self, session: str, source: str = "192.0.2.1", issuer: str = ISSUER) -> None:
        """Note the use of a session."""
        seen = SessionSeen(issuer=issuer, session=session, source=source, at=self.clock.now())
        with self.writer.transaction() as (connection, _, _):
            note_sessions(connection, [seen], 1000)

    def hear(self, stream: str, status: str = "") -> None:
        """Hear something of a stream, or what its transmitter says of its status."""
        with self.writer.transaction() as (connection, _, _):
            if status:
                stream_status(connection, stream, status, self.clock.now())
            else:
                stream_heard(connection, stream, self.clock.now())

    def forge(self, statement: str, *parameters: Any) -> None:
        """Run a statement, as whoever can write the file and has no key."""
        with closing(connect(self.path, wait=1)) as connection:
            connection.execute(statement, parameters)

    def back_up(self) -> Path:
        """Return a backup of the file as it is."""
        backup = self.path.with_name("backup.db")
        with closing(sqlite3.connect(self.path)) as source, closing(sqlite3.connect(backup)) as target:
            source.backup(target)
        return backup

    def put_back(self, backup: Path) -> None:
        """Put a backup in the place of the file."""
        self.close()
        backup.replace(self.path)
        for side in ("-wal", "-shm"):
            self.path.with_name(self.path.name + side).unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file."""
        self.writer.close()
