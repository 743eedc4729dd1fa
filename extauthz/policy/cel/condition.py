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
        data: dict[str, object] = {**self.constants}
        for name in self.reads:
            value = facts.variables.get(name)
            if value is not None:
                data[name] = _without_nul(value)
        try:
            result = self.expression.eval(data=data)
        except RuntimeError as error:
            message = "the condition could not be evaluated"
            raise ConditionFailed(message) from error
        if result.type() != cel.Type.BOOL:
            unknown = sorted(self.reads - data.keys())
            message = "not known: " + ", ".join(unknown) if unknown else "the condition could not be evaluated"
            raise ConditionFailed(message)
        return result.value() is True


def _without_nul(value: object) -> object:
    """Return a fact, provided that no text in it holds a NUL."""
    if isinstance(value, list):
        for each in value:
            _without_nul(each)
    elif isinstance(value, str) and "\0" in value:
        message = "a fact holds a NUL, at which the runtime would end it"
        raise ConditionFailed(message)
    return value
