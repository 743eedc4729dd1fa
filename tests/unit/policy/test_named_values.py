"""Constants and lists: a name means one thing, and a misspelt one is an error."""

from __future__ import annotations

import pytest

from extauthz.errors import PolicyError
from extauthz.model.identity import Identity, Kind
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.policy.rules import Unmet
from tests.simulators.policies import (
    RESOURCE,
    compile_text,
    make_facts,
    make_request,
    only_problem,
    principal,
    problems_in,
)

GET_ORDER = make_request("GET", "api.example.com/orders/7")
TYPED = RESOURCE.replace(
    "{order: path.order}", "{size: {from: query.size, type: int}, env: {from: query.env, one_of: [dev, prod]}}"
)


def guard(when: str) -> str:
    """Return a guard with a condition."""
    return f"guards: [{{id: g, on: '*', when: '{when}', require: [{{roles: [x]}}]}}]\n"


@pytest.mark.parametrize(
    ("constant", "when", "size"),
    [("3", "resource.size > constants.max", 4), ("big", 'constants.max == "big" && resource.size > 3', 4)],
)
def test_a_constant_is_a_typed_value_in_conditions(constant: str, when: str, size: int) -> None:
    """Beside facts, and only there."""
    rules = compile_text(TYPED + f"constants: {{max: {constant}}}\n" + guard(when)).route(GET_ORDER).rules
    condition = rules.guards[0].when
    assert condition is not None
    assert condition.reads == {"resource.size"}
    assert condition.holds(make_facts(attributes={"size": size}))
    assert not condition.holds(make_facts(attributes={"size": 3}))


@pytest.mark.parametrize(
    ("when", "message", "fix"),
    [
        ("resource.size > constants.maxx", "`constants.maxx` is not a constant", "`constants.max`"),
        ("resource.size > constant.max", "`constant.max` is not a fact", "`constants.max`"),
        ("resource.size == constants.env", "cannot take", ""),
        ("resource.env == constants.env", "`prd` is not a value of resource.env", "`prod`"),
        ("resource.env in [constants.env]", "`prd` is not a value of resource.env", "`prod`"),
        ("constants.max > 2", "the condition reads no fact", ""),
    ],
)
def test_a_constant_is_checked_where_it_is_used(when: str, message: str, fix: str) -> None:
    """Its name, its type, and against the closed vocabulary that it is compared with."""
    problem = only_problem(TYPED + "constants: {max: 3, env: prd}\n" + guard(when))
    assert message in problem.message
    assert fix in problem.fix


def test_a_constant_is_no_fact() -> None:
    """A scope written with it would never be found at run time."""
    text = (
        RESOURCE
        + "constants: {max: a}\npermits: [{id: p, who: anyone, may: '*', require: [{scopes: ['s:{constants.max}']}]}]"
    )
    assert "`{constants.max}` is not a fact" in only_problem(text).message


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("constants: {Max: 1}", "`Max` cannot be a name"),
        ("constants: {in: 1}", "`in` cannot be a name"),
        ('constants: {max: ""}', "a constant is never empty"),
        ("constants: {max: 1.5}", "must be text, a whole number"),
        ("constants: {max: [1]}", "must be text, a whole number"),
        ("constants: [1]", "must be a mapping"),
        ("lists: {a.b: [x]}", "`a.b` cannot be a name"),
        ("lists: {a: []}", "must not be empty"),
        ("lists: {a: [1]}", "must be text"),
        ("lists: {a: [x], b: [y, $a]}", "`$a` is no text: a list holds no lists"),
        ("lists: {a: [x], b: $a}", "`$a` is no text: a list holds no lists"),
    ],
)
def test_wrong_declarations_are_problems(section: str, message: str) -> None:
    """Wherever they stand."""
    assert any(message in problem.message for problem in problems_in(RESOURCE + section))


def test_a_list_stands_wherever_texts_do() -> None:
    """Alone or among others, in resources and rules, for kinds, targets and what requirements are given."""
    text = """\
        lists: {envs: [dev, prod], boss: [chief], robots: [ci, agent], targets: [order.read]}
        resources:
          - name: order
            action: read
            match: {host: h, path: /o, methods: [GET], query: {kind: $envs}}
            attributes: {env: {from: query.env, one_of: [$envs, test]}}
        permits:
          - {id: p, who: {kind: $robots, roles: [clerk, $boss]}, may: $targets, require: [{roles: {any_of: $boss}}]}
        """
    route = compile_text(text).route(make_request("GET", "h/o", query=(("kind", "dev"),)))
    (permit,) = route.rules.permits
    assert permit.who.kinds == {"ci", "agent"}
    assert permit.who.roles == {"clerk", "chief"}
    assert route.attributes[0].one_of == ("dev", "prod", "test")
    facts = make_facts(Identity(subject=principal("a", Kind.CI, roles=frozenset({"clerk"}))))
    assert isinstance(permit.require[0].find(facts), Unmet)


@pytest.mark.parametrize(
    ("rule", "message", "fix"),
    [
        ("who: {roles: $bos}, may: '*'", "there is no list `bos`", "did you mean `boss`?"),
        ("who: {roles: [a, $]}, may: '*'", "there is no list ``", "use one of"),
        ("who: anyone, may: '*', require: [{scopes: [$bos]}]", "there is no list `bos`", "`boss`"),
        ("who: anyone, may: '*', when: $boss", "a condition must be text", ""),
    ],
)
def test_a_list_is_checked_where_it_is_used(rule: str, message: str, fix: str) -> None:
    """A misspelt name is never a text of its own; a list is no condition."""
    problem = problems_in(RESOURCE + f"lists: {{boss: [chief]}}\npermits: [{{id: p, {rule}}}]")[0]
    assert message in problem.message
    assert fix in problem.fix


def test_without_lists_the_advice_says_how_to_declare_one() -> None:
    """Or how to write the sign itself."""
    problem = only_problem(RESOURCE + "permits: [{id: p, who: {roles: $boss}, may: '*'}]")
    assert problem.fix == "declare it under `lists`, or write `$$`"


def test_two_signs_write_one() -> None:
    """For a name that begins with it."""
    permits = "permits: [{id: p, who: {roles: [$$boss, a], subjects: $$x, issuers: [i]}, may: '*'}]"
    (permit,) = compile_text(RESOURCE + permits).route(GET_ORDER).rules.permits
    assert permit.who.roles == {"$boss", "a"}
    assert permit.who.subjects == {"$x"}


def test_problems_behind_a_list_point_at_their_own_place() -> None:
    """Entries move when a list takes its place; what is said about them does not."""
    text = """\
lists: {boss: [a, b, c]}
permits:
  - id: p
    who: anyone
    may: order.read
    require:
      - roles:
          - $boss
          - 7
      - scopes:
          - $boss
          - "x y"
"""
    found = [(problem.line - 5, problem.column) for problem in problems_in(RESOURCE + text)]
    assert found == [(9, 13), (12, 13)]


def test_names_are_shared_by_files_and_declared_once() -> None:
    """Whichever file is read first."""
    files = {
        "a.yaml": RESOURCE.encode(),
        "b.yaml": b"permits: [{id: p, who: {roles: $boss}, may: order.read, when: identity.acr == constants.acr}]",
        "c.yaml": b"lists: {boss: [chief]}\nconstants: {acr: high}",
    }
    assert compile_policy(files, PolicyContext()).counts.permits == 1
    with pytest.raises(PolicyError, match=r"`boss` is declared at c.yaml:1"):
        compile_policy({**files, "d.yaml": b"lists: {boss: [other]}"}, PolicyContext())
    with pytest.raises(PolicyError, match=r"`acr` is declared at c.yaml:2"):
        compile_policy({**files, "d.yaml": b"constants: {acr: low}"}, PolicyContext())


def test_a_fixed_value_is_a_closed_vocabulary() -> None:
    """A condition cannot ask for another one; where it is fixed to several, each is possible."""
    fixed = "{name: o, action: read, match: {host: h, path: /%s, methods: [GET]}, attributes: {env: {value: %s}}}"
    text = "resources:\n  - " + fixed % ("a", "staging") + "\n  - " + fixed % ("b", "production") + "\n"
    assert compile_text(text + guard('resource.env == "production"')).counts.guards == 1
    assert "did you mean `production`?" in only_problem(text + guard('resource.env == "productoin"')).fix
    other = text.replace("{value: staging}", "query.env")
    assert compile_text(other + guard('resource.env == "productoin"')).counts.guards == 1
