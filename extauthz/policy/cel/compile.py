"""CEL text → condition, or every problem in it with its place in the text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from cel_expr_python import cel
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError

from extauthz.errors import ExtAuthzError
from extauthz.gen.cel.expr.checked_pb2 import CheckedExpr
from extauthz.limits import MAX_CONDITION_LENGTH
from extauthz.policy.cel.check import CelProblem, Checker
from extauthz.policy.cel.condition import CelCondition
from extauthz.policy.names import FactType
from extauthz.validation import did_you_mean

if TYPE_CHECKING:
    from extauthz.policy.surroundings import Surroundings

_ERROR: Final = re.compile(
    r"^(?:INVALID_ARGUMENT: )?ERROR: <input>:(\d+):(\d+): (.*?)(?: \[INVALID_ARGUMENT\])?$", re.MULTILINE
)
_UNDECLARED: Final = re.compile(r"undeclared reference to '([^']*)'.*")
_OVERLOAD: Final = re.compile(r"found no matching overload for '_?(?:@)?([^']*?)_?' applied to '\((.*)\)'")
_EXPECTING: Final = re.compile(r" expecting .*")
_TEXT_OR_COMMENT: Final = re.compile(
    r"""[rR]"{3}.*?"{3}|[rR]\'{3}.*?\'{3}|[rR]"[^"\n]*"|[rR]'[^'\n]*'|"{3}(?:\\.|.)*?"{3}|'{3}(?:\\.|.)*?'{3}"""
    r"""|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|//[^\n]*""",
    re.DOTALL,
)
_HAS: Final = re.compile(r"\bhas\s*\(")


_SCALARS: Final[dict[FactType, type]] = {FactType.TEXT: str, FactType.NUMBER: int, FactType.FLAG: bool}
_TOO_DEEP: Final = CelProblem(1, 1, "the condition nests too deeply", "split it into several rules")


class CelError(ExtAuthzError):
    """An expression that is not acceptable.

    Args:
        problems: at least one.
    """

    def __init__(self, problems: list[CelProblem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


def compile_condition(text: str, surroundings: Surroundings) -> CelCondition:
    """Return the condition that `text` states.

    Args:
        text: a CEL expression.
        surroundings: what may be read, with closed vocabularies.

    Raises:
        CelError: it does not compile, is not a boolean, or does what we do not accept.
    """
    if len(text) > MAX_CONDITION_LENGTH:
        message = f"a condition has at most {MAX_CONDITION_LENGTH} characters"
        raise CelError([CelProblem(1, 1, message, "split it into several rules")])
    _refuse_has(text)
    try:
        expression = surroundings.environment.compile(text)
    except RuntimeError as error:
        raise CelError(_compiler_problems(text, str(error), surroundings)) from error
    if expression.return_type() != cel.Type.BOOL:
        kind = expression.return_type().name().lower()
        raise CelError([CelProblem(1, 1, f"a condition is true or false, this is {kind}", "compare it with something")])
    checker = Checker(_parse_checked(expression), text, surroundings.facts, surroundings.constants)
    checker.walk(checker.checked.expr)
    reads = checker.reads()
    if not checker.problems and not reads:
        fix = "leave it out if it is always true; facts are written without quotes"
        checker.problems.append(CelProblem(1, 1, "the condition reads no fact", fix))
    if checker.problems:
        raise CelError(checker.problems)
    facts = {name: surroundings.facts[name] for name in reads}
    types = {name: _SCALARS[fact.type] for name, fact in facts.items() if fact.keepable and fact.type in _SCALARS}
    return CelCondition(text, reads, expression, checker.used_constants(), types)


def _refuse_has(text: str) -> None:
    """Refuse `has()`.

    On a flat name the compiler turns it into the name itself: `has(identity.human)` would mean `identity.human`. It
    leaves no trace in the checked expression, so this looks at the text, its strings and comments blanked out.
    """
    bare = _TEXT_OR_COMMENT.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
    match = _HAS.search(bare)
    if match is not None:
        before = text[: match.start()]
        place = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        fix = "a fact that is not known makes the condition fail, which denies; declare the attribute as required"
        raise CelError([CelProblem(*place, "`has()` is not accepted", fix)])


def _parse_checked(expression: cel.Expression) -> CheckedExpr:
    wrapped = AnyMessage()
    checked = CheckedExpr()
    try:
        wrapped.ParseFromString(expression.serialize())
        checked.ParseFromString(wrapped.value)
    except DecodeError as error:
        # One level of a loop becomes several levels of messages, more than may be read.
        raise CelError([_TOO_DEEP]) from error
    return checked


def _compiler_problems(text: str, report: str, surroundings: Surroundings) -> list[CelProblem]:
    if "recursion" in report:
        return [_TOO_DEEP]
    found = [
        _explained(text, int(match[1]), int(match[2]), match[3], surroundings) for match in _ERROR.finditer(report)
    ]
    return found or [CelProblem(1, 1, "the condition does not compile", "compare facts, for example a == b")]


def _explained(text: str, line: int, column: int, message: str, surroundings: Surroundings) -> CelProblem:
    """Return one error of the compiler in our words."""
    undeclared = _UNDECLARED.fullmatch(message)
    if undeclared is not None:
        return _unknown_name(text, line, column, undeclared[1], surroundings)
    overload = _OVERLOAD.fullmatch(message)
    if overload is not None:
        fix = "compare values of the same type"
        return CelProblem(line, column, f"`{overload[1]}` cannot take {overload[2]}", fix)
    return CelProblem(line, column, _EXPECTING.sub("", message), "see the CEL language for the syntax")


def _unknown_name(text: str, line: int, column: int, name: str, surroundings: Surroundings) -> CelProblem:
    # The compiler points at the last dot of a qualified name; people look for its beginning.
    lines = text.splitlines() or [""]
    beginning = lines[line - 1].rfind(name, 0, column + len(name)) if line <= len(lines) else -1
    column = beginning + 1 if beginning >= 0 else column
    if name.partition(".")[0] in {"now", "time", "date"}:
        fix = "conditions do not see the time; use a requirement such as `step_up`"
        return CelProblem(line, column, f"`{name}` is not a fact", fix)
    fix = did_you_mean(name, [*surroundings.facts, *surroundings.constants])
    if name.startswith("constants."):
        message = f"`{name}` is not a constant"
        return CelProblem(line, column, message, did_you_mean(name, surroundings.constants))
    if name.startswith("resource."):
        attributes = [fact for fact in surroundings.facts if fact.startswith("resource.")]
        message = f"`{name}` is not an attribute of {surroundings.label}"
        return CelProblem(line, column, message, did_you_mean(name, attributes))
    return CelProblem(line, column, f"`{name}` is not a fact", fix)
