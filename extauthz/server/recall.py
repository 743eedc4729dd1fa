"""Kept decisions: the answer to a question that was asked before, if it still holds.

The laws. A kept decision is the fresh decision:

1. The key names everything that the decision depends on (`decision/keys.py`); what cannot be named is not kept.
2. It holds until the first instant at which it could change by itself (`decision/lifetime.py`).
3. It rests on epochs that were read before the facts. They are compared before it is stored and whenever it is found,
   after a look for changes that began when the question was here already. One look serves all questions of a batch.

Time is the wall clock's: when that is set back to before a decision, it is made anew.

Memory is bounded by a number of decisions. No token and no body is kept, since repeating an answer needs none.
Eviction is second chance: the oldest goes first, but one that was found since it was last looked at is passed over
once, so a flood of new questions cannot drive out those asked all the time.

A question that is found again is known by its sketch from then on (`sketchbook.py`), which spares naming it.

A kept answer is bytes with the decision's own id cut out: each repetition gets an id of its own. Of several threads
that miss the same key at once, the first decides and the others wait for it, each within its own deadline.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from extauthz.decision.keys import decision_key
from extauthz.model.decision import Decision
from extauthz.model.request import Request
from extauthz.model.verdict import Deny, WaitUntil
from extauthz.request.question import read_question
from extauthz.server.sketchbook import Sketchbook

if TYPE_CHECKING:
    from collections.abc import Callable

    from extauthz.clock import Clock, Instant
    from extauthz.decision.keys import DecisionKey
    from extauthz.ids import DecisionId
    from extauthz.pipeline import Answer, Reusable
    from extauthz.policy.ruleset import Ruleset
    from extauthz.ports import EpochView, RecordSink
    from extauthz.request.bounds import Proxy
    from extauthz.request.question import Question

_LANDED: Final = threading.Event()
_LANDED.set()


class Named(NamedTuple):
    """A question that can be found again.

    Attributes:
        key: what it is kept under.
        question: what was read of it, with the ids of this one request.
    """

    key: DecisionKey
    question: Question


@dataclass(slots=True)
class Kept:
    """A kept decision.

    Attributes:
        decision: the one that was made first, as far as counting and recording need it.
        reusable: for how long it holds.
        pieces: the serialised answer, cut where the decision id stands.
        record: what the records of all repetitions have in common; made when the first one is found.
        count: counts a repetition, given the seconds that it took; as `record`.
        found: whether it was found since eviction last looked at it.
        gone: whether it is kept no more, also where it is still known by a sketch.
        sketchable: whether questions for it may have sketches, as far as is known.
        checked: stopwatch when its epochs were last compared.
    """

    decision: Decision
    reusable: Reusable
    pieces: tuple[bytes, ...]
    record: bytes | None = None
    count: Callable[[float], None] | None = None
    found: bool = False
    gone: bool = False
    sketchable: bool = True
    checked: float = -math.inf

    def answer(self, decision_id: DecisionId) -> bytes:
        """Return the serialised answer under another id, which has the length of every id."""
        return decision_id.encode("ascii").join(self.pieces)


@dataclass(frozen=True, slots=True)
class RecallCounts:
    """How the cache fares.

    Attributes:
        hits: questions answered from it.
        recognised: those of them that were known by their sketch.
        misses: questions that could be named and were not there. One that then waits for another thread is looked for
            twice, and both times are counted.
        stale: kept decisions that were found and no longer held.
        unnamed: questions that could not be named.
        evicted: kept decisions that made room for others.
        kept: decisions in it.
    """

    hits: int = 0
    recognised: int = 0
    misses: int = 0
    stale: int = 0
    unnamed: int = 0
    evicted: int = 0
    kept: int = 0


class Recall:
    """Finds and keeps decisions; many threads at once.

    Args:
        epochs: count the changes of facts.
        records: prepares what records of a kept decision have in common.
        capacity: decisions that are kept at most; 0 keeps none.
        clock: the stopwatch.
        freshen: looks for changes that nobody tells of; None where reading epochs does that.
    """

    def __init__(
        self,
        epochs: EpochView,
        records: RecordSink,
        capacity: int,
        clock: Clock,
        freshen: Callable[[], object] | None = None,
    ) -> None:
        self._epochs = epochs
        self._freshen = freshen
        self._freshened = -math.inf
        self._clock = clock
        self._records = records
        self._capacity = capacity
        self._kept: OrderedDict[DecisionKey, Kept] = OrderedDict()
        self._change = threading.Lock()
        self._flights: dict[DecisionKey, threading.Event | None] = {}
        self._book: Sketchbook | None = None
        self._hits = self._recognised = self._misses = self._stale = self._unnamed = self._evicted = 0

    def recognise(
        self, raw: bytes, proxy: Proxy | None, ruleset: Ruleset | None, at: Instant, asked: float
    ) -> tuple[Kept, tuple[str, str]] | None:
        """Return the kept decision for a question whose like was found before, if it holds at `at`, with its own ids.

        Args:
            raw: the question.
            proxy: who asks.
            ruleset: the policy in force.
            at: the instant of the answer.
            asked: stopwatch when the question was here already; epochs that were compared since are not compared again.
        """
        book = self._book
        if book is None or book.ruleset is not ruleset or proxy is None:
            return None
        found = book.find(raw, proxy)
        if found is None or found[0].gone or not self._holds(found[0], at, asked):
            return None
        self._hits += 1
        self._recognised += 1
        found[0].found = True
        return found

    def learn(self, raw: bytes, proxy: Proxy | None, ruleset: Ruleset | None, kept: Kept) -> None:
        """Recognise questions like this one, which was found by its name, from now on."""
        if proxy is None or ruleset is None or not kept.sketchable:
            return
        book = self._book
        if book is None or book.ruleset is not ruleset:
            book = self._book = Sketchbook(ruleset, self._capacity)
        kept.sketchable = book.learn(raw, proxy, kept)

    def name(self, raw: bytes, proxy: Proxy | None, ruleset: Ruleset | None) -> Named | None:
        """Return the question by name, or None when it is not to be kept or found."""
        if proxy is None or ruleset is None or not self._capacity:
            return None
        question = read_question(raw, ruleset.headers_read)
        if question is None:
            self._unnamed += 1
            return None
        key = decision_key(ruleset.revision, proxy, question.name)
        return Named(key, question)

    def find(self, key: DecisionKey, at: Instant) -> Kept | None:
        """Return the kept decision for `key` if it holds at `at`."""
        kept = self._kept.get(key)
        if kept is None or at < kept.decision.at:
            self._misses += 1
            return None
        if not self._holds(kept, at, math.inf):
            self._stale += 1
            with self._change:
                kept.gone = True
                if self._kept.get(key) is kept:
                    del self._kept[key]
            return None
        self._hits += 1
        kept.found = True
        return kept

    def keep(self, key: DecisionKey, answer: Answer) -> None:
        """Keep an answer, unless it must not be reused, counts from now or a fact has changed since it was read."""
        reusable = answer.reusable
        if reusable is None or _counts_down(answer.decision):
            return
        self._look(math.inf)
        if not self._is_current(reusable):
            return
        pieces = tuple(answer.response.split(answer.decision.decision_id.encode("ascii")))
        kept = Kept(_without_secrets(answer.decision), reusable, pieces)
        with self._change:
            replaced = self._kept.pop(key, None)
            if replaced is not None:
                replaced.gone = True
            while len(self._kept) >= self._capacity:
                self._evict_one()
            self._kept[key] = kept

    def record_of(self, kept: Kept) -> bytes:
        """Return what the records of all repetitions of a kept decision have in common."""
        if kept.record is None:
            kept.record = self._records.prepare(kept.decision)
        return kept.record

    def lead(self, key: DecisionKey) -> threading.Event | None:
        """Return None to whoever shall decide `key` and call `land`; to others what is set when it has.

        Who looked just before another thread landed is one of the others, or it would be decided twice.
        """
        with self._change:
            if key in self._flights:
                flight = self._flights[key] = self._flights[key] or threading.Event()
                return flight
            if key in self._kept:
                return _LANDED
            self._flights[key] = None  # Most questions are asked once, and an event is made for who waits only.
            return None

    def land(self, key: DecisionKey) -> None:
        """Let those who wait for `key` go on."""
        with self._change:
            flight = self._flights.pop(key)
        if flight is not None:
            flight.set()

    def counts(self) -> RecallCounts:
        """Return how the cache fares now."""
        return RecallCounts(
            self._hits, self._recognised, self._misses, self._stale, self._unnamed, self._evicted, len(self._kept)
        )

    def _holds(self, kept: Kept, at: Instant, asked: float) -> bool:
        """Return whether a kept decision holds at `at` for a question that was here at `asked`."""
        if not kept.decision.at <= at < kept.reusable.until:
            return False
        if kept.checked > asked:
            return True
        begun = self._clock.monotonic()  # Before the epochs are read: what is compared is at least as new.
        self._look(asked)
        if not self._is_current(kept.reusable):
            return False
        kept.checked = begun
        return True

    def _look(self, asked: float) -> None:
        """Look for changes, unless that was begun since `asked`."""
        if self._freshen is None or self._freshened > asked:
            return
        begun = self._clock.monotonic()
        self._freshen()
        self._freshened = begun

    def _is_current(self, reusable: Reusable) -> bool:
        return self._epochs.read_epochs(reusable.rests_on) == reusable.epochs

    def _evict_one(self) -> None:
        """Make room for one. Each decision that was found is passed over once, so this ends."""
        while (kept := self._kept[key := next(iter(self._kept))]).found:
            kept.found = False
            self._kept.move_to_end(key)
        kept.gone = True
        del self._kept[key]
        self._evicted += 1


def _counts_down(decision: Decision) -> bool:
    """Return whether the answer says how many seconds to wait, and so is another one with each of them."""
    verdict = decision.verdict
    return isinstance(verdict, Deny) and any(isinstance(remedy, WaitUntil) for remedy in verdict.remedies)


def _without_secrets(decision: Decision) -> Decision:
    """Return a decision without headers, query and body of the request: a token would stay in memory with them."""
    request = decision.request
    return Decision(
        decision_id=decision.decision_id,
        at=decision.at,
        verdict=decision.verdict,
        proxy=decision.proxy,
        policy=decision.policy,
        request=_only_recorded(request) if request is not None else None,
        target=decision.target,
        identity=decision.identity,
        attributes=decision.attributes,
        shadow=decision.shadow,
        observed=decision.observed,
    )


def _only_recorded(request: Request) -> Request:
    return Request(
        method=request.method,
        host=request.host,
        path=request.path,
        segments=(),
        upgrade=request.upgrade,
        preflight_method=request.preflight_method,
        source=replace(request.source, certificate="") if request.source.certificate else request.source,
        context=request.context,
    )
