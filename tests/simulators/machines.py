"""Machines that share a Redis: each a state file, a keeper and two workers' views, in this process."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from extauthz.clock import Instant, SystemClock
from extauthz.config.state import StateSettings
from extauthz.keeper.keeper import Keeper
from extauthz.keeper.redis_replicator import RedisReplicator
from extauthz.keeper.redis_rows import Row, shared_seal, write_row
from extauthz.model.receipt import Action, Receipt
from extauthz.model.restriction import OPERATOR, Effect, Form, Mark, Restriction
from extauthz.server.freshness import Expected, Freshness
from extauthz.server.stateview import StateView
from extauthz.state.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from extauthz.clock import Clock
    from extauthz.telemetry.statemetrics import StateMetrics
    from tests.simulators.redis import RedisServer

KEY = "5a" * 32
"""The key that all machines of a test share, unless one is given another."""

ISSUER = "https://issuer.test"
PATIENCE = 60.0

MAX_STALENESS = 2.0
"""Of a machine, in seconds. It says several times meanwhile that it is fresh, also when the computer is crowded."""


class Confirming:
    """A worker: answers what its view has seen."""

    def __init__(self, view: StateView) -> None:
        self.view = view

    def __call__(self, _: float, /) -> int:
        """Look, and return the newest change."""
        return self.view.freshen()


@dataclass
class Machine:
    """One machine; `start` and `stop` it as often as you like, its file stays.

    Attributes:
        folder: of its file.
        server: the Redis that it shares.
        key: as its key file says it.
        clock: of the machine.
        changes: of its state's settings.
        metrics: of its replicator.
        expected: streams of signals of its settings.
    """

    folder: Path
    server: RedisServer
    key: str = KEY
    clock: Clock = field(default_factory=SystemClock)
    changes: dict[str, Any] = field(default_factory=dict)
    metrics: StateMetrics | None = None
    expected: tuple[Expected, ...] = ()

    def __post_init__(self) -> None:
        """Make its file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path = self.folder / "state.db"
        self.key_file = self.folder / "shared.key"
        self.key_file.write_text(self.key)
        self.key_file.chmod(0o600)
        self.alarms: list[str] = []
        self._running = ExitStack()

    def start(self) -> None:
        """Run its keeper and its workers' views."""
        key = open_store(self.path, self.key_file)
        fields: dict[str, Any] = {
            "path": self.path,
            "key_file": self.key_file,
            "max_staleness": MAX_STALENESS,
            **self.changes,
        }
        settings = StateSettings(redis=fields.pop("redis", None) or self.server.settings(), **fields)
        assert settings.redis is not None
        self.views = [
            StateView(self.path, key, self.clock, Freshness(self.clock, settings.max_staleness, self.expected))
            for _ in range(2)
        ]
        self.replicator = RedisReplicator(
            settings.redis,
            settings,
            self.clock,
            self.metrics,
            {each.name: each.max_silence for each in self.expected if each.max_silence is not None},
        )
        self.keeper = _Listening(
            self.path,
            key,
            settings,
            self.clock,
            confirmers={str(number): Confirming(view) for number, view in enumerate(self.views)},
            replicator=self.replicator,
        )
        self.keeper.alarms = self.alarms
        self.keeper.start()
        for view in self.views:
            self._running.callback(view.close)
        self._running.callback(self.keeper.stop)

    def stop(self) -> None:
        """End it in an orderly way."""
        self._running.close()

    def revoke(self, name: str, *, at: float | None = None, **changes: Any) -> Receipt:
        """Revoke a subject by hand, and return the receipt; with `at` it is an older word that arrives now."""
        moment = Instant(self.clock.now() if at is None else at)
        action = Action(id=f"revoke {name} {moment!r}", source=OPERATOR, kind="revoke", received_at=self.clock.now())
        return self.keeper.carry_out(action, [revocation(name, moment, **changes)])

    def release(self, name: str) -> Receipt:
        """Lift what is in force on a subject."""
        now = self.clock.now()
        action = Action(id=f"release {name} {now!r}", source=OPERATOR, kind="release", received_at=now)
        return self.keeper.lift(action, [subject(name)])

    def reads_on(self, other: Machine) -> bool:
        """Return whether this one comes to have read all that is in Redis now.

        What is there was written before what `other` writes then, and this one says that it is in force here.
        """
        number = other.revoke(f"somebody that {other.folder.name} names").number
        return other.comes_to(lambda: other.replicator.wait_for_replicas(number, 0.1)[0] == 1)

    def found(self, name: str) -> tuple[Restriction, ...]:
        """Return what a worker here finds in force on a subject at its next decision."""
        view = self.views[0]
        view.freshen()
        return view.find_restrictions([subject(name)], self.clock.now())

    def hears(self) -> bool:
        """Return whether a worker here decides for callers who need signals."""
        view = self.views[1]
        view.freshen()
        return view.are_signals_fresh(ISSUER, self.clock.now())

    def is_fresh(self) -> bool:
        """Return whether a worker here decides at all."""
        view = self.views[1]
        view.freshen()
        return view.is_state_fresh(self.clock.now())

    def comes_to(self, what: Any, patience: float = PATIENCE) -> bool:
        """Return whether `what()` holds within a while."""
        clock = SystemClock()
        deadline = clock.monotonic() + patience
        while not what():
            if clock.monotonic() > deadline:
                return False
            time.sleep(0.002)
        return True


class _Listening(Keeper):
    """A keeper whose alarms a test can read."""

    alarms: list[str]

    def alarm(self, sentence: str) -> None:
        self.alarms.append(sentence)
        super().alarm(sentence)


def write_as_ours(key: str, row: Restriction, incarnation: str) -> Row:
    """Return a row as somebody who has `key` writes it."""
    return write_row(row, shared_seal(bytes.fromhex(key), incarnation), incarnation)


def subject(name: str) -> Mark:
    """Return the mark of a person."""
    return Mark(Form.SUBJECT, ISSUER, name)


def revocation(name: str, at: float, **changes: Any) -> Restriction:
    """Return what revokes a person's credentials for an hour from `at`."""
    fields: dict[str, Any] = {
        "mark": subject(name),
        "effect": Effect.REVOKED,
        "source": OPERATOR,
        "event_at": Instant(at),
        "until": Instant(at + 3600),
        "by": "alice",
        "reason": "stolen laptop",
        **changes,
    }
    return Restriction(**fields)


@contextmanager
def running(*machines: Machine) -> Iterator[None]:
    """Run machines, and wait until all of them are in sync."""
    with ExitStack() as undo:
        for machine in machines:
            machine.start()
            undo.callback(machine.stop)
        for machine in machines:
            assert machine.comes_to(machine.replicator.in_sync)
        yield


def meet(*machines: Machine) -> None:
    """Wait until each of these machines knows of the others; until then its receipts do not wait for them."""
    others = len(machines) - 1
    for machine in machines:
        assert machine.comes_to(lambda machine=machine: machine.replicator.wait_for_replicas(0, 0)[1] == others)
