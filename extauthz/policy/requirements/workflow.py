"""`workflow: {name: release, step: publish}`: the caller is in that workflow, and this step comes now."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from extauthz.model.reason import Reason
from extauthz.model.standing_facts import WorkflowPlace
from extauthz.model.state import StateName
from extauthz.policy.document import Part, Text
from extauthz.policy.requirements.form import read_part
from extauthz.policy.requirements.standing import known
from extauthz.policy.rules import MET, Finding, Unmet

if TYPE_CHECKING:
    from extauthz.model.facts import Facts
    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.written import Written


class WorkflowPart(Part):
    """Which step of which workflow."""

    name: Text
    step: Text


@dataclass(frozen=True, slots=True)
class AtStep:
    """The step may come now.

    Attributes:
        name: of the workflow.
        step: of it.
    """

    name: str
    step: str
    reads: frozenset[str] = frozenset({"identity.workload"})
    kind: str = "workflow"

    def needs(self, facts: Facts) -> tuple[StateName, ...]:
        """Return where the caller is in the workflow."""
        return (self._name(facts),)

    def find(self, facts: Facts) -> Finding:
        """Return whether it may; a workflow that the caller is not known to be in has no steps."""
        place = known(facts, self._name(facts), WorkflowPlace)
        if place is not None and facts.at < place.until and self.step in place.next:
            return MET
        return Unmet(Reason.WORKFLOW_DEPARTURE)

    def changes_at(self, facts: Facts) -> float:
        """Return when the workflow is over."""
        place = known(facts, self._name(facts), WorkflowPlace)
        return place.until if place is not None and place.until > facts.at else math.inf

    def _name(self, facts: Facts) -> StateName:
        return StateName("workflow", f"{self.name} {facts.identity.workload}")


def compile_workflow(argument: Any, written: Written, _: Surroundings) -> AtStep:
    """Return the requirement that a policy file states.

    Raises:
        PolicyError: it names no step of a workflow, or a workflow with a space in its name.
    """
    part = read_part(WorkflowPart, argument, written)
    if " " in part.name:
        written.at("name").refuse("the name of a workflow has no spaces", "use `-`")
    return AtStep(part.name, part.step)
