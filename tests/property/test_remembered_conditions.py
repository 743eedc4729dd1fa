"""What a condition is remembered to have said is what it says: over hostile values, in any order."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from extauthz.policy.cel import condition as remembering
from extauthz.policy.cel.compile import compile_condition
from extauthz.policy.cel.condition import LONGEST_VALUE, MOST_REMEMBERED, CelCondition
from extauthz.policy.names import FACTS, Fact, FactType
from extauthz.policy.rules import ConditionFailed
from extauthz.policy.surroundings import Surroundings
from tests.simulators.policies import make_facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

AROUND = Surroundings(
    "order.read",
    {
        **FACTS,
        "resource.word": Fact(FactType.TEXT, visible=True),
        "resource.size": Fact(FactType.NUMBER, visible=True),
        "resource.urgent": Fact(FactType.FLAG),
        "resource.note": Fact(FactType.TEXT),
    },
    constants={"constants.limit": 1},
)
CONDITIONS = [
    compile_condition(text, AROUND)
    for text in (
        "resource.size == 1",
        "resource.size != constants.limit",
        "10 / resource.size > 1",
        "resource.urgent",
        "!resource.urgent",
        'resource.word == ""',
        'resource.word != "a"',
        'resource.word < "b" || resource.size > 0',
        "resource.urgent ? resource.size > 0 : resource.word.size() > 1",
        'resource.urgent || resource.word == "a"',
        'resource.word == resource.note || resource.note == "a"',
        'resource.word in ["a", "b"] && request.path != "a" && request.host != "a" && resource.size < 2',
        'resource.word == "a" && request.path == "a" && request.host == "a" && resource.size < 2 && resource.urgent',
        'identity.kind == "ci" && identity.human',
        '"a" in identity.roles || resource.urgent',
    )
]


class Word(str):
    """A text of another type."""

    __slots__ = ()


HOSTILE: list[object] = [
    *(None, True, False, 0, 1, 2, -1, 1.0, 0.0, 2**63, 10**30, float("nan")),
    *("", "a", "b", "ci", "1", "True", "a\0", "a\0b", "\ud800", "á", "a\u0301", b"a", Word("a"), Word("")),
    *("x" * LONGEST_VALUE, "x" * (LONGEST_VALUE + 1), ["a"], [], ["b", "a\0"], ("a",), {"a": 1}),
]
LIKELY: list[object] = [True, False, 0, 1, 1.0, "", "a", "b", None]
VALUES = st.one_of(st.sampled_from(LIKELY), st.sampled_from(HOSTILE), st.text(max_size=3), st.integers())
NAMES = sorted({name for condition in CONDITIONS for name in condition.reads})
ASKED = st.lists(st.tuples(st.sampled_from(CONDITIONS), st.fixed_dictionaries(dict.fromkeys(NAMES, VALUES))))


def said(condition: CelCondition, values: Mapping[str, object]) -> bool | str:
    """Return what a condition says, or the kind of exception that it ends with and its text."""
    try:
        return condition.holds(replace(make_facts(), variables=values))
    except (ConditionFailed, TypeError) as failure:
        return f"{type(failure).__name__}: {failure}"


def first_difference(asked: Iterable[tuple[CelCondition, Mapping[str, object]]]) -> tuple[object, object] | None:
    """Return what a condition said where one that remembers nothing says something else; None when that is nowhere."""
    for condition, values in asked:
        answer, fresh = said(condition, values), said(replace(condition, types={}), values)
        if answer is not fresh and answer != fresh:
            return answer, fresh
    return None


@given(ASKED)
def test_a_remembered_outcome_is_the_one_that_the_runtime_gives(
    asked: list[tuple[CelCondition, Mapping[str, object]]],
) -> None:
    """Failures with their words too. What examples before have left is remembered, so later ones read it."""
    assert first_difference(asked) is None
    assert len(remembering._remembered) <= MOST_REMEMBERED


def test_without_types_in_the_comparison_a_wrong_outcome_shows() -> None:
    """The negative control: conditions to which values are the same that are the same to Python."""
    for text, first, second in (
        ("resource.size == 1", 1, 1.0),
        ("resource.urgent", True, 1),
        ('resource.word == "a"', "a", Unlike("b")),
    ):
        broken, (name,) = compile_condition(text, AROUND), compile_condition(text, AROUND).reads
        assert first_difference([(broken, {name: first}), (broken, {name: second})]) is None
        object.__setattr__(broken, "_types", Anything())
        assert first_difference([(broken, {name: first}), (broken, {name: second})]) is not None


class Anything:
    """Equals everything."""

    __hash__ = None  # type: ignore[assignment] # equality says nothing about it

    def __eq__(self, other: object) -> bool:
        return True


class Unlike(str):
    """A text that equals `a`, whatever it is."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return other == "a"

    def __hash__(self) -> int:
        return hash("a")
