"""What an allow uses up: what granted, what every guard asked, and what lifted a forbid; nothing else."""

from __future__ import annotations

from dataclasses import replace

from extauthz.clock import Instant
from extauthz.ids import RuleId
from extauthz.model.reason import Reason
from extauthz.model.spend import Spend
from extauthz.model.verdict import Allow, BeginTask, ObtainScopes, ReportPosture, SeekApproval, StepUp, WaitUntil
from extauthz.policy.evaluate import evaluate
from extauthz.policy.remedies import merge_remedies
from extauthz.policy.rules import Forbid, Guard, Met, Observed, Permit, Requirement, RouteRules, Unmet, Who
from tests.simulators.rules import NOW, Told, make_facts


def spend(name: str, limit: int = 1) -> Spend:
    """Return something that can be used up."""
    return Spend(kind="k", key=name.encode(), limit=limit, until=Instant(NOW + 1), refused=Reason.RATE_EXCEEDED)


def takes(name: str, limit: int = 1) -> Requirement:
    """Return a requirement that holds and uses something up."""
    return Told(Met((spend(name, limit),)))


def permit(*require: Requirement, observe: bool = False) -> Permit:
    """Return a permit for everybody."""
    return Permit(id=RuleId("permit"), who=Who(), require=require, observe=observe)


def guard(*require: Requirement, observe: bool = False) -> Guard:
    """Return a guard that always applies."""
    return Guard(id=RuleId("guard"), require=require, observe=observe)


def forbid(*unless: Requirement, observe: bool = False) -> Forbid:
    """Return a forbid that always applies."""
    return Forbid(id=RuleId("forbid"), unless=unless, observe=observe)


def spent(*rules: Guard | Forbid | Permit) -> set[bytes] | None:
    """Return what the rules use up together; None when they deny."""
    verdict = evaluate(
        RouteRules(
            guards=tuple(rule for rule in rules if isinstance(rule, Guard)),
            forbids=tuple(rule for rule in rules if isinstance(rule, Forbid)),
            permits=tuple(rule for rule in rules if isinstance(rule, Permit)),
        ),
        make_facts(),
    )
    return {each.key for each in verdict.spends} if isinstance(verdict, Allow) else None


def test_an_allow_uses_up_what_made_it_one() -> None:
    """The first permit that grants, each guard, and each forbid that was lifted."""
    rules = (permit(takes("a")), permit(takes("b")), guard(takes("c"), takes("d")), forbid(takes("e")))
    assert spent(*rules) == {b"a", b"c", b"d", b"e"}


def test_a_denial_uses_nothing_up() -> None:
    """Whatever else holds."""
    assert spent(permit(takes("a")), guard(Told(Unmet(Reason.FORBIDDEN)))) is None
    assert spent(permit(takes("a"), Told(Unmet(Reason.FORBIDDEN))), permit()) == set()
    assert spent(permit(takes("a")), forbid(takes("b"), Told(Unmet(Reason.FORBIDDEN)))) is None


def test_what_only_looks_on_uses_nothing_up() -> None:
    """Neither an observed rule nor an observed requirement."""
    watching = (guard(takes("a"), observe=True), forbid(takes("b"), observe=True), permit(takes("c"), observe=True))
    assert spent(*watching, permit(Observed(takes("d")))) == set()


def test_a_lifted_forbid_leaves_no_trace_in_the_trail() -> None:
    """As one that was lifted for nothing."""
    rules = RouteRules(forbids=(forbid(takes("a")),), permits=(permit(),))
    free = RouteRules(forbids=(forbid(Told(Met())),), permits=(permit(),))
    costly, cheap = evaluate(rules, make_facts()), evaluate(free, make_facts())
    assert isinstance(costly, Allow)
    assert replace(costly, spends=()) == cheap


def test_the_same_thing_is_used_once_by_its_smallest_limit() -> None:
    """Two rules may ask for the same grant; a refusal is of the rule whose limit that is."""
    rules = RouteRules(guards=(guard(takes("a", 3), takes("a", 2)),), permits=(permit(takes("a", 5), takes("b")),))
    verdict = evaluate(rules, make_facts())
    assert isinstance(verdict, Allow)
    assert verdict.spends == (
        replace(spend("a", 2), rule=RuleId("guard")),
        replace(spend("b"), rule=RuleId("permit")),
    )


def test_remedies_of_all_kinds_are_named_in_one_order() -> None:
    """The latest of several instants counts; the same thing is named once."""
    early, late = WaitUntil(Instant(NOW)), WaitUntil(Instant(NOW + 9))
    scopes, approval, posture = ObtainScopes(("a",)), SeekApproval("x"), ReportPosture("device", 60)
    given = (BeginTask(), posture, late, early, SeekApproval("y"), approval, approval, scopes, StepUp())
    wanted = (StepUp(), scopes, SeekApproval("y"), approval, late, posture, BeginTask())
    assert merge_remedies(given) == wanted
    assert merge_remedies((*given, None)) is None
