"""Rules and facts → verdict. Pure: no clock, no store, no input or output.

"Does not apply" and "could not be evaluated" are different things here: the first has no outcome, the second has the
outcome `FAILED`, which denies for forbids and guards and never grants for permits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, assert_never

from extauthz.model.reason import Reason
from extauthz.policy.combine import Effect, Outcome, State, combine
from extauthz.policy.rules import MET, ConditionFailed, Failed, Forbid, Guard, Met, Permit, Unmet, Who

if TYPE_CHECKING:
    from collections.abc import Iterable

    from extauthz.model.facts import Facts
    from extauthz.model.identity import Identity, Principal
    from extauthz.model.spend import Spend
    from extauthz.model.verdict import Verdict
    from extauthz.policy.rules import Requirement, RouteRules


def evaluate(rules: RouteRules, facts: Facts) -> Verdict:
    """Return the verdict of one route's rules over the facts of one request."""
    outcomes: list[Outcome] = []
    for rule in rules.in_turn:
        outcome = outcome_of(rule, facts)
        if outcome is not None:
            outcomes.append(outcome)
    return combine(outcomes)


def outcome_of(rule: Forbid | Guard | Permit, facts: Facts) -> Outcome | None:
    """Return what becomes of one rule; None when it does not apply, or is lifted without using anything up."""
    match rule:
        case Forbid():
            return _forbid(rule, facts)
        case Guard():
            return _guard(rule, facts)
        case Permit():
            return _permit(rule, facts)
        case _:
            assert_never(rule)


def _forbid(rule: Forbid, facts: Facts) -> Outcome | None:
    try:
        if rule.when is not None and not rule.when.holds(facts):
            return None
    except ConditionFailed as failure:
        return Outcome(rule.id, Effect.FORBID, State.FAILED, observe=rule.observe, inner=str(failure))
    asked = _ask(rule.unless, facts)
    if asked.failed is not None:
        return Outcome(
            rule.id,
            Effect.FORBID,
            State.FAILED,
            observe=rule.observe,
            inner=asked.failed.inner,
            failure=asked.failed.reason,
        )
    if not rule.unless or asked.unmet:
        return Outcome(rule.id, Effect.FORBID, State.HOLDS, observe=rule.observe)
    if not asked.spends:
        return None
    return Outcome(rule.id, Effect.FORBID, State.LIFTED, observe=rule.observe, spends=asked.spends)


def _guard(rule: Guard, facts: Facts) -> Outcome | None:
    try:
        if rule.when is not None and not rule.when.holds(facts):
            return None
    except ConditionFailed as failure:
        return Outcome(rule.id, Effect.GUARD, State.FAILED, observe=rule.observe, inner=str(failure))
    return _judge(rule, Effect.GUARD, (), facts)


def _permit(rule: Permit, facts: Facts) -> Outcome | None:
    parties = _parties(rule.who, facts.identity)
    for party in parties:
        if not _is_meant(rule.who, party):
            return None
    try:
        if rule.when is not None and not rule.when.holds(facts):
            return None
    except ConditionFailed as failure:
        return Outcome(rule.id, Effect.PERMIT, State.FAILED, observe=rule.observe, inner=str(failure))
    missing = _missing_role(rule.who, parties) if rule.who.roles else ()
    return _judge(rule, Effect.PERMIT, missing, facts)


def _judge(rule: Guard | Permit, effect: Effect, missing: tuple[Unmet, ...], facts: Facts) -> Outcome:
    """Ask the rule's requirements; a failure outweighs what is merely unmet. Observed ones only leave a note."""
    # What only this permit asks is not needed where another one grants.
    facts.enquiries.spare = effect is Effect.PERMIT and not rule.observe
    asked = _ask(rule.enforced, facts)
    facts.enquiries.spare = False
    missed = bool(rule.watched) and not _ask(rule.watched, facts).met
    if asked.failed is not None:
        return Outcome(
            rule.id,
            effect,
            State.FAILED,
            observe=rule.observe,
            inner=asked.failed.inner,
            failure=asked.failed.reason,
            missed=missed,
        )
    unmet = (*missing, *asked.unmet)
    state = State.UNMET if unmet else State.HOLDS
    return Outcome(rule.id, effect, state, unmet, observe=rule.observe, missed=missed, spends=asked.spends)


class _Asked(NamedTuple):
    """What requirements said together: what is unmet, the first failure, and what those that hold use up."""

    unmet: tuple[Unmet, ...]
    failed: Failed | None
    spends: tuple[Spend, ...]

    @property
    def met(self) -> bool:
        """Return whether all of them hold."""
        return not self.unmet and self.failed is None


_ALL_MET: Final = _Asked((), None, ())


def _ask(requirements: Iterable[Requirement], facts: Facts) -> _Asked:
    """Return what the requirements say; all are asked, so that one answer names every remedy."""
    unmet: list[Unmet] = []
    spends: list[Spend] = []
    failed: Failed | None = None
    for requirement in requirements:
        finding = requirement.find(facts)
        if finding is MET:  # what most of them say
            continue
        match finding:
            case Met():
                spends.extend(finding.spends)
            case Unmet():
                unmet.append(finding)
            case Failed():
                failed = failed or finding
            case _:
                assert_never(finding)  # silence is not consent
    if not unmet and failed is None and not spends:
        return _ALL_MET
    return _Asked(tuple(unmet), failed, tuple(spends))


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
    for party in parties:
        if not who.roles & party.roles:
            wanted = " or ".join(sorted(who.roles))
            return (Unmet(Reason.ROLE_MISSING, detail=f"The role {wanted} is needed."),)
    return ()
