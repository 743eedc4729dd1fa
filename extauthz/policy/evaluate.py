"""Rules and facts → verdict. Pure: no clock, no store, no input or output.

"Does not apply" and "could not be evaluated" are different things here: the first has no outcome, the second has the
outcome `FAILED`, which denies for forbids and guards and never grants for permits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from extauthz.model.reason import Reason
from extauthz.policy.combine import Effect, Outcome, State, combine
from extauthz.policy.rules import Condition, ConditionFailed, Failed, Forbid, Guard, Met, Permit, Unmet, Who

if TYPE_CHECKING:
    from collections.abc import Iterable

    from extauthz.model.facts import Facts
    from extauthz.model.identity import Identity, Principal
    from extauthz.model.verdict import Verdict
    from extauthz.policy.rules import Requirement, RouteRules


def evaluate(rules: RouteRules, facts: Facts) -> Verdict:
    """Return the verdict of one route's rules over the facts of one request."""
    outcomes = [
        *(_forbid(rule, facts) for rule in rules.forbids),
        *(_guard(rule, facts) for rule in rules.guards),
        *(_permit(rule, facts) for rule in rules.permits),
    ]
    return combine([outcome for outcome in outcomes if outcome is not None])


def _forbid(rule: Forbid, facts: Facts) -> Outcome | None:
    try:
        if not _applies(rule.when, facts):
            return None
    except ConditionFailed as failure:
        return Outcome(rule.id, Effect.FORBID, State.FAILED, observe=rule.observe, inner=str(failure))
    unmet, failed = _ask(rule.unless, facts)
    if failed is not None:
        return Outcome(rule.id, Effect.FORBID, State.FAILED, observe=rule.observe, inner=failed.inner)
    lifted = bool(rule.unless) and not unmet
    return None if lifted else Outcome(rule.id, Effect.FORBID, State.HOLDS, observe=rule.observe)


def _guard(rule: Guard, facts: Facts) -> Outcome | None:
    try:
        if not _applies(rule.when, facts):
            return None
    except ConditionFailed as failure:
        return Outcome(rule.id, Effect.GUARD, State.FAILED, observe=rule.observe, inner=str(failure))
    return _judge(rule, Effect.GUARD, (), facts)


def _permit(rule: Permit, facts: Facts) -> Outcome | None:
    parties = _parties(rule.who, facts.identity)
    if not all(_is_meant(rule.who, party) for party in parties):
        return None
    try:
        if not _applies(rule.when, facts):
            return None
    except ConditionFailed as failure:
        return Outcome(rule.id, Effect.PERMIT, State.FAILED, observe=rule.observe, inner=str(failure))
    return _judge(rule, Effect.PERMIT, _missing_role(rule.who, parties), facts)


def _judge(rule: Guard | Permit, effect: Effect, missing: tuple[Unmet, ...], facts: Facts) -> Outcome:
    """Ask the rule's requirements; a failure outweighs what is merely unmet."""
    unmet, failed = _ask(rule.require, facts)
    if failed is not None:
        return Outcome(rule.id, effect, State.FAILED, observe=rule.observe, inner=failed.inner)
    unmet = (*missing, *unmet)
    return Outcome(rule.id, effect, State.UNMET if unmet else State.HOLDS, unmet, observe=rule.observe)


def _ask(requirements: Iterable[Requirement], facts: Facts) -> tuple[tuple[Unmet, ...], Failed | None]:
    """Return what is unmet, and the first failure; all are asked, so that one answer names every remedy."""
    unmet: list[Unmet] = []
    failed: Failed | None = None
    for requirement in requirements:
        finding = requirement.find(facts)
        match finding:
            case Met():
                continue
            case Unmet():
                unmet.append(finding)
            case Failed():
                failed = failed or finding
            case _:
                assert_never(finding)  # silence is not consent
    return tuple(unmet), failed


def _applies(when: Condition | None, facts: Facts) -> bool:
    return when is None or when.holds(facts)


def _parties(who: Who, identity: Identity) -> tuple[Principal, ...]:
    """Return whom a permit must mean: subject and actor both, or with `limit: actor` only the one who acts."""
    if identity.actor is None:
        return (identity.subject,)
    return (identity.actor,) if who.actor_only else (identity.subject, identity.actor)


def _is_meant(who: Who, party: Principal) -> bool:
    """Return whether the permit is for this party; a fact that is not known matches nothing."""
    return (
        (not who.kinds or party.kind in who.kinds)
        and (not who.issuers or party.issuer in who.issuers)
        and (not who.clients or party.client in who.clients)
        and (not who.subjects or party.subject in who.subjects)
    )


def _missing_role(who: Who, parties: Iterable[Principal]) -> tuple[Unmet, ...]:
    if not who.roles or all(who.roles & party.roles for party in parties):
        return ()
    wanted = " or ".join(sorted(who.roles))
    return (Unmet(Reason.ROLE_MISSING, detail=f"The role {wanted} is needed."),)
