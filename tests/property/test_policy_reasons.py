"""Which reason a denial has, over random policies: the combining table against the obvious reading of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given

from extauthz.model.reason import Reason
from extauthz.model.verdict import Allow
from extauthz.policy.evaluate import evaluate
from extauthz.policy.rules import Failed, Unmet
from tests.property.test_policy_combine import IDENTITIES, RULES, _condition
from tests.simulators.rules import make_facts

if TYPE_CHECKING:
    from extauthz.model.facts import Facts
    from extauthz.model.identity import Identity
    from extauthz.policy.rules import Finding, Forbid, Guard, Permit, Requirement, RouteRules


def findings_of(requirements: tuple[Requirement, ...], facts: Facts) -> list[Finding]:
    """Return what each requirement finds."""
    return [requirement.find(facts) for requirement in requirements]


def failed(rule: Forbid | Guard | Permit, requirements: tuple[Requirement, ...], facts: Facts) -> bool:
    """Return whether a rule cannot be evaluated: its condition, or a requirement once the condition holds."""
    if _condition(rule) is None:
        return True
    return bool(_condition(rule)) and any(isinstance(found, Failed) for found in findings_of(requirements, facts))


def unmet(rule: Guard | Permit, facts: Facts) -> list[Unmet]:
    """Return what a rule that applies and can be evaluated misses."""
    if not _condition(rule) or failed(rule, rule.require, facts):
        return []
    return [found for found in findings_of(rule.require, facts) if isinstance(found, Unmet)]


def missing_for(permit: Permit, facts: Facts) -> list[Unmet] | None:
    """Return what a permit misses; None when it is not for this caller, does not apply or cannot be evaluated."""
    identity, who = facts.identity, permit.who
    parties = [identity.subject] if identity.actor is None else [identity.subject, identity.actor]
    if who.actor_only and identity.actor is not None:
        parties = [identity.actor]
    if any(who.kinds and party.kind not in who.kinds for party in parties):
        return None
    if not _condition(permit) or failed(permit, permit.require, facts):
        return None
    role = [Unmet(Reason.ROLE_MISSING)] if any(who.roles and not who.roles & party.roles for party in parties) else []
    return role + unmet(permit, facts)


def reference_reason(rules: RouteRules, facts: Facts) -> Reason:
    """Return the reason that the table gives, written the obvious way."""
    forbids = [rule for rule in rules.forbids if not rule.observe]
    guards = [rule for rule in rules.guards if not rule.observe]
    for forbid in forbids:
        held = [not isinstance(found, Unmet) for found in findings_of(forbid.unless, facts)]
        if _condition(forbid) and not failed(forbid, forbid.unless, facts) and not (held and all(held)):
            return Reason.FORBIDDEN
    if any(failed(rule, rule.unless, facts) for rule in forbids) or any(
        failed(rule, rule.require, facts) for rule in guards
    ):
        return Reason.EVALUATION_FAILED
    missing = [found for guard in guards for found in unmet(guard, facts)]
    candidates = [
        found for rule in rules.permits if not rule.observe and (found := missing_for(rule, facts)) is not None
    ]
    if [] not in candidates:
        if not candidates:
            return Reason.NO_PERMIT
        nearest = min(candidates, key=len)
        missing += nearest
    if not missing:
        return Reason.ALLOWED
    stuck = [found.reason for found in missing if found.remedy is None]
    if stuck:
        return stuck[0]
    reasons = [found.reason for found in missing]
    return Reason.STEP_UP_REQUIRED if Reason.STEP_UP_REQUIRED in reasons else Reason.INSUFFICIENT_SCOPE


@given(RULES, IDENTITIES)
def test_the_reason_is_that_of_the_obvious_reading(rules: RouteRules, identity: Identity) -> None:
    """Forbids speak first, then failures, then what guards and the nearest permit miss; the unrepairable before all."""
    facts = make_facts(identity)
    verdict = evaluate(rules, facts)
    found = Reason.ALLOWED if isinstance(verdict, Allow) else verdict.reason
    assert found is reference_reason(rules, facts)
