"""`external`: what another decision point is told, and what its answer means."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.clock import Instant
from extauthz.model.enquiry import Answered, Enquiries
from extauthz.model.identity import Identity, Kind
from extauthz.model.reason import Reason
from extauthz.model.verdict import StepUp
from extauthz.policy.compile import PolicyContext
from extauthz.policy.rules import MET, Failed, Unmet
from tests.simulators.policies import AT, make_facts, principal, problems_in, refused, requirement

if TYPE_CHECKING:
    from extauthz.model.enquiry import Enquiry
    from extauthz.model.facts import Facts
    from extauthz.policy.rules import Finding

DENIED = Unmet(Reason.EXTERNAL_DENIED)
PERSON = Identity(subject=principal("alice", Kind.USER))


class Point:
    """Answers as set, and notes what it is asked."""

    def __init__(self, said: Any = None, until: float | None = None) -> None:
        self.said = said
        self.until = None if until is None else Instant(until)
        self.asked: list[Enquiry] = []

    def facts(self, identity: Identity | None = None, attributes: Any = None) -> Facts:
        """Return the facts of a decision that asks it."""
        return replace(make_facts(identity, attributes), enquiries=Enquiries(self._find))

    def _find(self, enquiry: Enquiry) -> Answered | None:
        self.asked.append(enquiry)
        return None if self.said is None else Answered(said=self.said, asked_at=AT, until=self.until)


def found(said: Any, identity: Identity | None = None) -> Finding:
    """Return what the requirement finds."""
    return requirement("external", "{ask: risk}").find(Point(said).facts(identity))


@pytest.mark.parametrize(
    ("said", "identity", "finding"),
    [
        ({"decision": True}, None, MET),
        ({"decision": True, "context": {"reason": "fine"}}, None, MET),
        ({"decision": False}, None, DENIED),
        ({"decision": False, "context": {"acr_values": ["gold"]}}, None, DENIED),
        ({"decision": False, "context": {"acr_values": 'go"ld'}}, PERSON, DENIED),
        ({"decision": False, "context": {"acr_values": [7]}}, PERSON, DENIED),
        ({"decision": False, "context": {"acr_values": []}}, PERSON, DENIED),
        (
            {"decision": False, "context": {"acr_values": "gold silver"}},
            PERSON,
            Unmet(Reason.STEP_UP_REQUIRED, StepUp(acr_values=("gold", "silver"))),
        ),
    ],
)
def test_what_an_answer_means(said: Any, identity: Identity | None, finding: Finding) -> None:
    """Machines are never told to sign in."""
    assert found(said, identity) == finding


def test_an_obligation_that_nobody_would_meet_refuses() -> None:
    """Whatever it is."""
    finding = found({"decision": True, "context": {"obligations": [{"id": "1"}]}})
    assert isinstance(finding, Unmet)
    assert finding.reason is Reason.EXTERNAL_DENIED


def test_no_answer_is_a_failure() -> None:
    """It is asked once, and the decision is not kept."""
    point = Point()
    facts = point.facts()
    asked = requirement("external", "{ask: risk}")
    assert asked.changes_at(facts) == math.inf, "a rule that did not apply asked nobody"
    for _ in range(2):
        assert asked.find(facts) == Failed("risk has not answered", Reason.EVIDENCE_UNAVAILABLE)
    assert (len(point.asked), asked.changes_at(facts)) == (1, AT)


@pytest.mark.parametrize(("until", "changes"), [(None, AT), (AT + 5, AT + 5), (AT - 5, AT)])
def test_a_decision_holds_as_long_as_the_answer(until: float | None, changes: float) -> None:
    """At most."""
    facts = Point({"decision": True}, until).facts()
    asked = requirement("external", "{ask: risk}")
    assert asked.find(facts) is MET
    assert asked.changes_at(facts) == changes


def test_nothing_is_told_but_who_what_and_what_the_rule_sends() -> None:
    """Another caller, attribute or context is another question."""
    asked = requirement("external", "{ask: risk, id: resource.size, send: [identity.tenant, identity.scopes]}")
    point = Point({"decision": True})
    delegated = Identity(
        subject=principal("alice", Kind.USER),
        actor=principal("helper", None, client="c-1"),
        tenant="acme",
        scopes=frozenset({"a"}),
    )
    assert asked.find(point.facts(delegated, {"size": 3})) is MET
    assert asked.find(point.facts(delegated, {"size": 4})) is MET
    assert asked.find(point.facts(replace(delegated, tenant="other"), {"size": 3})) is MET
    assert len({enquiry.digest for enquiry in point.asked}) == 3
    issuer = delegated.subject.issuer
    assert point.asked[0].question == {
        "subject": {
            "type": "user",
            "id": "alice",
            "properties": {
                "issuer": issuer,
                "actors": [{"type": "identity", "id": "helper", "properties": {"issuer": issuer, "client": "c-1"}}],
            },
        },
        "action": {"name": "read"},
        "resource": {"type": "order", "id": "3", "properties": {"size": 3}},
        "context": {"identity.tenant": "acme", "identity.scopes": ["a"]},
    }


def test_a_resource_that_is_not_known_is_not_asked_about() -> None:
    """It would be asked about all of them."""
    finding = requirement("external", "{ask: risk, id: resource.size}").find(Point({"decision": True}).facts())
    assert isinstance(finding, Failed)
    assert finding.reason is Reason.EVALUATION_FAILED


def test_slips_are_found() -> None:
    """Facts here; decision points where the settings are known."""
    assert "resource.size" in refused("external", "{ask: risk, id: resource.sise}").fix
    policy = """\
resources: [{name: order, action: read, match: {host: a.example, path: /, methods: [GET]}}]
guards: [{id: g, on: order.read, require: [{external: {ask: rsik}}]}]
"""
    for points, fix in ((("risk",), "risk"), ((), "name it under `decision_points`")):
        (problem,) = problems_in(policy, PolicyContext(decision_points=points))
        assert problem.message == "there is no decision point `rsik`"
        assert fix in problem.fix
