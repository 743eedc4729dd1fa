"""One question: the shell round the core.

1. Too late to be of use: decided `overloaded`, unread.
2. The same was decided before and still holds (`recall.py`): the same answer under an id of its own, recorded anew.
   Otherwise ask the core. When it needs evidence, fetch that within what is left of the deadline and ask again with a
   fresh instant. No time, no waiting slot, or no success is told to the core as `UNAVAILABLE`, so that the denial is
   made and recorded with all that is known.
3. Spend what an allow uses up (the `jti` of a proof). Refused, late, unknown, or changed meanwhile: a denial.
4. Offer the decision to the record. Where an allow cannot be recorded it becomes `overloaded`, unless the settings say
   that records may be dropped.
5. Whatever goes wrong here: a fixed 503 denial. No exception reaches the engine, since an RPC error is not a denial.

What is only observed goes through at each of these exits, and its record says what would have been (`observing.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import structlog

from extauthz import pipeline
from extauthz.ids import new_decision_id
from extauthz.model.decision import Decision, Observed
from extauthz.model.reason import Reason
from extauthz.model.verdict import Deny, WaitUntil
from extauthz.observing import Observing, observe
from extauthz.ports import NO_EVIDENCE, Evidence, Fetched, Need, NeedsEvidence, SpendOutcome, Spent
from extauthz.response.to_envoy import LET_THROUGH, UNANSWERABLE, to_envoy
from extauthz.server.underway import Joining, Underway, Waiting

if TYPE_CHECKING:
    from threading import Event

    from extauthz.clock import Clock, Instant
    from extauthz.ids import DecisionId
    from extauthz.policy.live import LivePolicy
    from extauthz.policy.ruleset import Ruleset
    from extauthz.ports import EvidenceSource, RecordSink, Spender
    from extauthz.request.bounds import Proxy
    from extauthz.request.message import Message
    from extauthz.server.bulkhead import Bulkhead
    from extauthz.server.engine import Pending
    from extauthz.server.keyuses import KeyUses
    from extauthz.server.recall import Kept, Named, Recall
    from extauthz.server.sessionnotes import SessionNotes
    from extauthz.server.shadow import Watching
    from extauthz.telemetry.metrics import Metrics

_log = structlog.get_logger(__name__)

MAX_FETCHES: Final = 8
"""Fetches for one question: two keys (token, transaction), an answer of the issuer, a status list and its key, and what
three requirements have to have asked."""

MIN_REMAINING: Final = 0.002
"""Seconds that must be left before Envoy gives up; with less, the answer would only burn time that others need."""

_SAYING_NOTHING: Final = (UNANSWERABLE, LET_THROUGH)
"""Answers to what could not be answered as decided; they are never kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rim:
    """What the checker uses of the outside.

    Attributes:
        policy: the policy in force.
        views: in-memory facts.
        evidence: fetches what the views lack.
        records: takes decisions for the record.
        metrics: counts them.
        clock: wall clock and stopwatch.
        waiting: bounds how many decisions wait for evidence.
        recall: kept decisions.
        spender: takes what can be used up; None when nothing here can.
        uses: notes when API keys were used; None where there are none.
        sessions: notes which sessions are used; None where nobody wants to know.
        shadow: a policy that only looks on; None when none runs.
        observing: requests that go through whatever is decided; None when everything is enforced.
    """

    policy: LivePolicy
    views: pipeline.Views
    evidence: EvidenceSource
    records: RecordSink
    metrics: Metrics
    clock: Clock
    waiting: Bulkhead
    recall: Recall
    spender: Spender | None = None
    uses: KeyUses | None = None
    sessions: SessionNotes | None = None
    shadow: Watching | None = None
    observing: Observing | None = None


class Checker:
    """Answers questions; many threads at once.

    Args:
        rim: the outside.
        deadline: seconds for one decision, fetches included.
        refuse_unrecorded: whether an allow that cannot be recorded becomes a denial.
    """

    def __init__(self, rim: Rim, *, deadline: float, refuse_unrecorded: bool) -> None:
        self._rim = rim
        self._notes_uses = rim.uses is not None or rim.sessions is not None
        self._deadline = deadline
        self._refuse_unrecorded = refuse_unrecorded

    def check(self, raw: bytes, proxy: Proxy | None, *, remaining: float | None = None) -> bytes:
        """Return the serialised `CheckResponse` to `raw`, after fetches where it needs some; never raises.

        Args:
            raw: the serialised `CheckRequest`; nobody has looked at it.
            proxy: who asks; None when that is not known.
            remaining: seconds until the asker gives up; None when it did not say.
        """
        answer = self.try_check(raw, proxy, remaining=remaining)
        return answer if isinstance(answer, bytes) else answer.finish()

    def try_check(
        self, raw: bytes, proxy: Proxy | None, *, remaining: float | None = None, asked: float | None = None
    ) -> bytes | Pending:
        """Return what `check` does, or without waiting the question that needs a fetch first; never raises."""
        rim = self._rim
        started = rim.clock.monotonic()
        budget = self._deadline if remaining is None else min(self._deadline, remaining - MIN_REMAINING)
        if budget <= 0:
            return self.refuse(Reason.OVERLOADED, proxy)
        try:
            at = rim.clock.now()
            known = rim.recall.recognise(raw, proxy, rim.policy.current, at, started if asked is None else asked)
            if known is not None:
                kept, ids = known
                return self._give_again(kept, new_decision_id(), at, started, ids)
            question = Underway(
                raw=raw,
                proxy=proxy,
                ruleset=self._rim.policy.current,
                decision_id=new_decision_id(),
                started=started,
                until=started + budget,
            )
            return self._first(question)
        except Exception:  # noqa: BLE001 — the last boundary before the engine: an error there would not be a denial
            _log.exception("no decision could be made")
            return self._last_resort(proxy)

    def _first(self, question: Underway) -> bytes | Pending:
        """Answer from what is kept; decide; or say that this has to wait."""
        named = self._rim.recall.name(question.raw, question.proxy, question.ruleset)
        if named is None:
            return self._decide_first(question)
        known = self._repeat(question, named)
        if known is not None:
            return known
        flight = self._rim.recall.lead(named.key)
        if flight is not None:
            return Joining(self, question, named, flight)
        try:
            return self._decide_first(question, named)
        finally:
            self._rim.recall.land(named.key)

    def join(self, question: Underway, named: Named, flight: Event) -> bytes:
        """Return the answer to a question that another thread decides, or decide it when that takes too long."""
        try:
            flight.wait(max(0.0, question.until - self._rim.clock.monotonic()))
            answer = self._repeat(question, named) or self._decide_first(question, named)
            return answer if isinstance(answer, bytes) else answer.finish()
        except Exception:  # noqa: BLE001 — as in `try_check`
            _log.exception("no decision could be made")
            return self._last_resort(question.proxy)

    def _decide_first(self, question: Underway, named: Named | None = None) -> bytes | Pending:
        self._rim.metrics.began()
        try:
            answer = self._ask(question, NO_EVIDENCE, named.question.message if named is not None else None)
            if isinstance(answer, NeedsEvidence) or answer.spends:
                return Waiting(self, question, answer)
            response = self._settle(answer, question.started)
            if named is not None and answer.response not in _SAYING_NOTHING:
                self._rim.recall.keep(named.key, answer)
            return response
        finally:
            self._rim.metrics.ended()

    def _repeat(self, question: Underway, named: Named) -> bytes | None:
        """Return the answer of a kept decision that holds now, recorded and counted like any other."""
        at = self._rim.clock.now()
        kept = self._rim.recall.find(named.key, at)
        if kept is None:
            return None
        self._rim.recall.learn(question.raw, question.proxy, question.ruleset, kept)
        ids = named.question.request_id, named.question.trace_id
        return self._give_again(kept, question.decision_id, at, question.started, ids)

    def _give_again(
        self, kept: Kept, decision_id: DecisionId, at: Instant, started: float, ids: tuple[str, str]
    ) -> bytes:
        """Return the answer of a kept decision that holds at `at`, recorded and counted like any other."""
        rim = self._rim
        latency = rim.clock.monotonic() - started
        recorded = rim.records.offer_again(kept.record or rim.recall.record_of(kept), (decision_id, at, latency, *ids))
        if not recorded and self._must_record(kept.decision):
            refused = replace(kept.decision, decision_id=decision_id, at=at)
            return self._refuse_unrecordable(refused, latency)
        if self._notes_uses:
            self._note_use(kept.decision, at)
        if kept.count is None:
            kept.count = rim.metrics.counter(kept.decision)
        kept.count(latency)
        return kept.answer(decision_id)

    def finish(self, question: Underway, first: pipeline.Answer | NeedsEvidence) -> bytes:
        """Return the answer to a question that needs a fetch or spends something, after that; never raises."""
        self._rim.metrics.began()
        try:
            answer = self._decide(question, first) if isinstance(first, NeedsEvidence) else first
            return self._settle(self._spend(question, answer) if answer.spends else answer, question.started)
        except Exception:  # noqa: BLE001 — as in `try_check`
            _log.exception("no decision could be made")
            return self._last_resort(question.proxy)
        finally:
            self._rim.metrics.ended()

    def refuse(self, reason: Reason, proxy: Proxy | None) -> bytes:
        """Return a serialised denial for `reason` without looking at the question; never raises."""
        started = self._rim.clock.monotonic()
        try:
            return self._settle(self._refusal(reason, proxy, self._rim.policy.current), started)
        except Exception:  # noqa: BLE001 — as in `check`
            _log.exception("no refusal could be made", reason=reason)
            return self._last_resort(proxy)

    def _last_resort(self, proxy: Proxy | None) -> bytes:
        """Return the fixed answer for when none can be made."""
        observing = self._rim.observing
        observed = observing is not None and observing.covers(proxy.name if proxy else "", None, None)
        return LET_THROUGH if observed else UNANSWERABLE

    def _ask(
        self, question: Underway, evidence: Evidence, message: Message | None = None
    ) -> pipeline.Answer | NeedsEvidence:
        answer = pipeline.check(
            message or question.raw,
            proxy=question.proxy,
            views=self._rim.views,
            ruleset=question.ruleset,
            evidence=evidence,
            observing=self._rim.observing,
            at=self._rim.clock.now(),
            decision_id=question.decision_id,
        )
        shadow = self._rim.shadow
        return answer if shadow is None or isinstance(answer, NeedsEvidence) else shadow.watch(answer)

    def _decide(self, question: Underway, needed: NeedsEvidence) -> pipeline.Answer:
        outcomes: dict[Need, Fetched] = {}
        for _ in range(MAX_FETCHES):
            outcomes = {**outcomes, needed.need: self._fetch(needed.need, question.until)}
            answer = self._ask(question, Evidence(outcomes))
            if not isinstance(answer, NeedsEvidence):
                return answer
            needed = answer
        return self._refusal(Reason.EVIDENCE_UNAVAILABLE, question.proxy, question.ruleset, inner="too many fetches")

    def _fetch(self, need: Need, until: float) -> Fetched:
        with self._rim.waiting.enter() as free:
            left = until - self._rim.clock.monotonic()
            outcome = self._rim.evidence.fetch(need, left) if free and left > 0 else Fetched.UNAVAILABLE
        self._rim.metrics.evidence_awaited(outcome)
        return outcome

    def _spend(self, question: Underway, answer: pipeline.Answer) -> pipeline.Answer:
        """Return the answer when everything that it uses up could be taken, else a denial."""
        with self._rim.waiting.enter() as free:
            left = question.until - self._rim.clock.monotonic()
            spent = Spent(SpendOutcome.UNKNOWN)
            if free and left > 0 and self._rim.spender is not None:
                spent = self._rim.spender.spend(answer.spends, question.name, left)
        self._rim.metrics.spent(spent)
        if spent.outcome is SpendOutcome.DONE:
            return self._as_of_now(question, answer)
        refused = spent.refused
        verdict = Deny(reason=Reason.EVIDENCE_UNAVAILABLE, inner="what it uses up could not be taken in time")
        if spent.outcome is SpendOutcome.REFUSED and refused is not None:
            remedies = () if refused.again_at is None else (WaitUntil(refused.again_at),)
            verdict = Deny(
                reason=refused.refused,
                detail=refused.detail,
                remedies=remedies,
                rule=refused.rule,
                inner=f"used up: {refused.kind}",
            )
        decision = observe(replace(answer.decision, verdict=verdict), self._rim.observing, question.ruleset)
        return pipeline.Answer(to_envoy(decision), decision)

    def _as_of_now(self, question: Underway, answer: pipeline.Answer) -> pipeline.Answer:
        """Return the answer; where a fact has changed while it waited, the refusal of now. What is spent stays so."""
        if self._rim.views.epochs.read_epochs(answer.rests_on) == answer.epochs:
            return answer
        again = self._ask(question, NO_EVIDENCE)
        if isinstance(again, NeedsEvidence):
            return self._refusal(Reason.EVIDENCE_UNAVAILABLE, question.proxy, question.ruleset, inner="facts changed")
        return answer if again.decision.allowed else again

    def _refusal(
        self, reason: Reason, proxy: Proxy | None, ruleset: Ruleset | None, *, inner: str = ""
    ) -> pipeline.Answer:
        decision = Decision(
            decision_id=new_decision_id(),
            at=self._rim.clock.now(),
            verdict=Deny(reason=reason, inner=inner),
            proxy=proxy.name if proxy else "",
            policy=ruleset.revision if ruleset else None,
        )
        decision = observe(decision, self._rim.observing, ruleset)
        return pipeline.Answer(to_envoy(decision), decision)

    def _settle(self, answer: pipeline.Answer, started: float) -> bytes:
        response, decision = answer.response, answer.decision
        latency = self._rim.clock.monotonic() - started
        if response is UNANSWERABLE and decision.allowed:
            # The record must tell what was answered.
            decision = replace(decision, verdict=Deny(reason=Reason.INTERNAL_ERROR, inner="unanswerable"))
        if response is LET_THROUGH:
            would = Deny(reason=Reason.INTERNAL_ERROR, inner="unanswerable")
            decision = replace(decision, observed=Observed(would))
        recorded = self._rim.records.offer(decision, latency)
        if not recorded and self._must_record(decision):
            return self._refuse_unrecordable(decision, latency)
        self._note_use(decision, decision.at)
        self._rim.metrics.decided(decision, latency)
        return response

    def _note_use(self, decision: Decision, at: Instant) -> None:
        if self._rim.uses is not None:
            self._rim.uses.note(decision, at)
        if self._rim.sessions is not None:
            self._rim.sessions.note(decision, at)

    def _must_record(self, decision: Decision) -> bool:
        """Return whether this needs a record: an allow without one is an access that nobody can account for."""
        return decision.allowed and self._refuse_unrecorded and decision.observed is None

    def _refuse_unrecordable(self, decision: Decision, latency: float) -> bytes:
        refused = replace(decision, verdict=Deny(reason=Reason.OVERLOADED, inner="no room in the record"))
        self._rim.metrics.decided(refused, latency)
        return to_envoy(refused)
