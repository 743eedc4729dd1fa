"""Which requirements are asked for state and for time is told when a policy is loaded, and never leaves one out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from extauthz.ids import RuleId
from extauthz.model.state import StateName
from extauthz.policy.rules import MET, Forbid, Guard, Observed, Permit, RouteRules, Stateless, Who
from tests.simulators.rules import Told, make_facts

if TYPE_CHECKING:
    from extauthz.model.facts import Facts
    from extauthz.policy.rules import Finding, Requirement

NAMES = (StateName("posture", "laptop-7"),)


@dataclass(frozen=True)
class Ends(Told):
    """A requirement whose finding changes, although what it inherits says that none does."""

    def changes_at(self, facts: Facts) -> float:
        """Return a second later."""
        return facts.at + 1.0


@dataclass(frozen=True)
class Asks(Told):
    """A requirement that needs a fact, although what it inherits says that it needs none."""

    def needs(self, facts: Facts) -> tuple[StateName, ...]:
        """Return one name."""
        del facts
        return NAMES


@dataclass(frozen=True)
class EndsAlone(Stateless):
    """A requirement of which nothing is said about time."""

    kind: str = "told"
    reads: frozenset[str] = frozenset()

    def find(self, facts: Facts) -> Finding:
        """Return that it holds."""
        del facts
        return MET

    def changes_at(self, facts: Facts) -> float:
        """Return a second later."""
        return facts.at + 1.0


@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize(
    ("requirement", "timed", "stateful"),
    [(Told(MET), False, False), (Ends(MET), True, False), (Asks(MET), False, True), (EndsAlone(), True, False)],
)
def test_who_is_not_asked_would_have_said_what_everybody_says(
    requirement: Requirement, *, timed: bool, stateful: bool, observed: bool
) -> None:
    """Wherever it stands; one that is only observed is asked like any other."""
    asked = Observed(requirement) if observed else requirement
    name = RuleId("r")
    for rules in (
        RouteRules(guards=(Guard(id=name, require=(asked,)),)),
        RouteRules(forbids=(Forbid(id=name, unless=(asked,)),)),
        RouteRules(permits=(Permit(id=name, who=Who(), require=(asked,)),)),
    ):
        assert rules.requirements == (asked,)
        assert rules.timed == ((asked,) if timed else ())
        assert rules.stateful == ((asked,) if stateful else ())
    facts = make_facts()
    assert timed or asked.changes_at(facts) == math.inf
    assert stateful or asked.needs(facts) == ()
