"""Mapping rules in CEL: an identity field out of the verified claims, by an expression of the operator's.

1. The expression sees one variable, `claims`; any other name does not compile. It is checked when the settings are
   loaded: its type is text or a list of texts, and a kind that it writes out is one that there is.
2. A claim that it reads and that is not there makes it fail; `has(claims.x)` and `'x' in claims` ask first.
3. The runtime hands errors out as values that Python takes for true, and raises when a loop overruns its budget. So the
   result counts by its type alone, and everything else is `identity_unmapped`, with the rule's name for the record.
4. The runtime ends a text at its first NUL: what only begins like `prod` would equal it. Claims with one are refused.
5. Results are bounded: texts like other claims, lists to `MAX_MAPPED_LIST`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

from cel_expr_python import cel
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError

from extauthz.errors import ExtAuthzError, Refusal
from extauthz.gen.cel.expr.checked_pb2 import CheckedExpr
from extauthz.identity.delegation import PROVABLE_KINDS
from extauthz.identity.rules import Computed
from extauthz.limits import MAX_CONDITION_LENGTH, MAX_MAPPED_LIST
from extauthz.model.reason import Reason
from extauthz.validation import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from extauthz.gen.cel.expr.checked_pb2 import Expr

_VARIABLE: Final = "claims"
_ENVIRONMENT: Final = cel.NewEnv(variables={_VARIABLE: cel.Type.Map(cel.Type.STRING, cel.Type.DYN)})
_LISTS: Final = ("LIST<DYN>", "LIST<STRING>")
_CONDITIONAL: Final = "_?_:_"
_NUL: Final = repr("\x00").strip("'")
"""How Python writes a NUL within a value; a text that spells this out is refused as well."""


class ExpressionError(ExtAuthzError):
    """A mapping expression that is not acceptable. The message is for the operator."""


def compile_field(text: str, field: str, *, many: bool = False) -> Computed:
    """Return the source of an identity field that an expression states.

    Args:
        text: a CEL expression over `claims`.
        field: the identity field, as in the settings (`kind`).
        many: whether the field is a list.

    Raises:
        ExpressionError: it does not compile, is of another type, or names a kind that does not exist.
    """
    if len(text) > MAX_CONDITION_LENGTH:
        message = f"an expression has at most {MAX_CONDITION_LENGTH} characters"
        raise ExpressionError(message)
    try:
        expression = _ENVIRONMENT.compile(text)
    except RuntimeError as error:
        raise ExpressionError(_in_one_line(str(error))) from error
    _require_type(expression.return_type().name(), many=many)
    checked = _checked(expression)
    if _VARIABLE not in {reference.name for reference in checked.reference_map.values()}:
        message = "it reads no claim; a fixed text is written as `value`"
        raise ExpressionError(message)
    if field == "kind":
        _require_kinds(checked.expr)
    return Computed(f"map.{field}", _Evaluation(expression, f"map.{field}", many=many).find)


def _require_type(found: str, *, many: bool) -> None:
    wanted = (*_LISTS, "DYN") if many else ("STRING", "DYN")
    if found not in wanted:
        message = f"it must give {'a list of texts' if many else 'a text'}, this is {found.lower()}"
        raise ExpressionError(message)


def _checked(expression: cel.Expression) -> CheckedExpr:
    wrapped, checked = AnyMessage(), CheckedExpr()
    try:
        wrapped.ParseFromString(expression.serialize())
        checked.ParseFromString(wrapped.value)
    except DecodeError as error:
        message = "it nests too deeply"
        raise ExpressionError(message) from error
    return checked


def _require_kinds(expr: Expr) -> None:
    for kind in _results(expr):
        if kind not in PROVABLE_KINDS:
            message = f"`{kind}` is not a kind of caller; {did_you_mean(kind, PROVABLE_KINDS)}"
            raise ExpressionError(message)


def _results(expr: Expr) -> Iterator[str]:
    """Yield the texts that an expression can result in as far as they are written out."""
    if expr.const_expr.WhichOneof("constant_kind") == "string_value":
        yield expr.const_expr.string_value
    elif expr.call_expr.function == _CONDITIONAL:
        for branch in expr.call_expr.args[1:]:
            yield from _results(branch)


def _in_one_line(report: str) -> str:
    """Return the first complaint of the compiler without its picture of the text."""
    first = report.split("\n", 1)[0]
    return first.removeprefix("INVALID_ARGUMENT: ").removeprefix("ERROR: <input>:")


class _Evaluation:
    """A compiled expression; the runtime allows its use by several threads at once."""

    def __init__(self, expression: cel.Expression, rule: str, *, many: bool) -> None:
        self._expression = expression
        self._rule = rule
        self._many = many

    def find(self, claims: Mapping[str, Any]) -> Any:
        """Return the text or the texts that the claims give.

        Raises:
            Refusal: `identity_unmapped`; the record names the rule.
        """
        seen = dict(claims)
        if _NUL in repr(seen):
            self._refuse("is not for claims that hold a NUL")
        try:
            result = self._expression.eval(data={_VARIABLE: seen})
        except RuntimeError:
            self._refuse("could not be evaluated")
        if result.type() == cel.Type.ERROR:
            self._refuse("could not be evaluated; does it read a claim that is not there?")
        values = result.plain_value()
        if not self._many:
            return self._text(values)
        if not isinstance(values, list) or len(values) > MAX_MAPPED_LIST:
            self._refuse(f"gave no list of at most {MAX_MAPPED_LIST} texts")
        return [self._text(value) for value in values]

    def _text(self, value: object) -> str:
        if not isinstance(value, str):
            self._refuse("gave something else than text")
        return value

    def _refuse(self, what: str) -> NoReturn:
        detail = "The issuer's mapping does not fit this token; tell whoever runs this server."
        raise Refusal(Reason.IDENTITY_UNMAPPED, detail, inner=f"{self._rule}: the expression {what}")
