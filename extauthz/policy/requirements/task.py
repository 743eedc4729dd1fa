"""`task: {names: [project]}`: the caller has a task now, and this is part of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import StrictBool

from extauthz.model.reason import Reason
from extauthz.model.standing_facts import Task
from extauthz.model.state import StateName
from extauthz.model.verdict import BeginTask
from extauthz.policy.document import Part, Words
from extauthz.policy.requirements.form import read_part
from extauthz.policy.requirements.standing import known, target_of, text_of
from extauthz.policy.rules import MET, Finding, Unmet
from extauthz.validation import did_you_mean

if TYPE_CHECKING:
    from extauthz.model.facts import Facts
    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.written import Written


class TaskPart(Part):
    """What a task must name."""

    names: Words = ()
    required: StrictBool = True


@dataclass(frozen=True, slots=True)
class InTask:
    """The request is part of the caller's task.

    Attributes:
        names: attributes whose values the task must list.
        required: whether there must be a task at all. Where one goes on, its boundary holds in either case.
    """

    names: tuple[str, ...]
    required: bool
    reads: frozenset[str]
    kind: str = "task"

    def needs(self, facts: Facts) -> tuple[StateName, ...]:
        """Return the task of the caller."""
        return (_name(facts),)

    def find(self, facts: Facts) -> Finding:
        """Return whether it is."""
        task = known(facts, _name(facts), Task)
        if task is None or facts.at >= task.until:
            return Unmet(Reason.TASK_MISSING, BeginTask(), "Begin a task first.") if self.required else MET
        return MET if self._is_part(task, facts) else Unmet(Reason.TASK_BOUNDARY)

    def changes_at(self, facts: Facts) -> float:
        """Return when the task is over."""
        task = known(facts, _name(facts), Task)
        return task.until if task is not None and task.until > facts.at else math.inf

    def _is_part(self, task: Task, facts: Facts) -> bool:
        target = target_of(facts)
        if target not in task.may and f"{target.rpartition('.')[0]}.*" not in task.may:
            return False
        return all(
            name in facts.attributes and text_of(facts.attributes[name]) in task.names.get(name, frozenset())
            for name in self.names
        )


def compile_task(argument: Any, written: Written, surroundings: Surroundings) -> InTask:
    """Return the requirement that a policy file states.

    Raises:
        PolicyError: the resource lacks an attribute that it speaks of.
    """
    part = read_part(TaskPart, argument, written)
    for position, name in enumerate(part.names):
        if f"resource.{name}" not in surroundings.facts:
            own = [each.removeprefix("resource.") for each in surroundings.facts if each.startswith("resource.")]
            message = f"`{name}` is not an attribute of {surroundings.label}"
            written.at("names", position).refuse(message, did_you_mean(name, own))
    reads = {"identity.workload", "resource.name", "resource.action", *(f"resource.{name}" for name in part.names)}
    return InTask(part.names, part.required, frozenset(reads))


def _name(facts: Facts) -> StateName:
    return StateName("task", facts.identity.workload)
