"""Requirements that look for reported facts: what is not known holds nothing, and what is holds until its edge."""

from __future__ import annotations

import math
from typing import Any

import pytest

from extauthz.model.identity import Kind
from extauthz.model.reason import Reason
from extauthz.model.standing_facts import (
    Familiarity,
    Posture,
    Risk,
    RiskLevel,
    Task,
    WorkflowPlace,
)
from extauthz.model.state import StateName
from extauthz.model.verdict import BeginTask, ReportPosture, StepUp
from extauthz.policy.rules import MET, Met, Unmet
from tests.simulators.policies import ISSUER, principal, refused, requirement
from tests.unit.policy.requirements.standing import facts_with, in_seconds, job

POSTURE = ("posture", "device laptop-7")
TASK = ("task", "builds")
RISK = ("risk", f"{ISSUER} job-1")
FAMILIAR = ("familiar", "builds order.read")
WORKFLOW = ("workflow", "release builds")
TASK_OF_ORDERS = Task(
    id="t", may=frozenset({"order.*"}), names={"environment": frozenset({"production"})}, until=in_seconds(60)
)
CASES: list[tuple[str, str, tuple[str, str], object, float]] = [
    ("posture", "{max_age: 10m}", POSTURE, Posture(compliant=True, observed_at=in_seconds(-540)), 60),
    ("task", "{names: [environment]}", TASK, TASK_OF_ORDERS, 60),
    ("risk", "{below: 50}", RISK, Risk(score=49, level=RiskLevel.HIGH, until=in_seconds(60)), 60),
    ("risk", "{at_most: medium}", RISK, Risk(score=99, level=RiskLevel.MEDIUM, until=in_seconds(60)), 60),
    ("familiar", "{unknown: deny}", FAMILIAR, Familiarity(known=True), math.inf),
    ("workflow", "{name: release, step: b}", WORKFLOW, WorkflowPlace(next=frozenset({"b"}), until=in_seconds(60)), 60),
]


@pytest.mark.parametrize(("kind", "argument", "name", "value", "lasts"), CASES)
def test_what_is_known_holds_until_its_edge(
    kind: str, argument: str, name: tuple[str, str], value: object, lasts: float
) -> None:
    """It is asked for by its name, and the requirement says when it may be another."""
    asked = requirement(kind, argument)
    facts = facts_with({name: value})
    assert asked.find(facts) is MET
    assert StateName(*name) in asked.needs(facts)
    assert asked.changes_at(facts) == facts.at + lasts
    if lasts < math.inf:
        assert isinstance(asked.find(facts_with({name: value}, after=lasts + 1)), Unmet)
        assert asked.changes_at(facts_with({name: value}, after=lasts + 1)) == math.inf


@pytest.mark.parametrize(("kind", "argument", "name", "value", "lasts"), CASES)
def test_what_is_not_known_holds_nothing(
    kind: str, argument: str, name: tuple[str, str], value: object, lasts: float
) -> None:
    """Nor does the fact of somebody else, or one of another kind under that name."""
    del lasts
    asked = requirement(kind, argument)
    states: list[dict[tuple[str, str], object]] = [{}, {(name[0], f"{name[1]}x"): value}, {name: "yes"}, {name: True}]
    for state in states:
        facts = facts_with(state)
        assert isinstance(asked.find(facts), Unmet)
        assert asked.changes_at(facts) == math.inf


def posture(after: float = 0.0, *, compliant: bool = True, argument: str = "{max_age: 10m}", **fields: Any) -> object:
    """Return what is found of a posture that was seen `after` seconds from now."""
    seen = Posture(compliant=compliant, observed_at=in_seconds(after))
    state: dict[tuple[str, str], object] = {POSTURE: seen, ("posture", "workload builds"): seen}
    return requirement("posture", argument).find(facts_with(state, job(**fields)))


def test_posture_says_what_is_wrong_with_it() -> None:
    """Missing, too old and out of order are different; only a report can be asked for."""
    report = ReportPosture("device", 600)
    assert posture() is MET
    assert posture(argument="{max_age: 10m, of: workload}", device="") is MET
    stale = Unmet(Reason.POSTURE_STALE, report, "Have the state of the device reported again.")
    assert posture(-601) == stale
    assert posture(3600) == stale
    assert posture(compliant=False) == Unmet(Reason.POSTURE_NONCOMPLIANT, detail="Bring the device in order.")
    missing = requirement("posture", "{max_age: 10m}").find(facts_with({}))
    assert missing == Unmet(Reason.POSTURE_MISSING, report, "Have the state of the device reported.")
    nothing = posture(device="")
    assert isinstance(nothing, Unmet)
    assert (nothing.reason, nothing.remedy) == (Reason.POSTURE_MISSING, None)
    assert requirement("posture", "{max_age: 10m}").changes_at(facts_with({}, job(device=""))) == math.inf
    assert requirement("posture", "{max_age: 10m}").needs(facts_with({}, job(device=""))) == ()


def test_a_task_has_a_boundary() -> None:
    """Which holds also where no task is required; without one nothing is out of it there."""
    asked, lenient = requirement("task", "{names: [size]}"), requirement("task", "{required: false}")
    assert asked.find(facts_with({TASK: TASK_OF_ORDERS})) == Unmet(Reason.TASK_BOUNDARY)
    sized = Task(id="t", may=frozenset({"order.read"}), names={"size": frozenset({"7"})}, until=in_seconds(60))
    assert asked.find(facts_with({TASK: sized})) is MET
    assert asked.find(facts_with({TASK: sized}, attributes={})) == Unmet(Reason.TASK_BOUNDARY)
    other = Task(id="t", may=frozenset({"order.write", "orde.*"}), until=in_seconds(60))
    assert lenient.find(facts_with({TASK: other})) == Unmet(Reason.TASK_BOUNDARY)
    assert lenient.find(facts_with({})) is MET
    assert asked.find(facts_with({})) == Unmet(Reason.TASK_MISSING, BeginTask(), "Begin a task first.")


def test_the_risk_of_everybody_counts() -> None:
    """A delegate's too; levels are in order."""
    low = Risk(score=10, level=RiskLevel.LOW, until=in_seconds(60))
    both = job(actor=principal("agent-7", Kind.AGENT))
    actor = ("risk", f"{ISSUER} agent-7")
    asked = requirement("risk", "{below: 50}")
    assert asked.find(facts_with({RISK: low}, both)) == Unmet(Reason.RISK_TOO_HIGH)
    assert asked.find(facts_with({RISK: low, actor: low}, both)) is MET
    below_zero = Risk(score=-1, level=RiskLevel.LOW, until=in_seconds(60))
    assert asked.find(facts_with({RISK: below_zero})) == Unmet(Reason.RISK_TOO_HIGH)
    high = Risk(score=10, level=RiskLevel.HIGH, until=in_seconds(60))
    assert requirement("risk", "{at_most: medium}").find(facts_with({RISK: high})) == Unmet(Reason.RISK_TOO_HIGH)
    assert requirement("risk", "{at_most: high}").find(facts_with({RISK: high})) is MET


def test_what_is_done_for_the_first_time_needs_something_else() -> None:
    """With its remedy, and until it changes."""
    asked = requirement("familiar", "{unknown: {step_up: {max_age: 5m}}}")
    person = principal(kind=Kind.USER)
    fresh = facts_with({}, job(subject=person, auth_time=in_seconds(-60)))
    assert asked.find(fresh) is MET
    assert asked.changes_at(fresh) == fresh.at + 240
    old = asked.find(facts_with({}, job(subject=person, auth_time=in_seconds(-600))))
    assert old == Unmet(Reason.UNFAMILIAR_ACTION, StepUp((), 300), "Sign in again as the challenge says.")
    unknown = facts_with({FAMILIAR: Familiarity(known=False)})
    assert requirement("familiar", "{unknown: deny}").find(unknown) == Unmet(Reason.UNFAMILIAR_ACTION)
    approval = requirement("familiar", "{unknown: {approval: {by: lead, covers: action, lasts: 5m}}}")
    assert [name.kind for name in approval.needs(fresh)] == ["familiar", "approval"]
    assert not isinstance(approval.find(fresh), Met)


def test_what_a_task_names_must_be_attributes() -> None:
    """Also one in the middle of a list."""
    assert refused("task", "{names: [size, sise]}").message == "`sise` is not an attribute of order.read"
