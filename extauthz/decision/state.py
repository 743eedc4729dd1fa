"""The changeable facts that a route's requirements ask for, each noted in the ledger before it is looked at.

What signals have said about the caller overrides them, and only ever for the worse: who is reported not to be in order
is not, whatever else is known, and a risk is at least as high as reported.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from extauthz.clock import Instant
from extauthz.model.restriction import Effect
from extauthz.model.standing_facts import SCORES, Posture, Risk, RiskLevel

if TYPE_CHECKING:
    from extauthz.ledger import Ledger
    from extauthz.model.facts import Facts
    from extauthz.model.restriction import Restriction
    from extauthz.model.state import StateName
    from extauthz.policy.rules import RouteRules
    from extauthz.ports import StateSource

_LEVELS: Final = {Effect.RISK_MEDIUM: RiskLevel.MEDIUM, Effect.RISK_HIGH: RiskLevel.HIGH}


def read_state(
    rules: RouteRules,
    facts: Facts,
    source: StateSource,
    ledger: Ledger,
    restrictions: tuple[Restriction, ...] = (),
) -> Facts:
    """Return `facts` with the state that requirements ask for, as far as it is known.

    Every requirement of the route is asked, also of rules that turn out not to apply: what a decision rests on must
    not depend on what it found.

    Args:
        rules: of the route.
        facts: what is known so far.
        source: of the state.
        ledger: takes the names before they are looked at.
        restrictions: what concerns the caller and refuses nothing by itself; its names are noted already.
    """
    if not rules.stateful:
        return facts
    names = tuple(dict.fromkeys(name for requirement in rules.stateful for name in requirement.needs(facts)))
    if not names:
        return facts
    ledger.note(*names)
    known = ((name, _narrowed(name, source.find_state(name, facts.at), facts.at, restrictions)) for name in names)
    return replace(facts, state={name: value for name, value in known if value is not None})


def _narrowed(
    name: StateName, known: object | None, at: Instant, restrictions: tuple[Restriction, ...]
) -> object | None:
    """Return a fact as it is under restrictions."""
    if name.kind == "posture" and any(each.effect is Effect.NONCOMPLIANT for each in restrictions):
        return Posture(compliant=False, observed_at=at)
    if name.kind != "risk":
        return known
    for each in restrictions:
        if each.effect in _LEVELS:
            known = _higher(known, _LEVELS[each.effect], each.until)
    return known


def _higher(known: object | None, level: RiskLevel, until: Instant | None) -> Risk:
    """Return a risk that is at least of this level; one that nobody has stated is exactly of it."""
    risk = known if isinstance(known, Risk) else Risk(score=0, level=RiskLevel.LOW, until=Instant(math.inf))
    ends = risk.until if until is None else min(risk.until, until)
    if SCORES[risk.level] >= SCORES[level]:
        return replace(risk, score=max(risk.score, SCORES[level]), until=ends)
    return replace(risk, score=max(risk.score, SCORES[level]), level=level, until=ends)
