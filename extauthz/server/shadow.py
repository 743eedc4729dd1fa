"""A policy that runs as a shadow: it is asked about every fresh decision and changes none.

1. The answer goes out without waiting: a thread of its own asks the shadow afterwards. When that thread falls behind,
   decisions are left out and counted, so that it never holds up, nor takes memory without bound.
2. The caller is the one that was proven for the answer. Where the shadow asks for another credential or profile nobody
   can tell; what was refused before policy was asked is no matter of policy.
3. Whatever goes wrong in the shadow is counted, and is nobody else's trouble.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from extauthz.errors import Refusal
from extauthz.judge import Given, NotRecorded, judge
from extauthz.model.reason import Reason
from extauthz.model.shadow import ShadowChange, ShadowOutcome
from extauthz.model.verdict import Deny
from extauthz.nothing import NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable

    from extauthz.model.decision import Decision
    from extauthz.model.identity import Identity
    from extauthz.model.request import Request
    from extauthz.pipeline import Answer
    from extauthz.policy.live import LivePolicy
    from extauthz.policy.ruleset import Route, Ruleset
    from extauthz.ports import RestrictionSource, StateSource

_log = structlog.get_logger(__name__)

MAX_WAITING: Final = 256
"""Decisions that may wait for the shadow; each keeps its request, with the body, in memory."""

_NOT_POLICY: Final = frozenset(
    {
        Reason.PROXY_UNAUTHENTICATED,
        Reason.PROXY_OUT_OF_BOUNDS,
        Reason.EVIDENCE_UNAVAILABLE,
        Reason.STATE_STALE,
        Reason.SIGNALS_STALE,
        Reason.OVERLOADED,
        Reason.INTERNAL_ERROR,
    }
)
"""Refusals that no policy would change, but those that a rule has made: it asked somebody who did not answer."""


class Slot:
    """The place where the outcome appears; implements `model.shadow.Shadow`. Safe to use from any thread."""

    __slots__ = ("_change", "_heard", "_outcome")

    def __init__(self) -> None:
        self._change = threading.Lock()
        self._outcome: ShadowOutcome | None = None
        self._heard: list[Callable[[ShadowOutcome], object]] = []

    @property
    def outcome(self) -> ShadowOutcome | None:
        """Return what the shadow says; None while that is not known."""
        return self._outcome

    def settle(self, outcome: ShadowOutcome) -> None:
        """Make the outcome known, once, and tell those who wait for it."""
        with self._change:
            self._outcome = outcome
            heard, self._heard = self._heard, []
        for each in heard:
            each(outcome)

    def hear(self, listener: Callable[[ShadowOutcome], object]) -> None:
        """Call `listener` with the outcome: now, or as soon as it is known."""
        with self._change:
            if self._outcome is None:
                self._heard.append(listener)
                return
        listener(self._outcome)


class Watching(Protocol):
    """Whoever looks on."""

    def watch(self, answer: Answer) -> Answer:
        """Return the answer with a place for what the shadow says to it; never waits."""
        ...


class ShadowPolicy:
    """Asks a shadow. Call `stop` when done.

    Args:
        live: the shadow; it is exchanged like the policy in force.
        state: changeable facts.
        restrictions: what was taken away after login.
        capacity: decisions that may wait.
    """

    def __init__(
        self,
        live: LivePolicy,
        state: StateSource,
        restrictions: RestrictionSource = NOTHING,
        *,
        capacity: int = MAX_WAITING,
    ) -> None:
        self._live = live
        self._state = state
        self._restrictions = restrictions
        self._capacity = capacity
        self._waiting: deque[tuple[Decision, Ruleset, Slot]] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="extauthz-shadow", daemon=True)
        self._thread.start()

    def watch(self, answer: Answer) -> Answer:
        """Return the answer with a place for what the shadow says to it; never waits."""
        ruleset, decision = self._live.current, answer.decision.enforced
        if ruleset is None or decision.request is None or not _is_of_policy(decision):
            return answer
        shadow = Slot()
        with self._changed:
            room = len(self._waiting) < self._capacity and not self._stopped
            if room:
                self._waiting.append((decision, ruleset, shadow))
                self._changed.notify()
        if not room:
            shadow.settle(ShadowOutcome(ShadowChange.SKIPPED, "untold", ruleset.revision, reason="too many waited"))
        return replace(answer, decision=replace(answer.decision, shadow=shadow))

    def stop(self) -> None:
        """Ask about nothing any more; what waits is left out."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._stopped:
                    self._changed.wait()
                if self._stopped:
                    return
                decision, ruleset, shadow = self._waiting.popleft()
            shadow.settle(self._ask(decision, ruleset))

    def _ask(self, decision: Decision, ruleset: Ruleset) -> ShadowOutcome:
        try:
            return find_outcome(decision, ruleset, self._state, self._restrictions)
        except Exception as error:  # noqa: BLE001 — the shadow's trouble must stay its own, and the next one be asked
            _log.exception("shadow policy failed", error=type(error).__name__)
            return ShadowOutcome(ShadowChange.FAILED, "failed", ruleset.revision)


def find_outcome(
    decision: Decision, ruleset: Ruleset, state: StateSource, restrictions: RestrictionSource = NOTHING
) -> ShadowOutcome:
    """Return what a policy says about a request that another policy has decided."""
    request = decision.request
    if request is None:
        return ShadowOutcome(ShadowChange.UNTOLD, "untold", ruleset.revision, reason="the request")
    given = Given(
        read_request=lambda: request,
        identify=lambda route, asked: _identify(decision, route, asked),
        state=state,
        restrictions=restrictions,
        at=decision.at,
    )
    judged = judge(given, ruleset)
    said = judged.decision
    if judged.missing:
        return ShadowOutcome(ShadowChange.UNTOLD, "untold", ruleset.revision, reason=judged.missing)
    if said.reason is Reason.INTERNAL_ERROR:
        return ShadowOutcome(ShadowChange.FAILED, "failed", ruleset.revision, reason=said.reason.value)
    return ShadowOutcome(
        _change(decision, said),
        "allow" if said.allowed else "deny",
        ruleset.revision,
        reason="" if said.allowed else said.reason.value,
        rule=said.verdict.rule or "",
    )


def _is_of_policy(decision: Decision) -> bool:
    unanswered = decision.reason is Reason.EVIDENCE_UNAVAILABLE and decision.verdict.rule is not None
    return unanswered or decision.reason not in _NOT_POLICY


def _change(decision: Decision, said: Decision) -> ShadowChange:
    if decision.allowed is not said.allowed:
        return ShadowChange.OPENS if said.allowed else ShadowChange.CLOSES
    return ShadowChange.NONE if decision.reason is said.reason else ShadowChange.REASON


def _identify(decision: Decision, route: Route, request: Request) -> Identity:
    """Return the caller that was proven, if the route would have proven the same one.

    Raises:
        NotRecorded: the route asks for another credential or profile, or nobody was asked for one.
        Refusal: the caller could not be proven, and the route asks for the same.
    """
    del request
    target, verdict = decision.target, decision.verdict
    if target is None or (target.verify, target.credential) != (route.verify or "", route.credential.value):
        what = "another credential"
        raise NotRecorded(what)
    if decision.identity is not None:
        return decision.identity
    if isinstance(verdict, Deny):
        raise Refusal(verdict.reason, inner="as in force")
    what = "who asked"
    raise NotRecorded(what)
