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
from typing import TYPE_CHECKING, Final

import structlog

from extauthz.clock import Instant
from extauthz.ids import new_random_bytes
from extauthz.keeper.confirmations import Confirmations
from extauthz.keeper.hearing import OwnHearing
from extauthz.keeper.news import News
from extauthz.keeper.outcomes import Done, apply, count, find_done, hold
from extauthz.keeper.receipts import CONFIRM_SECONDS, Receipts, no_streams
from extauthz.keeper.upkeep import Upkeep
from extauthz.model.receipt import Action
from extauthz.model.restriction import OPERATOR
from extauthz.state import signals
from extauthz.state.follower import Follower
from extauthz.state.restrictions import apply_restrictions, find_restrictions, lift
from extauthz.state.seal import open_seal
from extauthz.state.sessions import note_sessions
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
    from extauthz.model.receipt import Receipt
    from extauthz.model.restriction import Effect, Mark, Restriction
    from extauthz.state.follower import Query
    from extauthz.state.restrictions import Applied
    from extauthz.state.seal import Seal
    from extauthz.state.sessions import SessionSeen
    from extauthz.state.signals import Held, StreamHeard
    from extauthz.state.writer import Writing
    from extauthz.telemetry.statemetrics import Alarm, StateMetrics

_log = structlog.get_logger(__name__)

_ID_BYTES: Final = 16


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

    Attributes:
        news: what was heard and done, for those who wait for it.
        upkeep: the beat, and forgetting.
        hearing: what came to this machine of streams.
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
        streams: Callable[[], tuple[str, ...]] = no_streams,
        metrics: StateMetrics | None = None,
        actions: ActionLog | None = None,
    ) -> None:
        self._key = key
        self._settings = settings
        self._clock = clock
        self._replicator = replicator
        self._metrics = metrics
        self._writer = StateWriter(path, key)
        self._follower = Follower(path)
        self._reading = threading.Lock()
        self.hearing = OwnHearing()
        self._confirmations = Confirmations(confirmers, clock, self._note_confirmed)
        self.news = News(self.reading, clock)
        self._receipts = Receipts(
            self._confirmations,
            clock,
            self.news,
            replicator=replicator,
            streams=streams,
            metrics=metrics,
            actions=actions,
        )
        self.upkeep = Upkeep(
            self._writer,
            clock,
            settings.max_staleness,
            in_sync=lambda: replicator is None or replicator.in_sync(),
            on_jump=lambda: self._raise_alarm("clock_jump"),
        )

    @property
    def answers(self) -> dict[str, int | None]:
        """Return by worker the newest change that it has said it decides by; None when it did not answer."""
        return self._confirmations.answers

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
        self.upkeep.start()

    def stop(self) -> None:
        """End it; whoever waits is answered now."""
        self.news.stop()
        self.upkeep.stop()
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
            done = find_done(writing, action)
            if done is None:
                sessions = count(writing.query, restrictions, self._clock.now())
                if hold_above is not None and sessions > hold_above:
                    done = hold(writing, action, restrictions, sessions, subject)
                else:
                    by_hand = action.received_at if action.source == OPERATOR else None
                    done = apply(writing, restrictions, sessions, by_hand)
                self._remember(writing, action, done, subject=subject, detail=detail)
        return self._receipts.finish(action, done, started, subject=subject, detail=detail)

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
            done = find_done(writing, action)
            if done is None:
                rows = find_restrictions(writing.query, marks, writing.seal, at, on_alarm=self.alarm)
                wanted = [
                    lift(row, at, until, signal=action.id, by=action.by, reason=action.reason)
                    for row in rows
                    if (effects is None or row.effect in effects) and (source is None or row.source == source)
                ]
                done = apply(writing, wanted, 0)
                self._remember(writing, action, done, subject=subject)
        return self._receipts.finish(action, done, started, subject=subject)

    def note(
        self, action: Action, outcome: str, *, subject: str = "", detail: str = "", keep: float | None = None
    ) -> bool:
        """Write down something that was heard and has no effect; return whether it is new.

        Args:
            action: what it is.
            outcome: what became of it, in a word.
            subject: whom it is about, for people.
            detail: what else is to be said, for people.
            keep: seconds until it can be forgotten; as long as what is revoked when None.

        Raises:
            StateError: it could not be made durable.
        """
        until = Instant(self._clock.now() + (self._settings.keep_revocations if keep is None else keep))
        with self.writing() as writing:
            new = signals.remember(writing.connection, action, outcome, detail, subject, 0, until)
        self._receipts.tell(action, outcome if new else "known", subject=subject, detail=detail)
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
            done = apply(writing, [each for each in held.restrictions if each.in_force], held.sessions)
            action = self._settle(writing, held, "admit", by, done)
        return self._receipts.finish(action, done, started, subject=held.subject, detail=held_id)

    def dismiss(self, held_id: str, by: str) -> bool:
        """Let what was held never be in force; return whether anything of that id waited.

        Raises:
            StateError: it could not be made durable.
        """
        done = Done(0, "dismissed")
        with self.writing() as writing:
            held = signals.find_held(writing.query, held_id)
            if held is None:
                return False
            action = self._settle(writing, held, "dismiss", by, done)
        self._receipts.tell(action, done.outcome, subject=held.subject, detail=held_id)
        return True

    def take_over(
        self, restrictions: Sequence[Restriction], *, own: bool = False, streams: Sequence[StreamHeard] = ()
    ) -> Applied:
        """Put in force what another machine was told, and note what it heard; nothing is confirmed yet.

        Raises:
            StateError: it could not be made durable.
        """
        with self.writing() as writing:
            for stream in streams:
                signals.note_stream(writing.connection, stream)
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

    def seal(self, query: Query) -> Seal:
        """Return what our records in the state are known by.

        Raises:
            StateError: it cannot be read.
        """
        return open_seal(query, self._key)

    def replicas(self, number: int) -> tuple[int, int]:
        """Return on how many other machines, of how many, change `number` is in force now."""
        return (0, 0) if self._replicator is None else self._replicator.wait_for_replicas(number, 0.0)

    def heard(self, stream: str, at: Instant) -> None:
        """Note that a stream was heard.

        Raises:
            StateError: it could not be written.
        """
        with self.writing() as writing:
            signals.stream_heard(writing.connection, stream, at)
        self.hearing.heard(stream, at)

    def set_stream_status(self, stream: str, status: str, at: Instant) -> None:
        """Note what its transmitter says of a stream.

        Raises:
            StateError: it could not be written.
        """
        with self.writing() as writing:
            signals.stream_status(writing.connection, stream, status, at)
        self.hearing.told(stream, status, at)

    def alarm(self, sentence: str) -> None:
        """Report a record in the state that was not written by us."""
        _log.error("the state holds what we did not write", problem=sentence)
        self._raise_alarm("forged_row")

    def _remember(self, writing: Writing, action: Action, done: Done, *, subject: str = "", detail: str = "") -> bool:
        until = Instant(self._clock.now() + self._settings.keep_revocations)
        return signals.remember(writing.connection, action, done.outcome, detail, subject, done.number, until)

    def _settle(self, writing: Writing, held: Held, kind: str, by: str, done: Done) -> Action:
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

    def _note_confirmed(self, worker: str, seconds: float) -> None:
        if self._metrics is not None:
            self._metrics.worker_confirmed(int(worker), seconds)

    def _raise_alarm(self, what: Alarm) -> None:
        if self._metrics is not None:
            self._metrics.alarm(what)
