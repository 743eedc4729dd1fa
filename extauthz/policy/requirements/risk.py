"""`risk: {below: 50}`, or `risk: {at_most: medium}`: nobody involved is too risky now. Unknown is too risky."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field, StrictInt

from extauthz.model.reason import Reason
from extauthz.model.standing_facts import Risk, RiskLevel
from extauthz.model.state import StateName
from extauthz.policy.document import Part
from extauthz.policy.requirements.form import read_part
from extauthz.policy.requirements.standing import known, party_key
from extauthz.policy.rules import MET, Finding, Unmet

if TYPE_CHECKING:
    from extauthz.model.facts import Facts
    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.written import Written

_LEVELS: Final = tuple(RiskLevel)


class RiskPart(Part):
    """One of both."""

    below: Annotated[StrictInt, Field(ge=1, le=100)] | None = None
    at_most: RiskLevel | None = None


@dataclass(frozen=True, slots=True)
class RiskBounded:
    """The risk of everybody involved is known and small enough.

    Attributes:
        below: a score that is not reached; None when the level counts.
        at_most: the highest level; None when the score counts.
    """

    below: int | None
    at_most: RiskLevel | None
    reads: frozenset[str] = frozenset({"identity.subject", "actor.subject"})
    kind: str = "risk"

    def needs(self, facts: Facts) -> tuple[StateName, ...]:
        """Return the risk of everybody involved."""
        return tuple(StateName("risk", party_key(party)) for party in facts.identity.involved)

    def find(self, facts: Facts) -> Finding:
        """Return whether it is; nobody lowers a risk by asking."""
        if all(self._is_bounded(known(facts, name, Risk), facts.at) for name in self.needs(facts)):
            return MET
        return Unmet(Reason.RISK_TOO_HIGH)

    def changes_at(self, facts: Facts) -> float:
        """Return when the first of the risks is not known any more."""
        risks = [known(facts, name, Risk) for name in self.needs(facts)]
        return min((risk.until for risk in risks if risk is not None and risk.until > facts.at), default=math.inf)

    def _is_bounded(self, risk: Risk | None, at: float) -> bool:
        if risk is None or at >= risk.until:
            return False
        if self.below is not None:
            return 0 <= risk.score < self.below
        return _LEVELS.index(risk.level) <= _LEVELS.index(self.at_most or RiskLevel.LOW)


def compile_risk(argument: Any, written: Written, _: Surroundings) -> RiskBounded:
    """Return the requirement that a policy file states.

    Raises:
        PolicyError: it does not state one bound.
    """
    part = read_part(RiskPart, argument, written)
    if (part.below is None) is (part.at_most is None):
        written.refuse("it needs one bound", "give either `below` or `at_most`")
    return RiskBounded(part.below, part.at_most)
