"""A compiled condition at run time: true, false, or failed; nothing else gets out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cel_expr_python import cel

from extauthz.policy.rules import ConditionFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.model.facts import Facts


@dataclass(frozen=True, slots=True)
class CelCondition:
    """A condition in CEL.

    Attributes:
        text: the expression as written.
        reads: flat names of the facts it reads.
        expression: the compiled program; the runtime allows its use by several threads at once.
        constants: values of the policy that it reads beside facts, by name.
    """

    text: str
    reads: frozenset[str]
    expression: cel.Expression
    constants: Mapping[str, str | int | bool] = field(default_factory=dict)

    def holds(self, facts: Facts) -> bool:
        """Return whether the condition holds.

        The runtime returns errors as values that Python takes for true, so the result's type decides, not its truth.
        And it ends every text at its first NUL: a text that holds one would equal another.

        Raises:
            ConditionFailed: a fact that mattered is not known or holds a NUL, or the evaluation overran its budget.
        """
        known = facts.variables
        data = {name: known[name] for name in self.reads if name in known}
        if any(_holds_nul(value) for value in data.values()):
            message = "a fact holds a NUL, at which the runtime would end it"
            raise ConditionFailed(message)
        try:
            result = self.expression.eval(data={**data, **self.constants} if self.constants else data)
        except RuntimeError as error:
            message = "the condition could not be evaluated"
            raise ConditionFailed(message) from error
        if result.type() != cel.Type.BOOL:
            unknown = sorted(name for name in self.reads if name not in known)
            message = "not known: " + ", ".join(unknown) if unknown else "the condition could not be evaluated"
            raise ConditionFailed(message)
        return result.value() is True


def _holds_nul(value: object) -> bool:
    return "\0" in value if isinstance(value, str) else isinstance(value, list) and any(map(_holds_nul, value))
