"""`step_up`: signed in strongly and recently enough."""

from __future__ import annotations

import pytest

from extauthz.clock import Instant
from extauthz.model.identity import Identity, Kind
from extauthz.model.reason import Reason
from extauthz.model.verdict import StepUp
from extauthz.policy.rules import MET, Finding, Unmet
from tests.simulators.policies import AT, make_facts, principal, refused, requirement

ACR = {"strong": ("strongest",), "strongest": ("hardware",)}


def person(acr: str = "", age: float | None = None, kind: Kind = Kind.USER) -> Identity:
    """Return a caller who signed in with `acr`, `age` seconds ago."""
    auth_time = None if age is None else Instant(AT - age)
    return Identity(subject=principal(kind=kind), acr=acr, auth_time=auth_time)


def finding_for(argument: str, identity: Identity) -> Finding:
    """Return what the requirement finds, with a table of contexts."""
    return requirement("step_up", argument, ACR).find(make_facts(identity))


@pytest.mark.parametrize(
    ("acr", "met"),
    [("strong", True), ("strongest", True), ("hardware", False), ("weak", False), ("", False)],
)
def test_strength_is_what_the_table_says(acr: str, met: object) -> None:
    """The listed contexts and those that satisfy them; the table is not followed further, and nothing is no context."""
    assert (finding_for("{acr: [strong]}", person(acr)) is MET) is met


@pytest.mark.parametrize(
    ("age", "met"),
    [(0, True), (300, True), (300.5, False), (None, False), (-5, True), (-6, False)],
)
def test_age_counts_from_the_sign_in(age: float | None, met: object) -> None:
    """Up to the limit and not a moment longer; an unknown sign-in is not recent, nor is one in the future."""
    assert (finding_for("{max_age: 5m}", person("", age)) is MET) is met


def test_both_must_hold() -> None:
    """Strong long ago and weak just now are both not enough."""
    assert finding_for("{acr: strong, max_age: 1m}", person("strong", 1)) is MET
    assert finding_for("{acr: strong, max_age: 1m}", person("strong", 61)) is not MET
    assert finding_for("{acr: strong, max_age: 1m}", person("weak", 1)) is not MET


def test_a_person_is_told_how_to_sign_in() -> None:
    """With what the policy lists, in its order, not with what would satisfy it besides."""
    finding = finding_for("{acr: [strong, other], max_age: 5m}", person())
    assert isinstance(finding, Unmet)
    assert (finding.reason, finding.remedy) == (Reason.STEP_UP_REQUIRED, StepUp(("strong", "other"), 300))


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.USER])
def test_a_machine_is_never_told_to_sign_in(kind: Kind) -> None:
    """It could not, and must not try with a person's session."""
    finding = finding_for("{acr: strong}", person(kind=kind))
    assert isinstance(finding, Unmet)
    assert (finding.reason, finding.remedy) == (Reason.STEP_UP_REQUIRED, None)


@pytest.mark.parametrize(
    "argument", ["{}", "{acr: []}", "{max_age: 0}", "{max_age: 500ms}", "{max_age: x}", "{age: 5m}", "5m"]
)
def test_what_asks_for_nothing_is_refused(argument: str) -> None:
    """When the policy is loaded."""
    assert refused("step_up", argument).line == 1
