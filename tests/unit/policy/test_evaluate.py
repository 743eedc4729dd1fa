"""How single rules come out, before they are combined."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from extauthz.ids import RuleId
from extauthz.model.identity import Identity
from extauthz.model.reason import Reason
from extauthz.model.verdict import Allow, Deny
from extauthz.policy.evaluate import evaluate
from extauthz.policy.rules import MET, Failed, Forbid, Guard, Permit, RouteRules, Unmet, Who
from tests.simulators.rules import AGENT, CI, Told, When, make_facts

if TYPE_CHECKING:
    from extauthz.model.verdict import Verdict
    from extauthz.policy.rules import Condition, Finding, Requirement

ANYBODY = Permit(id=RuleId("anybody"), who=Who())
UNMET = Told(Unmet(Reason.TENANT_MISMATCH))


def decide(
    *permits: Permit, guards: tuple[Guard, ...] = (), forbids: tuple[Forbid, ...] = (), identity: Identity | None = None
) -> Verdict:
    """Return the verdict of these rules."""
    return evaluate(RouteRules(guards=guards, forbids=forbids, permits=permits), make_facts(identity))


def forbid(when: Condition | None = None, *unless: Requirement) -> Forbid:
    """Return a forbid."""
    return Forbid(id=RuleId("no"), when=when, unless=unless)


def guard(*require: Requirement, when: Condition | None = None) -> Guard:
    """Return a guard."""
    return Guard(id=RuleId("must"), when=when, require=require)


def test_rules_whose_condition_does_not_hold_have_no_say() -> None:
    """A forbid and a guard that do not apply leave the permit alone; a permit that does not apply grants nothing."""
    assert isinstance(decide(ANYBODY, forbids=(forbid(When(False)),), guards=(guard(UNMET, when=When(False)),)), Allow)
    assert isinstance(decide(Permit(id=RuleId("p"), who=Who(), when=When(False))), Deny)


@pytest.mark.parametrize("rules", [{"forbids": (forbid(When(None)),)}, {"guards": (guard(when=When(None)),)}])
def test_a_condition_that_fails_denies(rules: dict[str, tuple[Forbid, ...]]) -> None:
    """An unknown fact in a forbid or guard is not "does not apply"."""
    verdict = decide(ANYBODY, **rules)  # type: ignore[arg-type] # one of the two keywords
    assert isinstance(verdict, Deny)
    assert (verdict.reason, verdict.inner) == (Reason.EVALUATION_FAILED, "risk.score is not known")


def test_a_permit_whose_condition_fails_does_not_grant() -> None:
    """An unknown fact grants nothing, and the record says why."""
    verdict = decide(Permit(id=RuleId("p"), who=Who(), when=When(None)))
    assert isinstance(verdict, Deny)
    assert (verdict.reason, verdict.inner) == (Reason.NO_PERMIT, "risk.score is not known")


def test_a_forbid_is_lifted_only_by_an_unless_that_holds() -> None:
    """No `unless`, an unmet one and a failed one leave it in force."""
    assert isinstance(decide(ANYBODY, forbids=(forbid(None, Told(MET)),)), Allow)
    for unless, reason in [
        ((), Reason.FORBIDDEN),
        ((UNMET,), Reason.FORBIDDEN),
        ((Told(MET), UNMET), Reason.FORBIDDEN),
        ((Told(Failed("x")),), Reason.EVALUATION_FAILED),
    ]:
        verdict = decide(ANYBODY, forbids=(forbid(None, *unless),))
        assert isinstance(verdict, Deny)
        assert verdict.reason is reason


def test_a_failed_requirement_outweighs_an_unmet_one() -> None:
    """What could not be evaluated is not offered as something to repair; the first failure is recorded."""
    verdict = decide(ANYBODY, guards=(guard(UNMET, Told(Failed("first")), Told(Failed("second"))),))
    assert isinstance(verdict, Deny)
    assert (verdict.reason, verdict.inner) == (Reason.EVALUATION_FAILED, "first")


@pytest.mark.parametrize(
    "who",
    [
        Who(kinds=frozenset({"user"})),
        Who(issuers=frozenset({"https://other.example"})),
        Who(clients=frozenset({"other"})),
        Who(subjects=frozenset({"other"})),
    ],
)
def test_a_permit_is_only_for_whom_it_names(who: Who) -> None:
    """Each of kind, issuer, client and subject must match."""
    verdict = decide(Permit(id=RuleId("p"), who=who))
    assert isinstance(verdict, Deny)
    assert verdict.reason is Reason.NO_PERMIT


def test_a_permit_that_names_the_caller_grants() -> None:
    """All of kind, issuer, client, subject and role together match the CI job."""
    who = Who(
        kinds=frozenset({"ci", "user"}),
        issuers=frozenset({CI.issuer}),
        clients=frozenset({CI.client}),
        subjects=frozenset({CI.subject}),
        roles=frozenset({"deployer", "admin"}),
    )
    assert isinstance(decide(Permit(id=RuleId("p"), who=who)), Allow)


def test_a_missing_role_is_named() -> None:
    """A permit that is for the caller but for the role says so."""
    verdict = decide(Permit(id=RuleId("p"), who=Who(roles=frozenset({"admin"}))))
    assert isinstance(verdict, Deny)
    assert (verdict.reason, verdict.detail) == (Reason.ROLE_MISSING, "The role admin is needed.")


def test_a_permit_must_hold_for_subject_and_actor_both() -> None:
    """An agent acting for a CI job is not a CI job, unless the rule limits itself to the actor."""
    delegated = Identity(subject=CI, actor=AGENT)
    only_ci = Who(kinds=frozenset({"ci"}))
    only_agents = Who(kinds=frozenset({"agent"}))
    assert isinstance(decide(Permit(id=RuleId("p"), who=only_ci), identity=delegated), Deny)
    assert isinstance(decide(Permit(id=RuleId("p"), who=only_agents), identity=delegated), Deny)
    limited = Who(kinds=frozenset({"agent"}), actor_only=True)
    assert isinstance(decide(Permit(id=RuleId("p"), who=limited), identity=delegated), Allow)
    assert isinstance(decide(Permit(id=RuleId("p"), who=limited)), Deny), "without an actor the subject acts"


def test_an_unknown_kind_matches_no_kind() -> None:
    """An actor whose kind the token does not state meets no rule that asks for one."""
    actor = CI.__class__(issuer=CI.issuer, subject="somebody")
    verdict = decide(
        Permit(id=RuleId("p"), who=Who(kinds=frozenset({"ci"}))), identity=Identity(subject=CI, actor=actor)
    )
    assert isinstance(verdict, Deny)


def test_a_finding_that_is_none_of_the_three_is_an_error() -> None:
    """A requirement that answers nonsense is never taken as met."""
    nonsense = Told(cast("Finding", True))
    with pytest.raises(AssertionError):
        decide(Permit(id=RuleId("p"), who=Who(), require=(nonsense,)))
