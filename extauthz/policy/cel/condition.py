"""A compiled condition at run time: true, false, or failed; nothing else gets out.

What a condition says follows from the values that it reads and from nothing else: it sees neither time nor state. So
what it said is remembered, since asking the runtime takes longer than everything else about a rule:

1. Only plain true and false. A failure is found anew each time, and so is what an unknown fact left open.
2. Only where all values may stay in memory (`policy/names.py: Fact.keepable`), are of their declared types and short.
3. A bounded number for all conditions together, then it begins anew: many different values cost time and no memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Final

from extauthz.policy.rules import ConditionFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cel_expr_python import cel

    from extauthz.model.facts import Facts

MOST_REMEMBERED: Final = 4096
"""Outcomes of all conditions together; some 300 bytes each, and never more than 3 KiB."""

MOST_VALUES: Final = 4
"""Facts that a condition may read for its outcomes to be remembered; most read one or two."""

LONGEST_VALUE: Final = 128
"""Characters of a text by which an outcome is remembered; longer than most paths."""

_remembered: Final[dict[tuple[object, ...], bool]] = {}
"""What conditions said, by the number of the condition and the values that it read."""

_numbers: Final = count()


@dataclass(frozen=True, slots=True)
class CelCondition:
    """A condition in CEL.

    Attributes:
        text: the expression as written.
        reads: flat names of the facts it reads.
        expression: the compiled program; the runtime allows its use by several threads at once.
        constants: values of the policy that it reads beside facts, by name.
        types: exact types of the facts by whose values outcomes may be remembered, by name.
    """

    text: str
    reads: frozenset[str]
    expression: cel.Expression
    constants: Mapping[str, str | int | bool] = field(default_factory=dict)
    types: Mapping[str, type] = field(default_factory=dict)
    _names: tuple[str, ...] = field(init=False, compare=False, repr=False)
    _types: list[type | None] = field(init=False, compare=False, repr=False)
    """The type that each value must have for a look into what is remembered. None, which is no type, rules that out."""
    _number: int = field(init=False, compare=False, repr=False, default_factory=_numbers.__next__)
    """Never used again, so that what an older policy's conditions said is nobody's."""

    def __post_init__(self) -> None:
        names = tuple(sorted(self.reads))
        few = len(names) <= MOST_VALUES
        object.__setattr__(self, "_names", names)
        object.__setattr__(self, "_types", [self.types.get(name) if few else None for name in names])

    def holds(self, facts: Facts) -> bool:
        """Return whether the condition holds.

        Raises:
            ConditionFailed: a fact that mattered is not known or holds a NUL, or the evaluation overran its budget.
        """
        values = [facts.variables.get(name) for name in self._names]
        # Types are compared, since 1, True and 1.0 are one key to Python. Then values can be hashed, too.
        if [*map(type, values)] != self._types:
            return self._evaluate(values)
        key = (self._number, *values)
        outcome = _remembered.get(key)
        if outcome is None:
            outcome = self._evaluate(values)
            _remember(key, outcome)
        return outcome

    def _evaluate(self, values: Iterable[object]) -> bool:
        """Ask the runtime.

        It returns errors as values that Python takes for true, so the result's type decides, not its truth. And it ends
        every text at its first NUL: a text that holds one would equal another.
        """
        data: dict[str, object] = {**self.constants}
        for name, value in zip(self._names, values, strict=True):
            if value is not None:
                data[name] = _without_nul(value)
        try:
            outcome = self.expression.eval(data=data).value()
        except RuntimeError as error:
            message = "the condition could not be evaluated"
            raise ConditionFailed(message) from error
        if type(outcome) is not bool:
            unknown = sorted(self.reads - data.keys())
            message = "not known: " + ", ".join(unknown) if unknown else "the condition could not be evaluated"
            raise ConditionFailed(message)
        return outcome


def _remember(key: tuple[object, ...], outcome: bool) -> None:  # noqa: FBT001 — what is remembered
    """Remember what a condition said, if the values are short."""
    if any(isinstance(value, str) and len(value) > LONGEST_VALUE for value in key):
        return
    if len(_remembered) >= MOST_REMEMBERED:
        _remembered.clear()
    _remembered[key] = outcome


def _without_nul(value: object) -> object:
    """Return a fact, provided that no text in it holds a NUL."""
    if isinstance(value, list):
        for each in value:
            _without_nul(each)
    elif isinstance(value, str) and "\0" in value:
        message = "a fact holds a NUL, at which the runtime would end it"
        raise ConditionFailed(message)
    return value
