"""`familiar: {unknown: deny}`: the caller is known to do this; or, for the first time, something else is needed.

`unknown: {approval: {…}}` and `unknown: {step_up: {…}}` say what: the same as those requirements by themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from extauthz.model.reason import Reason
from extauthz.model.standing_facts import Familiarity
from extauthz.model.state import StateName
from extauthz.policy.document import Part
from extauthz.policy.requirements.approval import compile_approval
from extauthz.policy.requirements.form import read_part
from extauthz.policy.requirements.standing import known, target_of
from extauthz.policy.requirements.step_up import compile_step_up
from extauthz.policy.rules import MET, Finding, Requirement, Unmet

if TYPE_CHECKING:
    from extauthz.model.facts import Facts
    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.written import Written

_Compile = Callable[[Any, "Written", "Surroundings"], Requirement]

_INSTEAD: Final[dict[str, _Compile]] = {"approval": compile_approval, "step_up": compile_step_up}
_DENY: Final = "deny"


class FamiliarPart(Part):
    """What happens the first time: `deny`, or one other requirement."""

    unknown: Any


@dataclass(frozen=True, slots=True)
class Familiar:
    """The caller is known to do this.

    Attributes:
        instead: what else lets it through; None for nothing.
    """

    instead: Requirement | None
    reads: frozenset[str]
    kind: str = "familiar"

    def needs(self, facts: Facts) -> tuple[StateName, ...]:
        """Return whether the caller is known to do this, and what is needed instead."""
        return (_name(facts), *(self.instead.needs(facts) if self.instead is not None else ()))

    def find(self, facts: Facts) -> Finding:
        """Return whether it is, or what was asked for instead holds."""
        familiarity = known(facts, _name(facts), Familiarity)
        if familiarity is not None and familiarity.known is True:
            return MET
        if self.instead is None:
            return Unmet(Reason.UNFAMILIAR_ACTION)
        finding = self.instead.find(facts)
        if isinstance(finding, Unmet):
            return Unmet(Reason.UNFAMILIAR_ACTION, finding.remedy, finding.detail)
        return finding

    def changes_at(self, facts: Facts) -> float:
        """Return when what was asked for instead changes."""
        return self.instead.changes_at(facts) if self.instead is not None else math.inf


def compile_familiar(argument: Any, written: Written, surroundings: Surroundings) -> Familiar:
    """Return the requirement that a policy file states.

    Raises:
        PolicyError: it says nothing that is known here about the first time.
    """
    unknown = read_part(FamiliarPart, argument, written).unknown
    reads = frozenset({"identity.workload", "resource.name", "resource.action"})
    if unknown == _DENY:
        return Familiar(None, reads)
    kind = next(iter(unknown)) if isinstance(unknown, dict) and len(unknown) == 1 else ""
    place = written.at("unknown")
    if kind not in _INSTEAD:
        place.refuse("must be `deny`, or one of approval and step_up", "write for example `{step_up: {max_age: 5m}}`")
    instead = _INSTEAD[kind](unknown[kind], place.at(kind), surroundings)
    return Familiar(instead, reads | instead.reads)


def _name(facts: Facts) -> StateName:
    return StateName("familiar", f"{facts.identity.workload} {target_of(facts)}")
