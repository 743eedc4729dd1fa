"""`posture: {compliant: true, max_age: 10m}`: the caller's device was seen in order, and recently."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from extauthz.durations import Duration
from extauthz.limits import DEFAULT_LEEWAY_SECONDS
from extauthz.model.reason import Reason
from extauthz.model.standing_facts import Posture
from extauthz.model.state import StateName
from extauthz.model.verdict import ReportPosture
from extauthz.policy.document import Part
from extauthz.policy.requirements.form import read_part
from extauthz.policy.requirements.standing import known
from extauthz.policy.rules import MET, Finding, Unmet

if TYPE_CHECKING:
    from extauthz.model.facts import Facts
    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.written import Written

Whose = Literal["device", "workload"]


class PosturePart(Part):
    """Whose, and how old the report may be."""

    compliant: Literal[True] = True
    max_age: Duration
    of: Whose = "device"


@dataclass(frozen=True, slots=True)
class PostureKnown:
    """The device or workload is in order.

    Attributes:
        max_age: seconds since it was seen.
        of: whose posture.
    """

    max_age: int
    of: Whose
    reads: frozenset[str]
    kind: str = "posture"

    def needs(self, facts: Facts) -> tuple[StateName, ...]:
        """Return the posture of who asks."""
        name = self._name(facts)
        return () if name is None else (name,)

    def find(self, facts: Facts) -> Finding:
        """Return whether it is; a report can be brought up to date, a device is not repaired by asking."""
        name = self._name(facts)
        if name is None:
            return Unmet(Reason.POSTURE_MISSING, detail=f"The credential does not say which {self.of} it is used on.")
        posture = known(facts, name, Posture)
        remedy = ReportPosture(self.of, self.max_age)
        if posture is None:
            return Unmet(Reason.POSTURE_MISSING, remedy, f"Have the state of the {self.of} reported.")
        if not -DEFAULT_LEEWAY_SECONDS <= facts.at - posture.observed_at <= self.max_age:
            return Unmet(Reason.POSTURE_STALE, remedy, f"Have the state of the {self.of} reported again.")
        if posture.compliant is not True:
            return Unmet(Reason.POSTURE_NONCOMPLIANT, detail=f"Bring the {self.of} in order.")
        return MET

    def changes_at(self, facts: Facts) -> float:
        """Return when what is known becomes too old, or what is ahead of us becomes believable."""
        name = self._name(facts)
        posture = known(facts, name, Posture) if name is not None else None
        if posture is None:
            return math.inf
        edges = (posture.observed_at - DEFAULT_LEEWAY_SECONDS, posture.observed_at + self.max_age)
        return min((edge for edge in edges if edge >= facts.at), default=math.inf)

    def _name(self, facts: Facts) -> StateName | None:
        whose = facts.identity.device if self.of == "device" else facts.identity.workload
        return StateName("posture", f"{self.of} {whose}") if whose else None


def compile_posture(argument: Any, written: Written, _: Surroundings) -> PostureKnown:
    """Return the requirement that a policy file states.

    Raises:
        PolicyError: it does not say how old a report may be.
    """
    part = read_part(PosturePart, argument, written)
    if part.max_age < 1 or part.max_age != int(part.max_age):
        written.at("max_age").refuse("must be whole seconds, at least one", "write for example 10m")
    reads = frozenset({f"identity.{part.of}"})
    return PostureKnown(int(part.max_age), part.of, reads)
