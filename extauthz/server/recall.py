"""Kept decisions: the answer to a question that was asked before, if it still holds.

The laws. A kept decision is the fresh decision:

1. The key names everything that the decision depends on (`decision/keys.py`); what cannot be named is not kept.
2. It holds until the first instant at which it could change by itself (`decision/lifetime.py`).
3. It rests on epochs that were read before the facts. They are compared before it is stored and whenever it is found.

Time is the wall clock's: when that is set back to before a decision, it is made anew.

Memory is bounded by a number of decisions. No token and no body is kept, since repeating an answer needs none.
Eviction is second chance: the oldest goes first, but one that was found since it was last looked at is passed over
once, so a flood of new questions cannot drive out those asked all the time.

A kept answer is bytes with the decision's own id cut out: each repetition gets an id of its own. Of several threads
that miss the same key at once, the first decides and the others wait for it, each within its own deadline.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from extauthz.decision.keys import decision_key
from extauthz.model.decision import Decision
from extauthz.model.request import Request, Source
from extauthz.request.question import read_question

if TYPE_CHECKING:
    from extauthz.clock import Instant
    from extauthz.decision.keys import DecisionKey
    from extauthz.ids import DecisionId
    from extauthz.pipeline import Answer, Reusable
    from extauthz.policy.ruleset import Ruleset
    from extauthz.ports import EpochView, RecordSink
    from extauthz.request.bounds import Proxy

_LANDED: Final = threading.Event()
_LANDED.set()


class Named(NamedTuple):
    """A question that can be found again.

    Attributes:
        key: what it is kept under.
        request_id: of this one request.
        trace_id: of this one request.
    """

    key: DecisionKey
    request_id: str
    trace_id: str


@dataclass(slots=True)
class Kept:
    """A kept decision.

    Attributes:
        decision: the one that was made first, as far as counting and recording need it.
        reusable: for how long it holds.
        pieces: the serialised answer, cut where the decision id stands.
        record: what the records of all repetitions have in common; made when the first one is found.
        found: whether it was found since eviction last looked at it.
    """

    decision: Decision
    reusable: Reusable
    pieces: tuple[bytes, ...]
    record: bytes | None = None
    found: bool = False

    def answer(self, decision_id: DecisionId) -> bytes:
        """Return the serialised answer under another id, which has the length of every id."""
        return decision_id.encode("ascii").join(self.pieces)


@dataclass(frozen=True, slots=True)
class RecallCounts:
    """How the cache fares.

    Attributes:
        hits: questions answered from it.
        misses: questions that could be named and were not there. One that then waits for another thread is looked for
            twice, and both times are counted.
        stale: kept decisions that were found and no longer held.
        unnamed: questions that could not be named.
        evicted: kept decisions that made room for others.
        kept: decisions in it.
    """

    hits: int = 0
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
    """

    def __init__(self, epochs: EpochView, records: RecordSink, capacity: int) -> None:
        self._epochs = epochs
        self._records = records
        self._capacity = capacity
        self._kept: OrderedDict[DecisionKey, Kept] = OrderedDict()
        self._change = threading.Lock()
        self._flights: dict[DecisionKey, threading.Event] = {}
        self._hits = self._misses = self._stale = self._unnamed = self._evicted = 0

    def name(self, raw: bytes, proxy: Proxy | None, ruleset: Ruleset | None) -> Named | None:
        """Return the question by name, or None when it is not to be kept or found."""
        if proxy is None or ruleset is None or not self._capacity:
            return None
        question = read_question(raw, ruleset.headers_read)
        if question is None:
            self._unnamed += 1
            return None
        return Named(decision_key(ruleset.revision, proxy, question.name), question.request_id, question.trace_id)

    def find(self, key: DecisionKey, at: Instant) -> Kept | None:
        """Return the kept decision for `key` if it holds at `at`."""
        kept = self._kept.get(key)
        if kept is None or at < kept.decision.at:
            self._misses += 1
            return None
        if at >= kept.reusable.until or not self._is_current(kept.reusable):
            self._stale += 1
            with self._change:
                if self._kept.get(key) is kept:
                    del self._kept[key]
            return None
        self._hits += 1
        kept.found = True
        return kept

    def keep(self, key: DecisionKey, answer: Answer) -> None:
        """Keep an answer, unless it must not be reused or a fact has changed since it was read."""
        reusable = answer.reusable
        if reusable is None or not self._is_current(reusable):
            return
        pieces = tuple(answer.response.split(answer.decision.decision_id.encode("ascii")))
        kept = Kept(_without_secrets(answer.decision), reusable, pieces)
        with self._change:
            self._kept.pop(key, None)
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
            flight = self._flights.get(key)
            if flight is None and key in self._kept:
                return _LANDED
            if flight is None:
                self._flights[key] = threading.Event()
            return flight

    def land(self, key: DecisionKey) -> None:
        """Let those who wait for `key` go on."""
        with self._change:
            flight = self._flights.pop(key)
        flight.set()

    def counts(self) -> RecallCounts:
        """Return how the cache fares now."""
        return RecallCounts(self._hits, self._misses, self._stale, self._unnamed, self._evicted, len(self._kept))

    def _is_current(self, reusable: Reusable) -> bool:
        return self._epochs.read_epochs(reusable.rests_on) == reusable.epochs

    def _evict_one(self) -> None:
        """Make room for one. Each decision that was found is passed over once, so this ends."""
        while (kept := self._kept[key := next(iter(self._kept))]).found:
            kept.found = False
            self._kept.move_to_end(key)
        del self._kept[key]
        self._evicted += 1


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
    )


def _only_recorded(request: Request) -> Request:
    source = Source(address=request.source.address)
    return Request(method=request.method, host=request.host, path=request.path, segments=(), source=source)
