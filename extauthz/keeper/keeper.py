"""The one writer of restrictions on this machine: what it says is done is durable, and decided by everywhere here.

1. One transaction: has this been heard before? Would it end too many sessions? Then it is held; else it is put in force
   and written down as heard, together or not at all. The commit is on disk before anything else happens.
2. Every worker is asked whether it decides by that, within a bound; one that does not answer counts as not confirmed,
   and the receipt says so. Then other machines, within a bound.
3. What is repeated is put in force once; its receipt is asked for anew, so that whoever was not told the first time is
   told the truth of now.
4. A beat into the state, at intervals, says that the state is up to date: it stops with this keeper, and while other
   machines may have been told what we do not know.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import structlog

from extauthz.audit.actions import to_action_record
from extauthz.clock import Instant
from extauthz.errors import StateError
from extauthz.ids import new_random_bytes
from extauthz.keeper.confirmations import Confirmations
from extauthz.model.receipt import Action, Receipt
from extauthz.model.restriction import OPERATOR
from extauthz.server.watch import Watcher
from extauthz.state import signals
from extauthz.state.beat import write_beat
from extauthz.state.changes import RESTRICTION, newest_number
from extauthz.state.facts import collect_facts
from extauthz.state.follower import Follower
from extauthz.state.restrictions import apply_restrictions, collect, find_restrictions, lift
from extauthz.state.sessions import count_sessions, note_sessions
from extauthz.state.writer import StateWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from extauthz.audit.actions import ActionLog
    from extauthz.clock import Clock
    from extauthz.config.state import StateSettings
    from extauthz.keeper.confirmations import Confirmed, Confirmer
    from extauthz.keeper.replicator import Replicator
    from extauthz.model.restriction import Effect, Mark, Restriction
    from extauthz.state.follower import Query
    from extauthz.state.restrictions import Applied
    from extauthz.state.sessions import SessionSeen
    from extauthz.state.signals import Happening, Held
    from extauthz.state.writer import Writing
    from extauthz.telemetry.statemetrics import StateMetrics

_log = structlog.get_logger(__name__)

CONFIRM_SECONDS: Final = 2.0
"""How long workers are waited for."""

REPLICA_SECONDS: Final = 2.0
"""How long other machines are waited for, after that."""

COLLECT_SECONDS: Final = 10.0
"""Between two looks for what can be forgotten."""

COLLECT_ROWS: Final = 1000
"""Rows that are removed in one transaction, so that nothing waits long for it."""

STEADY_SECONDS: Final = 600.0
"""How long the wall clock must have gone with the machine's before anything is forgotten by it."""

JUMP_SECONDS: Final = 1.0
"""A wall clock that moves by more than this against the machine's has been set."""


_ID_BYTES: Final = 16
_HELD_DIGITS: Final = 16


def _no_streams() -> tuple[str, ...]:
    return ()


_FORGETTERS: Final = (collect, collect_facts, signals.collect_signals)


@dataclass(frozen=True, slots=True)
class _Done:
    """What a transaction has made of an action."""

    number: int
    outcome: str
    changed: tuple[Restriction, ...] = ()
    sessions: int = 0
    held: str = ""


class Keeper:
    """Writes, confirms, beats. `start` once, then `stop` once; use it from any thread.

    Args:
        path: of the state file, which is there.
        key: what our records are sealed with.
        settings: of the state.
        clock: all of its clocks are read.
        confirmers: every worker of this machine, by name.
        replicator: carries changes to other machines; None where there are none.
        streams: names the resources that hold connections open beyond their decision.
        metrics: counts; None for none.
        actions: the record of what people and signals did; None for none.
    """

    def __init__(  # noqa: PLR0913 — the parts that it joins
        self,
        path: Path,
        key: bytes,
        settings: StateSettings,
        clock: Clock,
        *,
        confirmers: Mapping[str, Confirmer],
        replicator: Replicator | None = None,
        streams: Callable[[], tuple[str, ...]] = _no_streams,
        metrics: StateMetrics | None = None,
        actions: ActionLog | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._replicator = replicator
        self._streams = streams
        self._metrics = metrics
        self._actions = actions
        self._writer = StateWriter(path, key)
        self._follower = Follower(path)
        self._reading = threading.Lock()
        self._confirmations = Confirmations(confirmers, clock, self._confirmed)
        self._beating = Watcher(min(1.0, settings.max_staleness / 5), self.beat)
        self._collecting = Watcher(COLLECT_SECONDS, self.collect)
        self._beat_fails = False
        self._offset = clock.now() - clock.boot()
        self._steady_since = clock.boot()
        # Everything below is read and written under this lock only.
        self._news = threading.Condition()
        self._heard = 0
        self._stopping = False

    @property
    def answers(self) -> dict[str, int | None]:
        """Return by worker the newest change that it has said it decides by; None when it did not answer."""
        return self._confirmations.answers

    @property
    def keeps_for(self) -> float:
        """Return how many seconds a revocation is kept."""
        return self._settings.keep_revocations

    def start(self) -> None:
        """Begin to beat, to confirm and to forget.

        Raises:
            StateError: the state cannot be written.
        """
        with self.writing():
            pass
        self._confirmations.start()
        if self._replicator is not None:
            self._replicator.start(self)
        self.beat()
        self._beating.start()
        self._collecting.start()

    def stop(self) -> None:
        """End it; whoever waits is answered now."""
        with self._news:
            self._stopping = True
            self._news.notify_all()
        self._beating.stop()
        self._collecting.stop()
        if self._replicator is not None:
            self._replicator.stop()
        self._confirmations.stop()
        self._writer.close()
        with self._reading:
            self._follower.close()

    def writing(self) -> AbstractContextManager[Writing]:
        """Return the one transaction that is open at a time: committed at the end, or nothing of it is written.

        Raises:
            StateError: it cannot be written; or whether the commit was is not known.
        """
        return self._writer.transaction()

    @contextmanager
    def reading(self) -> Iterator[Query]:
        """Give a view of the state that is as new as the file.

        Raises:
            StateError: it cannot be read.
        """
        with self._reading:
            self._follower.look()
            yield self._follower.read

    def carry_out(
        self,
        action: Action,
        restrictions: Sequence[Restriction],
        *,
        hold_above: int | None = None,
        subject: str = "",
        detail: str = "",
    ) -> Receipt:
        """Put restrictions in force, those that are lifted included, and return where they are.

        Args:
            action: where they come from; repeated by the same source, it changes nothing.
            restrictions: what they are.
            hold_above: when they are about more live sessions than this, they wait for a person instead.
            subject: whom they are about, for people.
            detail: what else is to be said, for people.

        Raises:
            StateError: they could not be made durable.
        """
        started = self._clock.monotonic()
        with self.writing() as writing:
            done = _find_done(writing, action)
            if done is None:
                sessions = self._count(writing.query, restrictions)
                if hold_above is not None and sessions > hold_above:
                    done = _hold(writing, action, restrictions, sessions, subject)
                else:
                    done = _apply(writing, restrictions, sessions)
                self._remember(writing, action, done, subject=subject, detail=detail)
        return self._finish(action, done, started, subject=subject, detail=detail)

    def lift(
        self,
        action: Action,
        marks: Sequence[Mark],
        effects: frozenset[Effect] | None = None,
        source: str | None = None,
        *,
        subject: str = "",
    ) -> Receipt:
        """Lift what is in force on any of `marks`, and return where it is lifted.

        Args:
            action: who lifts it, and why; repeated, it changes nothing.
            marks: whom it is about.
            effects: only these; None for all.
            source: only what this source said; None for all, which is for people.
            subject: whom it is about, for people.

        Raises:
            StateError: it could not be made durable.
        """
        started = self._clock.monotonic()
        at = self._clock.now()
        until = Instant(at + self._settings.keep_revocations)
        with self.writing() as writing:
            done = _find_done(writing, action)
            if done is None:
                rows = find_restrictions(writing.query, marks, writing.seal, at, on_alarm=self.alarm)
                wanted = [
                    lift(row, at, until, signal=action.id, by=action.by, reason=action.reason)
                    for row in rows
                    if (effects is None or row.effect in effects) and (source is None or row.source == source)
                ]
                done = _apply(writing, wanted, 0)
                self._remember(writing, action, done, subject=subject)
        return self._finish(action, done, started, subject=subject)

    def note(self, action: Action, outcome: str, *, subject: str = "", detail: str = "") -> bool:
        """Write down something that was heard and has no effect; return whether it is new.

        Raises:
            StateError: it could not be made durable.
        """
        with self.writing() as writing:
            new = self._remember(writing, action, _Done(0, outcome), subject=subject, detail=detail)
        self._tell(action, outcome, subject=subject, detail=detail)
        return new

    def is_known(self, action: Action) -> bool:
        """Return whether its source has said this before.

        Raises:
            StateError: it cannot be read.
        """
        with self.reading() as query:
            return signals.find_action(query, action.source, action.id) is not None

    def admit(self, held_id: str, by: str) -> Receipt | None:
        """Put in force what was held; None when nothing of that id waits.

        Raises:
            StateError: it could not be made durable.
        """
        started = self._clock.monotonic()
        with self.writing() as writing:
            held = signals.find_held(writing.query, held_id)
            if held is None:
                return None
            # The row has no seal, so nothing is lifted by it.
            done = _apply(writing, [each for each in held.restrictions if each.in_force], held.sessions)
            action = self._settle(writing, held, "admit", by, done)
        return self._finish(action, done, started, subject=held.subject, detail=held_id)

    def dismiss(self, held_id: str, by: str) -> bool:
        """Let what was held never be in force; return whether anything of that id waited.

        Raises:
            StateError: it could not be made durable.
        """
        done = _Done(0, "dismissed")
        with self.writing() as writing:
            held = signals.find_held(writing.query, held_id)
            if held is None:
                return False
            action = self._settle(writing, held, "dismiss", by, done)
        self._tell(action, done.outcome, subject=held.subject, detail=held_id)
        return True

    def take_over(self, restrictions: Sequence[Restriction], *, own: bool = False) -> Applied:
        """Put in force what another machine was told; nothing is confirmed yet.

        Raises:
            StateError: it could not be made durable.
        """
        with self.writing() as writing:
            return apply_restrictions(writing.connection, restrictions, writing.seal, own=own)

    def confirm(self, number: int, timeout: float = CONFIRM_SECONDS) -> Confirmed:
        """Return which workers decide by change `number`, after `timeout` seconds at most."""
        return self._confirmations.confirm(number, timeout)

    def note_sessions(self, seen: Sequence[SessionSeen]) -> None:
        """Take over uses of sessions.

        Raises:
            StateError: they could not be written.
        """
        with self.writing() as writing:
            note_sessions(writing.connection, seen, self._settings.max_sessions)

    def heard(self, stream: str, at: Instant) -> None:
        """Note that a stream was heard.

        Raises:
            StateError: it could not be written.
        """
        with self.writing() as writing:
            signals.stream_heard(writing.connection, stream, at)

    def set_stream_status(self, stream: str, status: str, at: Instant) -> None:
        """Note what its transmitter says of a stream.

        Raises:
            StateError: it could not be written.
        """
        with self.writing() as writing:
            signals.stream_status(writing.connection, stream, status, at)

    def tail(self, after: int | None, limit: int, wait: float = 0.0) -> tuple[Happening, ...]:
        """Return what was heard and done after a position, waiting for `wait` seconds where there is nothing yet.

        Raises:
            StateError: it cannot be read.
        """
        until = self._clock.monotonic() + wait
        while True:
            with self._news:
                heard = self._heard
            with self.reading() as query:
                found = signals.tail(query, after, limit)
            left = until - self._clock.monotonic()
            with self._news:
                if found or left <= 0 or self._stopping:
                    return found
                self._news.wait_for(lambda: self._heard != heard or self._stopping, left)

    def beat(self) -> None:
        """Say in the state that it is up to date, unless other machines may have been told what we do not know."""
        if self._replicator is not None and not self._replicator.in_sync():
            return
        try:
            with self.writing() as writing:
                write_beat(writing.connection, self._clock.now(), self._clock.boot())
        except StateError as error:
            if not self._beat_fails:
                _log.error("the state cannot be written; what was revoked may be unknown", problem=str(error))
            self._beat_fails = True
        else:
            self._beat_fails = False

    def collect(self) -> int:
        """Remove what can be forgotten, and return how many rows were; none by a clock that was set lately.

        Raises:
            StateError: it could not be written.
        """
        if not self._is_clock_steady():
            return 0
        at = self._clock.now()
        removed = 0
        while True:
            with self.writing() as writing:
                removed_now = [forget(writing.connection, at, COLLECT_ROWS) for forget in _FORGETTERS]
            rows = max(removed_now)
            removed += sum(removed_now)
            if rows < COLLECT_ROWS:
                return removed

    def alarm(self, sentence: str) -> None:
        """Report a record in the state that was not written by us."""
        _log.error("the state holds what we did not write", problem=sentence)
        if self._metrics is not None:
            self._metrics.alarm("forged_row")

    def _count(self, query: Query, restrictions: Sequence[Restriction]) -> int:
        """Return how many live sessions restrictions are about; one that several are about counts for each."""
        at = self._clock.now()
        return sum(count_sessions(query, (each.mark,), each.also, at) for each in restrictions if each.in_force)

    def _remember(self, writing: Writing, action: Action, done: _Done, *, subject: str = "", detail: str = "") -> bool:
        until = Instant(self._clock.now() + self._settings.keep_revocations)
        return signals.remember(writing.connection, action, done.outcome, detail, subject, done.number, until)

    def _settle(self, writing: Writing, held: Held, kind: str, by: str, done: _Done) -> Action:
        """Write down what a person made of an event that was held."""
        action = Action(
            id=new_random_bytes(_ID_BYTES).hex(),
            source=OPERATOR,
            kind=kind,
            received_at=self._clock.now(),
            by=by,
            reason=held.action.reason,
        )
        signals.settle_held(writing.connection, held.id, done.outcome)
        self._remember(writing, action, done, subject=held.subject, detail=held.id)
        return action

    def _finish(self, action: Action, done: _Done, started: float, *, subject: str = "", detail: str = "") -> Receipt:
        """Return where something that is durable is in force, when everybody was asked, or their time is up."""
        at = self._clock.now()
        receipt = Receipt(
            id=action.id, at=at, number=done.number, changed=len(done.changed), sessions=done.sessions, held=done.held
        )
        if not done.held:
            receipt = self._confirm_all(receipt, done, started)
        outcome = done.outcome
        if outcome != "held" and receipt.workers < receipt.of_workers:
            outcome = "unconfirmed"
        self._tell(action, outcome, subject=subject, detail=detail, done=done, receipt=receipt)
        return receipt

    def _confirm_all(self, receipt: Receipt, done: _Done, started: float) -> Receipt:
        if self._replicator is not None:
            self._replicator.publish(done.number)
        workers = self._confirmations.confirm(done.number, CONFIRM_SECONDS)
        in_force, of = 0, 0
        if self._replicator is not None:
            in_force, of = self._replicator.wait_for_replicas(done.number, REPLICA_SECONDS)
        return replace(
            receipt,
            workers=workers.by,
            of_workers=workers.of,
            replicas=in_force,
            of_replicas=of,
            seconds=self._clock.monotonic() - started,
            streams=self._streams() if any(each.in_force for each in done.changed) else (),
        )

    def _tell(  # noqa: PLR0913 — what a record of it holds
        self,
        action: Action,
        outcome: str,
        *,
        subject: str,
        detail: str,
        done: _Done | None = None,
        receipt: Receipt | None = None,
    ) -> None:
        """Tell those who wait for news, count, and record."""
        with self._news:
            self._heard += 1
            self._news.notify_all()
        if self._metrics is not None and action.source == OPERATOR:
            self._metrics.action_done(action.kind, outcome)
        if self._actions is not None:
            changed = done.changed if done is not None else ()
            record = to_action_record(
                action, outcome, subject=subject, detail=detail, restrictions=changed, receipt=receipt
            )
            self._actions.write(record)

    def _confirmed(self, worker: str, seconds: float) -> None:
        if self._metrics is not None:
            self._metrics.worker_confirmed(int(worker), seconds)

    def _is_clock_steady(self) -> bool:
        """Return whether the wall clock has long gone with the machine's."""
        offset, boot = self._clock.now() - self._clock.boot(), self._clock.boot()
        if abs(offset - self._offset) > JUMP_SECONDS:
            self._steady_since = boot
            if self._metrics is not None:
                self._metrics.alarm("clock_jump")
        self._offset = offset
        return boot - self._steady_since >= STEADY_SECONDS


def held_name(action: Action) -> str:
    """Return what people call an event that is held."""
    return sha256(f"{action.source}\0{action.id}".encode()).hexdigest()[:_HELD_DIGITS]


def _find_done(writing: Writing, action: Action) -> _Done | None:
    """Return what was made of an action before; None when it is new."""
    before = signals.find_action(writing.query, action.source, action.id)
    if before is None:
        return None
    name = held_name(action)
    if signals.find_held(writing.query, name) is not None:
        return _Done(0, "held", held=name)
    # What was admitted meanwhile has a later number than its own.
    return _Done(max(before.number, newest_number(writing.connection, RESTRICTION)), "known")


def _hold(writing: Writing, action: Action, restrictions: Sequence[Restriction], sessions: int, subject: str) -> _Done:
    name = held_name(action)
    signals.hold(writing.connection, name, action, subject, sessions, restrictions)
    return _Done(0, "held", sessions=sessions, held=name)


def _apply(writing: Writing, restrictions: Sequence[Restriction], sessions: int) -> _Done:
    applied = apply_restrictions(writing.connection, restrictions, writing.seal, own=True)
    if not restrictions:
        outcome = "noted"
    elif not applied.changed:
        outcome = "known"
    else:
        outcome = "in_force" if any(each.in_force for each in applied.changed) else "lifted"
    return _Done(applied.number, outcome, applied.changed, sessions)
