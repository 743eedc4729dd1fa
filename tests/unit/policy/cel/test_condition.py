"""A condition is true, false or failed; an error is never taken for true."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cel_expr_python import cel

from extauthz.policy.cel.compile import compile_condition
from extauthz.policy.cel.environment import new_environment
from extauthz.policy.names import FACTS, Fact, FactType
from extauthz.policy.rules import ConditionFailed
from tests.simulators.policies import make_facts, surroundings

if TYPE_CHECKING:
    from extauthz.model.facts import Facts


def facts_with(**variables: object) -> Facts:
    """Return facts with these flat variables, `resource_size` for `resource.size`."""
    return replace(make_facts(), variables={name.replace("_", ".", 1): value for name, value in variables.items()})


def holds(text: str, **variables: object) -> bool:
    """Return whether the condition holds for these variables."""
    return compile_condition(text, surroundings()).holds(facts_with(**variables))


def test_true_and_false_come_out() -> None:
    """Over every type of fact."""
    assert holds('identity.kind == "ci"', identity_kind="ci") is True
    assert holds('identity.kind == "ci"', identity_kind="agent") is False
    assert holds('"a" in identity.roles', identity_roles=["a"]) is True
    assert holds("resource.size < 10", resource_size=10) is False
    assert holds("!resource.urgent", resource_urgent=False) is True


def test_a_fact_that_is_not_known_fails() -> None:
    """It is neither empty nor false, whichever way the condition is written; the failure names it."""
    for text in ('identity.tenant == "a"', 'identity.tenant != "a"', '!(identity.tenant == "a")'):
        with pytest.raises(ConditionFailed, match=r"not known: identity\.tenant"):
            holds(text)


def test_a_fact_that_does_not_matter_may_be_unknown() -> None:
    """What decides without it decides."""
    assert holds('identity.human || identity.tenant == "a"', identity_human=True) is True
    assert holds('identity.human && identity.tenant == "a"', identity_human=False) is False


def test_an_error_value_is_a_failure_not_true() -> None:
    """The runtime returns errors as values that are true to Python; this is the control for our looking at types."""
    expression = cel.NewEnv(variables={"n": cel.Type.INT}).compile("n / 0 == 1")
    assert expression.eval(data={"n": 1}).value()
    with pytest.raises(ConditionFailed, match="could not be evaluated"):
        holds("resource.size / 0 == 1", resource_size=1)
    with pytest.raises(ConditionFailed):
        holds('identity.scopes[3] == "a"', identity_scopes=["a"])


def test_a_value_of_the_wrong_type_is_a_failure() -> None:
    """Facts have their declared types, so this is our own fault, and denied."""
    with pytest.raises(ConditionFailed):
        holds("resource.size < 3", resource_size="2")


def test_what_the_runtime_raises_is_a_failure() -> None:
    """A text that cannot be encoded, and a loop beyond the runtime's budget."""
    with pytest.raises(ConditionFailed, match="could not be evaluated"):
        holds('identity.tenant == "a"', identity_tenant="\ud800")
    with pytest.raises(ConditionFailed, match="could not be evaluated"):
        holds('identity.scopes.all(s, s != "")', identity_scopes=["x"] * 20_000)


def test_every_type_of_fact_can_be_declared() -> None:
    """The environment knows them all."""
    facts = {**FACTS, **{f"resource.a{kind.name}": Fact(kind) for kind in FactType}}
    assert new_environment(facts).compile("resource.aFLAG")


def test_a_text_that_holds_a_nul_fails_the_condition() -> None:
    """The runtime ends a text at its first NUL, so a longer one would equal a shorter; the control shows it."""
    expression = cel.NewEnv(variables={"t": cel.Type.STRING}).compile('t == "staging"')
    assert expression.eval(data={"t": "staging\0production"}).value() is True
    for condition, variables in (
        ('identity.tenant != "staging"', {"identity_tenant": "staging\0production"}),
        ('!("a" in identity.roles)', {"identity_roles": ["b", "a\0"]}),
    ):
        with pytest.raises(ConditionFailed, match="NUL"):
            holds(condition, **variables)
