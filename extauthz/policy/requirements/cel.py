"""`cel: resource.size < 100`: a condition as a requirement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from extauthz.errors import PolicyError
from extauthz.model.reason import Reason
from extauthz.policy.cel.compile import CelError, compile_condition
from extauthz.policy.rules import MET, ConditionFailed, Failed, Finding, Timeless, Unmet

if TYPE_CHECKING:
    from extauthz.model.facts import Facts
    from extauthz.policy.cel.condition import CelCondition
    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.written import Written


@dataclass(frozen=True, slots=True)
class Holds(Timeless):
    """A condition that must be true; it has no remedy, since nobody can say what would make it so."""

    condition: CelCondition
    kind: str = "cel"

    @property
    def reads(self) -> frozenset[str]:
        """Return the flat names of the facts it reads."""
        return self.condition.reads

    def find(self, facts: Facts) -> Finding:
        """Return whether the condition holds."""
        try:
            return MET if self.condition.holds(facts) else Unmet(Reason.FORBIDDEN)
        except ConditionFailed as failure:
            return Failed(str(failure))


def compile_cel(argument: Any, written: Written, surroundings: Surroundings) -> Holds:
    """Return the requirement that a policy file states.

    Raises:
        PolicyError: it is not an acceptable expression.
    """
    return Holds(compile_written(argument, written, surroundings))


def compile_written(text: Any, written: Written, surroundings: Surroundings) -> CelCondition:
    """Return the condition that stands in a policy file.

    Raises:
        PolicyError: it is not an acceptable expression; the problems point into it.
    """
    if not isinstance(text, str):
        written.refuse("a condition is text", "write an expression, for example `identity.human`")
    try:
        return compile_condition(text, surroundings)
    except CelError as error:
        raise PolicyError(
            [
                written.file.problem_inside(written.path, (found.line, found.column), found.message, found.fix)
                for found in error.problems
            ]
        ) from error
