"""`observe` on a requirement: it never changes the answer, and the record says that it would have."""

from __future__ import annotations

import math

import pytest

from extauthz.model.identity import Identity
from extauthz.model.verdict import Allow, Deny
from extauthz.policy.evaluate import evaluate
from extauthz.policy.rules import Observed, RouteRules
from tests.simulators.policies import RESOURCE, compile_text, make_facts, make_request, only_problem, principal

FREE = "permits: [{id: p, who: anyone, may: '*'}]\n"
WATCHED = "require: [{roles: [clerk], observe: true}]"


def rules_of(text: str) -> RouteRules:
    """Return the rules at the one resource."""
    return compile_text(RESOURCE + text).route(make_request("GET", "api.example.com/orders/7")).rules


def facts(*roles: str) -> Identity:
    """Return a caller with roles."""
    return Identity(subject=principal(roles=frozenset(roles)))


@pytest.mark.parametrize(
    ("text", "noted"),
    [
        (f"guards: [{{id: g, on: '*', {WATCHED}}}]\n" + FREE, "g"),
        (f"permits: [{{id: p, who: anyone, may: '*', {WATCHED}}}]\n", "p"),
        ("guards: [{id: g, on: '*', require: [{cel: 'identity.tenant == \"x\"', observe: true}]}]\n" + FREE, "g"),
    ],
)
def test_what_is_missing_is_noted_and_nothing_else(text: str, noted: str) -> None:
    """Also when it could not be evaluated."""
    verdict = evaluate(rules_of(text), make_facts(facts()))
    assert isinstance(verdict, Allow)
    assert verdict.trail.would_deny == (noted,)


@pytest.mark.parametrize(
    "rule", ["guards: [{id: g, on: '*', %s}]\n" + FREE, "permits: [{id: p, who: anyone, may: '*', %s}]\n"]
)
def test_nothing_is_noted_when_it_holds(rule: str) -> None:
    """The negative control, and without `observe` it denies."""
    verdict = evaluate(rules_of(rule % WATCHED), make_facts(facts("clerk")))
    assert isinstance(verdict, Allow)
    assert verdict.trail.would_deny == ()
    enforced = WATCHED.replace(", observe: true", "")
    assert isinstance(evaluate(rules_of(rule % enforced), make_facts(facts())), Deny)
    assert isinstance(evaluate(rules_of(rule % WATCHED.replace("true", "false")), make_facts(facts())), Deny)


def test_the_others_of_the_rule_still_count() -> None:
    """A rule that denies anyway is noted once, as that; one that fails as failed."""
    guard = "guards: [{id: g, on: '*', require: [{roles: [clerk], observe: true}, {%s}]}]\n" + FREE
    for other in ("roles: [boss]", "cel: 'identity.tenant == \"x\"'"):
        verdict = evaluate(rules_of(guard % other), make_facts(facts()))
        assert isinstance(verdict, Deny)
        assert verdict.trail.unmet == ("g",)
        assert verdict.trail.would_deny == ()


def test_it_is_asked_for_what_it_needs() -> None:
    """The record rests on it, so a kept decision does as well."""
    rules = rules_of("guards: [{id: g, on: '*', require: [{step_up: {max_age: 5m}, observe: true}]}]\n" + FREE)
    (watched,) = rules.requirements
    assert isinstance(watched, Observed)
    inner = watched.requirement
    signed_in = make_facts(Identity(subject=principal(), auth_time=make_facts().at))
    assert watched.kind == inner.kind == "step_up"
    assert watched.reads == inner.reads
    assert watched.needs(signed_in) == inner.needs(signed_in)
    assert watched.changes_at(signed_in) == inner.changes_at(signed_in) < math.inf
    assert watched.find(signed_in) == inner.find(signed_in)


@pytest.mark.parametrize(
    ("clause", "message"),
    [
        ("{roles: [a], observe: yes}", "`observe` must be true or false"),
        ("{roles: [a], observ: true}", "a requirement is one key"),
        ("{observe: true}", "a requirement is one key"),
    ],
)
def test_a_wrong_observe_is_a_problem(clause: str, message: str) -> None:
    """It would enforce what was to be watched, or the other way round."""
    assert message in only_problem(RESOURCE + f"guards: [{{id: g, on: '*', require: [{clause}]}}]").message


def test_what_lifts_a_forbid_is_not_observed() -> None:
    """It would lift it for everybody."""
    problem = only_problem(RESOURCE + "forbids: [{id: f, on: '*', unless: [{roles: [a], observe: true}]}]")
    assert "cannot merely be observed" in problem.message
