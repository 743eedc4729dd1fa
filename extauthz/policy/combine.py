"""The combining table, and only here.

| rule   | applies and holds                | applies, unmet     | failed to evaluate         |
| ------ | -------------------------------- | ------------------ | -------------------------- |
| forbid | deny (unless its `unless` holds) | (cannot be)        | deny, `evaluation_failed`  |
| guard  | continue                         | deny, with remedy  | deny, `evaluation_failed`  |
| permit | grants                           | does not grant     | does not grant; recorded   |

No granting permit: deny. Nothing at all: deny. An observed rule never changes the answer; it is noted.

Forbids speak first, then failures, then guards together with the best permit: what is unmet there is what stands
between the caller and an allow. If all of it can be repaired, all of it is named at once; if any of it cannot, nothing
is revealed, since the rest would not help.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from extauthz.model.reason import Reason
from extauthz.model.verdict import Allow, Deny, Trail, Verdict
from extauthz.policy.remedies import merge_remedies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extauthz.ids import RuleId
    from extauthz.model.spend import Spend
    from extauthz.policy.rules import Unmet


class Effect(Enum):
    """What sort of rule an outcome comes from."""

    FORBID = "forbid"
    GUARD = "guard"
    PERMIT = "permit"


class State(Enum):
    """How a rule that applies came out. A rule that does not apply has no outcome."""

    HOLDS = "holds"
    UNMET = "unmet"
    FAILED = "failed"
    LIFTED = "lifted"


class Outcome(NamedTuple):
    """What became of one rule that applies, or whose condition failed.

    Attributes:
        id: the rule.
        effect: its sort.
        state: for a forbid `HOLDS` means that it fires. One that its `unless` lifts has no outcome, unless that uses
            something up: then it is `LIFTED`.
        unmet: what is missing, in file order; only with `UNMET`, and then not empty.
        observe: the rule only watches.
        inner: why it failed, for the record.
        failure: the reason of a denial for that.
        missed: an observed requirement of the rule does not hold, or could not be evaluated.
        spends: what its requirements use up if the request is allowed.
    """

    id: RuleId
    effect: Effect
    state: State
    unmet: tuple[Unmet, ...] = ()
    observe: bool = False
    inner: str = ""
    failure: Reason = Reason.EVALUATION_FAILED
    missed: bool = False
    spends: tuple[Spend, ...] = ()


REPAIR_ORDER: Final = (
    Reason.STEP_UP_REQUIRED,
    Reason.INSUFFICIENT_SCOPE,
    Reason.APPROVAL_REQUIRED,
    Reason.TICKET_REQUIRED,
    Reason.UNFAMILIAR_ACTION,
    Reason.OUTSIDE_CHANGE_WINDOW,
    Reason.POSTURE_MISSING,
    Reason.POSTURE_STALE,
    Reason.TASK_MISSING,
)
"""Which reason gives a repairable denial its status: the first of these that applies. Signing in again and a wider
token come in one round trip, so the sign-in leads (RFC 9470 section 3 lets it carry `scope`)."""


def combine(outcomes: Sequence[Outcome]) -> Verdict:
    """Return the verdict that the table gives for the outcomes of one request's rules, in file order."""
    trail = _trail(outcomes)
    permits: list[Outcome] = []
    others: list[Outcome] = []
    for outcome in outcomes:
        if not outcome.observe:
            (permits if outcome.effect is Effect.PERMIT else others).append(outcome)
    for outcome in others:
        if outcome.effect is Effect.FORBID and outcome.state is State.HOLDS:
            return Deny(reason=Reason.FORBIDDEN, rule=outcome.id, trail=trail)
    for outcome in others:
        if _failed(outcome):
            return Deny(reason=outcome.failure, rule=outcome.id, trail=trail, inner=outcome.inner)
    guards = [outcome for outcome in others if outcome.effect is Effect.GUARD and outcome.unmet]
    for permit in permits:
        if permit.state is State.HOLDS:
            if guards:
                return _deny_unmet(guards, trail)
            return Allow(rule=permit.id, spends=_merge_spends([*others, permit]), trail=trail)
    return _deny_without_permit(guards, permits, trail)


def _merge_spends(outcomes: Sequence[Outcome]) -> tuple[Spend, ...]:
    """Return what the outcomes use up; the same thing is used once, by the smallest of its limits.

    Each names the rule that asks for it, so that a refusal can say whose limit was reached.
    """
    merged: dict[tuple[str, bytes], Spend] = {}
    for outcome in outcomes:
        for spend in outcome.spends:
            name, asked = (spend.kind, spend.key), replace(spend, rule=outcome.id)
            merged[name] = min(merged.get(name, asked), asked, key=lambda each: each.limit)
    return tuple(merged.values())


def _failed(outcome: Outcome) -> bool:
    """Return whether the outcome is no answer; one that claims to be unmet without saying what is none either."""
    return outcome.state is State.FAILED or (outcome.state is State.UNMET and not outcome.unmet)


def _deny_without_permit(guards: list[Outcome], permits: list[Outcome], trail: Trail) -> Deny:
    repairable = [permit for permit in permits if permit.unmet]
    if not repairable:
        for permit in permits:
            if permit.failure is Reason.EVIDENCE_UNAVAILABLE:
                # Somebody has a say and gave none: that is our trouble, and may be another answer in a moment.
                return Deny(reason=permit.failure, rule=permit.id, trail=trail, inner=permit.inner)
        inner = next((permit.inner for permit in permits), "")
        return Deny(reason=Reason.NO_PERMIT, trail=trail, inner=inner)
    best = min(repairable, key=lambda permit: len(permit.unmet))
    return _deny_unmet([*guards, best], trail)


def _deny_unmet(considered: list[Outcome], trail: Trail) -> Deny:
    """Deny for what the considered rules miss: with every remedy, or with none."""
    missing = [(outcome.id, unmet) for outcome in considered for unmet in outcome.unmet]
    remedies = merge_remedies([unmet.remedy for _, unmet in missing])
    if remedies is None:
        stuck = [(rule, unmet) for rule, unmet in missing if unmet.remedy is None] or missing
        rule, unmet = stuck[0]
        return Deny(reason=unmet.reason, detail=unmet.detail, rule=rule, trail=trail)
    rule, leading = min(missing, key=lambda entry: _repair_rank(entry[1].reason))
    detail = " ".join(dict.fromkeys(unmet.detail for _, unmet in missing if unmet.detail))
    return Deny(reason=leading.reason, detail=detail, remedies=remedies, rule=rule, trail=trail)


def _repair_rank(reason: Reason) -> int:
    return REPAIR_ORDER.index(reason) if reason in REPAIR_ORDER else len(REPAIR_ORDER)


def _trail(outcomes: Sequence[Outcome]) -> Trail:
    met: list[RuleId] = []
    unmet: list[RuleId] = []
    would_deny: list[RuleId] = []
    would_allow: list[RuleId] = []
    for outcome in outcomes:
        if outcome.state is State.LIFTED:
            continue
        stands_in_the_way = (outcome.state is State.HOLDS) is (outcome.effect is Effect.FORBID)
        if not outcome.observe:
            (unmet if stands_in_the_way or outcome.state is State.FAILED else met).append(outcome.id)
        elif outcome.effect is Effect.PERMIT:
            if outcome.state is State.HOLDS:
                would_allow.append(outcome.id)
        elif stands_in_the_way or outcome.state is State.FAILED:
            would_deny.append(outcome.id)
        if outcome.missed and not outcome.observe and outcome.state is State.HOLDS:
            would_deny.append(outcome.id)
    return Trail(met=tuple(met), unmet=tuple(unmet), would_deny=tuple(would_deny), would_allow=tuple(would_allow))
