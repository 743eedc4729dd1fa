"""Conditions are checked when the policy is loaded: what CEL alone would let pass does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from extauthz.limits import MAX_CONDITION_LENGTH
from extauthz.policy.cel.compile import CelError, compile_condition
from tests.simulators.policies import surroundings

if TYPE_CHECKING:
    from extauthz.policy.cel.check import CelProblem


def problems_of(text: str) -> list[CelProblem]:
    """Return the problems of an expression, which must have some."""
    with pytest.raises(CelError) as caught:
        compile_condition(text, surroundings())
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ('identity.kind == "ci"', {"identity.kind"}),
        ('"ci" == identity.kind && identity.human', {"identity.kind", "identity.human"}),
        ('identity.kind in ["ci", "agent"]', {"identity.kind"}),
        ('"admin" in identity.roles', {"identity.roles"}),
        ('identity.scopes.exists(s, s.startsWith("orders."))', {"identity.scopes"}),
        ('identity.kind in ["ci", identity.tenant]', {"identity.kind", "identity.tenant"}),
        ("identity.roles.all(r, r in identity.groups)", {"identity.roles", "identity.groups"}),
        ("identity.scopes.filter(s, s.contains(':')).size() > 3", {"identity.scopes"}),
        ('identity.scopes.filter(s, s != "a").exists(s, s.startsWith("b"))', {"identity.scopes"}),
        ("resource.size + 1 < 10 * 2", {"resource.size"}),
        ("resource.level == 2", {"resource.level"}),
        ("resource.urgent", {"resource.urgent"}),
        (
            'resource.urgent ? identity.human : identity.tenant == "a"',
            {"resource.urgent", "identity.human", "identity.tenant"},
        ),
        ('request.path.matches("^/a/[0-9]+$")', {"request.path"}),
        ('identity.tenant == "has(x)" // has(identity.kind)', {"identity.tenant"}),
        ('identity.scopes[0] == "a"', {"identity.scopes"}),
    ],
)
def test_a_condition_knows_what_it_reads(text: str, reads: set[str]) -> None:
    """The names come from the checked expression, loop variables left out."""
    assert compile_condition(text, surroundings()).reads == reads


@pytest.mark.parametrize(
    ("text", "column", "message", "fix"),
    [
        ('identity.kin == "ci"', 1, "`identity.kin` is not a fact", "`identity.kind`"),
        ('true && identity.kin == "ci"', 9, "`identity.kin` is not a fact", "`identity.kind`"),
        ('resource.enviroment == "x"', 1, "not an attribute of order.read", "`resource.environment`"),
        ('risk == "x"', 1, "`risk` is not a fact", "use one of"),
        ('identity.kind == "agnet"', 18, "`agnet` is not a value of identity.kind", "`agent`"),
        ('"agnet" != identity.kind', 1, "`agnet` is not a value of identity.kind", "`agent`"),
        ('identity.kind in ["ci", "agnet"]', 25, "`agnet` is not a value of identity.kind", "`agent`"),
        ('"agnet" in involved.kinds', 1, "`agnet` is not a value of involved.kinds", "`agent`"),
        ('involved.kinds.exists(k, k == "agnet")', 31, "`agnet` is not a value of involved.kinds", "`agent`"),
        ('["agnet"].exists(k, k == identity.kind)', 2, "`agnet` is not a value of identity.kind", "`agent`"),
        ('involved.kinds.filter(k, k != "agnet").size() > 1', 31, "`agnet` is not a value of", "`agent`"),
        ('!(actor.kind == "usr")', 17, "`usr` is not a value of actor.kind", "`user`"),
        ('resource.environment == "prod"', 25, "`prod` is not a value of resource.environment", "`production`"),
        ("resource.level == 3", 19, "`3` is not a value of resource.level", "1, 2"),
        ('request.method == "get"', 19, "`get` is not a value of request.method", "use one of"),
        ("has(identity.human)", 1, "`has()`", "required"),
        ("true || has (identity.human)", 9, "`has()`", "required"),
        ("identity.kind", 1, "this is string", "compare"),
        ("resource.size", 1, "this is int", "compare"),
        ("true", 1, "reads no fact", "leave it out"),
        ('"identity.kind" == "ci"', 1, "reads no fact", "without quotes"),
        ("identity.kind == 1", 15, "`==` cannot take string, int", "same type"),
        ('timestamp("2020-01-01T00:00:00Z") < timestamp(identity.tenant)', 10, "`timestamp` is not accepted", "time"),
        ("identity.tenant == string(now)", 27, "`now` is not a fact", "time"),
        ("dyn(identity.tenant) == 3", 4, "`dyn` is not accepted", "compare facts"),
        ('[{"a": identity.human}][0].a', 2, "maps and messages", "lists"),
        ('{"a": identity.human}["a"]', 1, "maps and messages", "lists"),
        ("identity.scopes.all(a, identity.scopes.all(b, a == b))", 43, "loop inside a loop", "two conditions"),
        ("identity.human &&", 18, "Syntax error", ""),
        ("", 1, "Syntax error", ""),
        (" " * (MAX_CONDITION_LENGTH + 1), 1, "at most", "split"),
    ],
)  # fmt: skip
def test_a_wrong_condition_is_a_problem_with_a_fix(text: str, column: int, message: str, fix: str) -> None:
    """Typos, values outside a vocabulary, wrong types, time, constants, loops in loops."""
    problem = problems_of(text)[0]
    assert message in problem.message
    assert fix in problem.fix
    assert (problem.line, problem.column) == (1, column)


def test_problems_on_later_lines_are_found_there() -> None:
    """Compiler's and ours alike; all of a kind are reported."""
    assert [(found.line, found.column) for found in problems_of("foo == 1 ||\n  bar == 2")] == [(1, 1), (2, 3)]
    (found,) = problems_of('identity.human &&\n  identity.kind == "agnet"')
    assert (found.line, found.column) == (2, 20)
    (found,) = problems_of("identity.human &&\n\n   has(identity.human)")
    assert (found.line, found.column) == (3, 4)


def test_deep_nesting_is_refused() -> None:
    """By the compiler or by us, never with an exception of another kind."""
    loops = "identity.roles.exists(a, " * 28 + "identity.human" + ")" * 28
    for text in ("(" * 100 + "identity.human" + ")" * 100, "resource.size" + " + 1" * 100 + " > 3", loops):
        assert "too deeply" in problems_of(text)[0].message


@pytest.mark.parametrize("quote", ['"', "'", '"""', "'''"])
def test_has_inside_a_text_is_only_text(quote: str) -> None:
    """Quotes of all kinds, raw and not, hide it; what stands after them does not."""
    for prefix in ("", "r"):
        text = f"identity.tenant != {prefix}{quote}has(x){quote}"
        assert compile_condition(text, surroundings()).reads
        assert "has()" in problems_of(f"{text} && has(identity.human)")[0].message
