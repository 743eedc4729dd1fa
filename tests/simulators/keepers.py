"""A keeper on a real state file, with workers that look at that file as real ones do."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from extauthz.clock import Clock, Instant, SystemClock
from extauthz.config.state import StateSettings
from extauthz.keeper.keeper import Keeper
from extauthz.model.receipt import Action
from extauthz.model.restriction import OPERATOR, Effect, Form, Mark, Restriction
from extauthz.state.changes import RESTRICTION, read_numbers
from extauthz.state.follower import Follower
from extauthz.state.restrictions import find_restrictions
from extauthz.state.sessions import SessionSeen
from extauthz.state.store import open_store
from tests.simulators.tokens import ISSUER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from extauthz.keeper.confirmations import Confirmer

STREAM = "stream idp"
BOB = Mark(Form.SUBJECT, ISSUER, "bob")


class Worker:
    """Looks at the state file when it is asked, as a worker does.

    Attributes:
        silent: whether it does not answer.
        asked: how often it was asked.
    """

    def __init__(self, path: Path) -> None:
        self._follower = Follower(path)
        self.silent = False
        self.asked = 0

    def __call__(self, _: float) -> int:
        """Return the newest change."""
        self.asked += 1
        if self.silent:
            message = "it hangs"
            raise TimeoutError(message)
        self._follower.look()
        return read_numbers(self._follower.read)[RESTRICTION]

    def close(self) -> None:
        """Let go of the file."""
        self._follower.close()


@dataclass(frozen=True, slots=True)
class Kept:
    """A running keeper.

    Attributes:
        keeper: it.
        path: of the state file.
        workers: by name.
        clock: of all of them.
        settings: of the state.
    """

    keeper: Keeper
    path: Path
    workers: Mapping[str, Worker]
    clock: Clock
    settings: StateSettings
    alarms: list[str] = field(default_factory=list)

    def in_force(self, *marks: Mark) -> tuple[Restriction, ...]:
        """Return what is in force on any of `marks`."""
        with self.keeper.reading() as query:
            seal = self.keeper.seal(query)
            return find_restrictions(query, marks, seal, self.clock.now(), on_alarm=self.alarms.append)

    def action(self, id_: str = "a1", **changes: Any) -> Action:
        """Return something that a person does now."""
        fields = {"source": OPERATOR, "kind": "revoke", "received_at": self.clock.now(), "by": "eve", **changes}
        return Action(id=id_, **fields)

    def revoked(self, mark: Mark, **changes: Any) -> Restriction:
        """Return a restriction of now."""
        now = self.clock.now()
        fields: dict[str, Any] = {
            "mark": mark,
            "effect": Effect.REVOKED,
            "source": OPERATOR,
            "event_at": now,
            "until": Instant(now + 3600),
            **changes,
        }
        return Restriction(**fields)

    def see(self, *subjects: str, session: str = "s", **changes: Any) -> None:
        """Let there be a live session for each subject."""
        now = self.clock.now()
        fields: dict[str, Any] = {"issuer": ISSUER, "client": "web", "tenant": "acme", "at": now, **changes}
        self.keeper.note_sessions(
            [SessionSeen(session=f"{session}-{subject}", subject=subject, **fields) for subject in subjects]
        )


@contextmanager
def keeping(folder: Path, *, workers: int = 2, clock: Clock | None = None, **parts: Any) -> Iterator[Kept]:
    """Yield a running keeper; `state` of `parts` are its settings, the others are given to it."""
    path = folder / "state.db"
    clock = clock or SystemClock()
    key = open_store(path)
    settings = StateSettings(path=path, **parts.pop("state", {}))
    asked = {str(n): Worker(path) for n in range(workers)}
    confirmers: dict[str, Confirmer] = {**asked}
    keeper = Keeper(path, key, settings, clock, confirmers=confirmers, **parts)
    keeper.start()
    try:
        yield Kept(keeper, path, asked, clock, settings)
    finally:
        keeper.stop()
        for worker in asked.values():
            worker.close()


def session(name: str) -> Mark:
    """Return the mark of a session."""
    return Mark(Form.SESSION, ISSUER, name)
