"""One question: the shell round the core.

1. Too late to be of use: decided `overloaded`, unread.
2. Ask the core. When it needs evidence, fetch that within what is left of the deadline and ask again with a fresh
   instant. No time, no waiting slot, or no success is told to the core as `UNAVAILABLE`, so that the denial is made and
   recorded with all that is known.
3. Offer the decision to the record. Where an allow cannot be recorded it becomes `overloaded`, unless the settings say
   that records may be dropped.
4. Whatever goes wrong here: a fixed 503 denial. No exception reaches the engine, since an RPC error is not a denial.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import structlog

from extauthz import pipeline
from extauthz.ids import new_decision_id
from extauthz.model.decision import Decision
from extauthz.model.reason import Reason
from extauthz.model.verdict import Deny
from extauthz.ports import Evidence, Fetched, Need, NeedsEvidence
from extauthz.response.to_envoy import UNANSWERABLE, to_envoy

if TYPE_CHECKING:
    from extauthz.clock import Clock
    from extauthz.policy.live import LivePolicy
    from extauthz.policy.ruleset import Ruleset
    from extauthz.ports import EvidenceSource, RecordSink
    from extauthz.request.bounds import Proxy
    from extauthz.server.bulkhead import Bulkhead
    from extauthz.telemetry.metrics import Metrics

_log = structlog.get_logger(__name__)

MAX_FETCHES: Final = 3
"""Fetches for one question; the core needs one for a key, and a token cannot make it need more than a few."""

MIN_REMAINING: Final = 0.002
"""Seconds that must be left before Envoy gives up; with less, the answer would only burn time that others need."""


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
    """

    policy: LivePolicy
    views: pipeline.Views
    evidence: EvidenceSource
    records: RecordSink
    metrics: Metrics
    clock: Clock
    waiting: Bulkhead


class Checker:
    """Answers questions; many threads at once.

    Args:
        rim: the outside.
        deadline: seconds for one decision, fetches included.
        refuse_unrecorded: whether an allow that cannot be recorded becomes a denial.
    """

    def __init__(self, rim: Rim, *, deadline: float, refuse_unrecorded: bool) -> None:
        self._rim = rim
        self._deadline = deadline
        self._refuse_unrecorded = refuse_unrecorded

    def check(self, raw: bytes, proxy: Proxy | None, *, remaining: float | None = None) -> bytes:
        """Return the serialised `CheckResponse` to `raw`; never raises.

        Args:
            raw: the serialised `CheckRequest`; nobody has looked at it.
            proxy: who asks; None when that is not known.
            remaining: seconds until the asker gives up; None when it did not say.
        """
        started = self._rim.clock.monotonic()
        budget = self._deadline if remaining is None else min(self._deadline, remaining - MIN_REMAINING)
        if budget <= 0:
            return self.refuse(Reason.OVERLOADED, proxy)
        self._rim.metrics.began()
        try:
            return self._settle(self._decide(raw, proxy, started + budget), started)
        except Exception:  # noqa: BLE001 — the last boundary before the engine: an error there would not be a denial
            _log.exception("no decision could be made")
            return UNANSWERABLE
        finally:
            self._rim.metrics.ended()

    def refuse(self, reason: Reason, proxy: Proxy | None) -> bytes:
        """Return a serialised denial for `reason` without looking at the question; never raises."""
        started = self._rim.clock.monotonic()
        try:
            return self._settle(self._refusal(reason, proxy, self._rim.policy.current), started)
        except Exception:  # noqa: BLE001 — as in `check`
            _log.exception("no refusal could be made", reason=reason)
            return UNANSWERABLE

    def _decide(self, raw: bytes, proxy: Proxy | None, until: float) -> pipeline.Answer:
        ruleset = self._rim.policy.current
        decision_id = new_decision_id()
        outcomes: dict[Need, Fetched] = {}
        for _ in range(MAX_FETCHES + 1):
            answer = pipeline.check(
                raw,
                proxy=proxy,
                views=self._rim.views,
                ruleset=ruleset,
                evidence=Evidence(outcomes),
                at=self._rim.clock.now(),
                decision_id=decision_id,
            )
            if not isinstance(answer, NeedsEvidence):
                return answer
            outcomes = {**outcomes, answer.need: self._fetch(answer.need, until)}
        return self._refusal(Reason.EVIDENCE_UNAVAILABLE, proxy, ruleset, inner="too many fetches")

    def _fetch(self, need: Need, until: float) -> Fetched:
        with self._rim.waiting.enter() as free:
            left = until - self._rim.clock.monotonic()
            outcome = self._rim.evidence.fetch(need, left) if free and left > 0 else Fetched.UNAVAILABLE
        self._rim.metrics.evidence_awaited(outcome)
        return outcome

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
        return pipeline.Answer(to_envoy(decision), decision)

    def _settle(self, answer: pipeline.Answer, started: float) -> bytes:
        response, decision = answer.response, answer.decision
        latency = self._rim.clock.monotonic() - started
        if response is UNANSWERABLE and decision.allowed:
            # The record must tell what was answered.
            decision = replace(decision, verdict=Deny(reason=Reason.INTERNAL_ERROR, inner="unanswerable"))
        recorded = self._rim.records.offer(decision, latency)
        if not recorded and decision.allowed and self._refuse_unrecorded:
            # An allow without a record would be an access that nobody can account for afterwards.
            decision = replace(decision, verdict=Deny(reason=Reason.OVERLOADED, inner="no room in the record"))
            response = to_envoy(decision)
        self._rim.metrics.decided(decision, latency)
        return response
