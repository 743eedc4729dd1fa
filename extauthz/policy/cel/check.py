"""What the CEL compiler accepts and we do not, found by walking the checked expression."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from extauthz.validation import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from extauthz.gen.cel.expr.checked_pb2 import CheckedExpr, Expr
    from extauthz.policy.names import Fact


@dataclass(frozen=True, slots=True)
class CelProblem:
    """Something wrong in an expression.

    Attributes:
        line: 1-based line within the expression.
        column: 1-based column within that line.
        message: what is wrong.
        fix: what to write instead.
    """

    line: int
    column: int
    message: str
    fix: str = ""


_FUNCTIONS: Final = frozenset(
    {
        *("_&&_", "_||_", "!_", "_?_:_", "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "@in"),
        *("_+_", "_-_", "_*_", "_/_", "_%_", "-_", "_[_]"),
        *("size", "startsWith", "endsWith", "contains", "matches"),
        "@not_strictly_false",  # what `exists` and `all` become
    }
)
"""All take time linear in their arguments (`matches` is RE2), whose sizes the limits of requests and tokens bound."""

_COMPARISONS: Final = frozenset({"_==_", "_!=_", "@in"})


@dataclass(slots=True)
class Checker:
    """Walks one checked expression.

    Attributes:
        checked: the expression with its references.
        text: its source.
        facts: the declared facts.
        constants: declared constants by the names by which conditions read them.
        problems: what was found.
    """

    checked: CheckedExpr
    text: str
    facts: Mapping[str, Fact]
    constants: Mapping[str, str | int | bool] = field(default_factory=dict)
    problems: list[CelProblem] = field(default_factory=list)
    _loop_variables: dict[str, Expr] = field(default_factory=dict)
    _in_loop: bool = False

    def reads(self) -> frozenset[str]:
        """Return the facts that the expression reads."""
        return frozenset(self._names() & self.facts.keys())

    def used_constants(self) -> dict[str, str | int | bool]:
        """Return the constants that the expression reads."""
        return {name: self.constants[name] for name in self._names() & self.constants.keys()}

    def _names(self) -> set[str]:
        return {reference.name for reference in self.checked.reference_map.values() if not reference.overload_id}

    def walk(self, expr: Expr) -> None:
        """Note every problem in `expr` and below."""
        match expr.WhichOneof("expr_kind"):
            case "call_expr":
                self._call(expr)
            case "comprehension_expr":
                self._loop(expr)
            case "select_expr":
                self.walk(expr.select_expr.operand)
            case "list_expr":
                for element in expr.list_expr.elements:
                    self.walk(element)
            case "struct_expr":
                self._report(expr, "maps and messages are not accepted", "use lists, or comparisons joined by `||`")

    def _call(self, expr: Expr) -> None:
        call = expr.call_expr
        if call.function not in _FUNCTIONS:
            self._report(expr, f"the function `{call.function}` is not accepted", _advice(call.function))
        if call.function in _COMPARISONS:
            left, right = call.args
            self._compare(left, right)
            self._compare(right, left)
        if call.HasField("target"):
            self.walk(call.target)
        for argument in call.args:
            self.walk(argument)

    def _compare(self, side: Expr, other: Expr) -> None:
        """Note literals in `other` that the fact on `side` can never equal."""
        named = self._fact(side)
        if named is None or not named[1].vocabulary:
            return
        name, fact = named
        for literal, value in self._literals(self._resolved(other)):
            if value not in fact.vocabulary:
                self._report(literal, f"`{value}` is not a value of {name}", did_you_mean(value, fact.vocabulary))

    def _fact(self, expr: Expr) -> tuple[str, Fact] | None:
        """Return the fact that `expr` is, or is an element of."""
        name = self._resolved(expr).ident_expr.name
        fact = self.facts.get(name)
        return (name, fact) if fact is not None else None

    def _resolved(self, expr: Expr) -> Expr:
        """Return what a loop variable runs over, since its values come from there; anything else is itself."""
        return self._loop_variables.get(expr.ident_expr.name, expr)

    def _loop(self, expr: Expr) -> None:
        loop = expr.comprehension_expr
        self.walk(loop.iter_range)  # A loop over the result of another one is one after the other.
        if self._in_loop:
            self._report(expr, "a loop inside a loop is not accepted", "write two conditions")
            return
        self._in_loop = True
        self._loop_variables[loop.iter_var] = loop.iter_range
        for part in (loop.accu_init, loop.loop_condition, loop.loop_step, loop.result):
            self.walk(part)
        self._loop_variables.clear()
        self._in_loop = False

    def _literals(self, expr: Expr) -> Iterator[tuple[Expr, str]]:
        """Yield the text and number literals, and the constants, that `expr` is, or is a list of."""
        for candidate in expr.list_expr.elements if expr.HasField("list_expr") else (expr,):
            kind = candidate.const_expr.WhichOneof("constant_kind")
            if kind in {"string_value", "int64_value"}:
                yield candidate, str(getattr(candidate.const_expr, kind))
            elif candidate.ident_expr.name in self.constants:
                yield candidate, str(self.constants[candidate.ident_expr.name])

    def _report(self, expr: Expr, message: str, fix: str) -> None:
        before = self.text[: self.checked.source_info.positions.get(expr.id, 0)]
        line = before.count("\n") + 1
        column = len(before) - (before.rfind("\n") + 1) + 1
        self.problems.append(CelProblem(line, column, message, fix))


def _advice(function: str) -> str:
    if function in {"timestamp", "duration"} or function.startswith("get"):
        return "conditions do not see the time; use a requirement such as `step_up`"
    return "conditions compare facts: use ==, !=, <, >, in, startsWith, endsWith, contains, matches, size"
