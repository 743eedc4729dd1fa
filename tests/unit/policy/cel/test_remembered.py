"""What is remembered of conditions: little, nothing secret, and never a failure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.model.identity import Identity
from extauthz.model.request import Request, Source
from extauthz.policy.cel import condition as remembering
from extauthz.policy.cel.compile import compile_condition
from extauthz.policy.cel.condition import LONGEST_VALUE, MOST_REMEMBERED
from extauthz.policy.names import FACTS, Fact, FactType
from extauthz.policy.rules import ConditionFailed
from extauthz.policy.surroundings import Surroundings
from tests.simulators.policies import compile_text, json_body, make_facts, make_request, principal

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Counted:
    """A compiled program, and how often the runtime was asked."""

    program: Any
    asked: list[dict[str, object]] = field(default_factory=list)

    def eval(self, data: dict[str, object]) -> Any:
        """Ask the runtime."""
        self.asked.append(data)
        return self.program.eval(data=data)


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    """Begin with an empty memory."""
    remembering._remembered.clear()
    yield
    remembering._remembered.clear()


def times_asked(text: str, *rounds: dict[str, object], constants: dict[str, Any] | None = None) -> int:
    """Return how often the runtime is asked when a condition is, with these values one after the other."""
    facts = {**FACTS, "resource.size": Fact(FactType.NUMBER, visible=True), "resource.note": Fact(FactType.TEXT)}
    condition = compile_condition(text, Surroundings("order.read", facts, constants=constants or {}))
    counted = Counted(condition.expression)
    condition = replace(condition, expression=counted)
    for variables in rounds:
        try:
            condition.holds(replace(make_facts(), variables=variables))
        except ConditionFailed:
            continue
    return len(counted.asked)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('request.path != "/a"', {"request.path": "/b"}),
        ('identity.kind == "ci"', {"identity.kind": "ci"}),
        ("identity.human", {"identity.human": False}),
        ("resource.size < 3", {"resource.size": 2}),
        ('request.method == "GET" && resource.size < 3', {"request.method": "PUT", "resource.size": 2}),
    ],
)
def test_what_was_said_of_these_values_is_not_asked_again(text: str, value: dict[str, object]) -> None:
    """True or false, by as many values as there are."""
    assert times_asked(text, value, dict(value), dict(value)) == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 / resource.size > 3", {"resource.size": 0}),
        ('request.path != "/a"', {"request.path": "/a\0"}),
        ('identity.human || request.path == "/a"', {"identity.human": True}),
        ('request.path != "/a"', {"request.path": "/" + "a" * LONGEST_VALUE}),
        ('resource.note != "a"', {"resource.note": "b"}),
        ('identity.subject != "a"', {"identity.subject": "b"}),
        ('"a" in identity.roles', {"identity.roles": ["a"]}),
        ('"ci" in involved.kinds', {"involved.kinds": ["ci"]}),
        ("request.path != resource.note", {"request.path": "/a", "resource.note": "b"}),
    ],
)
def test_failures_unknown_long_and_hidden_values_are_not_remembered(text: str, value: dict[str, object]) -> None:
    """Also what one unknown or hidden value of several would make possible."""
    nul = any("\0" in each for each in value.values() if isinstance(each, str))
    assert times_asked(text, value, dict(value)) == (0 if nul else 2)
    assert not remembering._remembered


def test_conditions_that_read_many_facts_are_not_remembered() -> None:
    """So that one outcome takes little memory; one fact fewer is."""
    values: dict[str, object] = {"request.path": "/", "request.host": "h", "resource.size": 1, "identity.human": True}
    text = 'request.path == "/" && request.host == "h" && resource.size == 1 && identity.human'
    assert times_asked(text, values, values) == 1
    assert times_asked(f"{text} && !identity.delegated", *[values | {"identity.delegated": False}] * 2) == 2


def test_one_condition_never_answers_for_another() -> None:
    """Not one with the same words and another constant, nor the same one compiled again."""
    around = [Surroundings("o.r", {**FACTS}, constants={"constants.place": place}) for place in ("/a", "/b", "/a")]
    conditions = [compile_condition("request.path == constants.place", each) for each in around]
    facts = replace(make_facts(), variables={"request.path": "/a"})
    assert [condition.holds(facts) for condition in (*conditions, *conditions)] == [True, False, True] * 2
    assert len(remembering._remembered) == 3


def test_many_different_values_take_no_more_memory() -> None:
    """Of all conditions together; what is asked about again afterwards is remembered as before."""
    conditions = [compile_condition(f"resource.size == {number}", visible_size()) for number in range(2)]
    for size in range(MOST_REMEMBERED):
        for number, condition in enumerate(conditions):
            assert condition.holds(replace(make_facts(), variables={"resource.size": size})) is (size == number)
            assert len(remembering._remembered) <= MOST_REMEMBERED
    two: dict[str, object] = {"resource.size": 2}
    assert times_asked("resource.size < 3", two, two, two) == 1


def visible_size() -> Surroundings:
    """Return surroundings with a number that everybody may see."""
    return Surroundings("order.read", {**FACTS, "resource.size": Fact(FactType.NUMBER, visible=True)})


RESOURCE = """
  - name: reset
    action: use
    match: {host: api.example.com, path: "/%s/{in_path}/{at_times}", methods: [POST]}
    attributes:
      in_path: path.in_path
      in_context: context.in_context
      fixed: {value: fixed}
      at_times: %s
      in_body: body.in_body
      in_query: query.in_query
      in_header: header.in-header
      number: {from: query.number, type: int}
      closed: {from: body.closed, one_of: [this, that]}
      flag: {from: query.flag, type: bool}
"""


def test_what_may_be_a_secret_is_not_remembered() -> None:
    """Attributes from body, query and header stay out unless their values are few and known; claims stay out.

    Where the same attribute is read from two places, one that may hold a secret is enough.
    """
    names = ("in_path", "in_context", "at_times", "in_body", "in_query", "in_header", "closed", "fixed")
    conditions = [
        *(f'resource.{name} != "{"that" if name == "closed" else "fixed"}"' for name in names),
        *("resource.number != 1", "resource.flag", 'identity.subject != "x"', 'identity.tenant != "x"'),
        *('identity.session != "x"', 'source.address != "x"', 'request.host != "x"', 'identity.kind != "user"'),
    ]
    rules = [f"  - {{id: p{n}, who: anyone, may: [reset.use], when: '{text}'}}" for n, text in enumerate(conditions)]
    declared = "resources:" + RESOURCE % ("a", "path.at_times") + RESOURCE % ("b", "query.in_query")
    route = compile_text("\n".join([declared, "permits:", *rules])).route(request())
    identity = Identity(subject=principal("subject"), tenant="tenant", session="session")
    facts = make_facts(identity, route.read_attributes(request()), request())
    remembering._remembered.clear()  # of what was tried out to find rules that can never apply
    for permit in route.rules.permits:
        assert permit.when is not None
        permit.when.holds(facts)
    kept = {value for _, *values in remembering._remembered for value in values}
    assert kept == {"in-path", "in-context", "fixed", "this", True, "api.example.com", "ci"}


def request() -> Request:
    """Return a request in which every value is told from all others."""
    body = json_body(b'{"in_body": "in-body", "closed": "this"}', in_header="in-header")
    query = (("in_query", "in-query"), ("number", "17"), ("flag", "true"))
    return make_request(
        "POST",
        "api.example.com/a/in-path/at-times",
        query=query,
        context={"in_context": "in-context"},
        source=Source(address="192.0.2.7"),
        **body,
    )
