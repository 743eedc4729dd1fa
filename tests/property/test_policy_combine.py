"""Laws of the combining table over random policies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from extauthz.ids import RuleId
from extauthz.model.identity import Identity, Kind, Principal
from extauthz.model.reason import Reason
from extauthz.model.verdict import Allow, Deny, ObtainScopes, StepUp
from extauthz.policy.evaluate import evaluate
from extauthz.policy.rules import MET, Failed, Forbid, Guard, Permit, RouteRules, Unmet, Who
from tests.simulators.rules import AGENT, CI, Told, When, make_facts

if TYPE_CHECKING:
    from extauthz.model.facts import Facts
    from extauthz.policy.rules import Finding, Requirement

FOUND: list[Finding] = [
    MET,
    Failed("not known"),
    Unmet(Reason.INSUFFICIENT_SCOPE, ObtainScopes(("a",))),
    Unmet(Reason.STEP_UP_REQUIRED, StepUp(("mfa",), 60)),
    Unmet(Reason.TENANT_MISMATCH),
]
FINDINGS = st.sampled_from(FOUND)
IDS = st.integers(0, 10**9).map(lambda number: RuleId(f"r{number}"))
REQUIREMENTS = st.lists(FINDINGS.map(Told), max_size=3).map(tuple)
CONDITIONS = st.one_of(st.none(), st.sampled_from([True, True, False, None]).map(When))
WHO = st.builds(
    Who,
    kinds=st.sampled_from([frozenset[str](), frozenset({"ci"}), frozenset({"user", "agent"})]),
    roles=st.sampled_from([frozenset[str](), frozenset({"deployer"}), frozenset({"admin"})]),
    actor_only=st.booleans(),
)
GUARDS = st.builds(Guard, id=IDS, when=CONDITIONS, require=REQUIREMENTS, observe=st.booleans())
FORBIDS = st.builds(Forbid, id=IDS, when=CONDITIONS, unless=REQUIREMENTS, observe=st.booleans())
PERMITS = st.builds(Permit, id=IDS, who=WHO, when=CONDITIONS, require=REQUIREMENTS, observe=st.booleans())
RULES = st.builds(
    RouteRules,
    guards=st.lists(GUARDS, max_size=3).map(tuple),
    forbids=st.lists(FORBIDS, max_size=3).map(tuple),
    permits=st.lists(PERMITS, max_size=4).map(tuple),
)
IDENTITIES = st.builds(
    Identity,
    subject=st.sampled_from([CI, AGENT, Principal(issuer="https://issuer.example", subject="x", kind=Kind.USER)]),
    actor=st.one_of(st.none(), st.sampled_from([CI, AGENT, Principal(issuer="https://issuer.example", subject="y")])),
)


def _holds(requirements: tuple[Requirement, ...], facts: Facts) -> bool:
    return all(requirement.find(facts) == MET for requirement in requirements)


def _condition(rule: Guard | Forbid | Permit) -> bool | None:
    return True if rule.when is None else rule.when.result  # type: ignore[attr-defined] # the strategy makes `When`


def reference_allows(rules: RouteRules, facts: Facts) -> bool:
    """Return what the table says, written the obvious way: nothing objects, and somebody grants."""
    for forbid in rules.forbids:
        lifted = bool(forbid.unless) and _holds(forbid.unless, facts)
        if not forbid.observe and (_condition(forbid) is None or (_condition(forbid) and not lifted)):
            return False
    for guard in rules.guards:
        if not guard.observe and (
            _condition(guard) is None or (_condition(guard) and not _holds(guard.require, facts))
        ):
            return False
    identity = facts.identity
    for permit in rules.permits:
        parties = [identity.subject] if identity.actor is None else [identity.subject, identity.actor]
        if permit.who.actor_only and identity.actor is not None:
            parties = [identity.actor]
        meant = all(not permit.who.kinds or party.kind in permit.who.kinds for party in parties)
        meant = meant and all(not permit.who.roles or permit.who.roles & party.roles for party in parties)
        if not permit.observe and _condition(permit) is True and meant and _holds(permit.require, facts):
            return True
    return False


@given(RULES, IDENTITIES)
def test_the_evaluator_agrees_with_the_obvious_reference(rules: RouteRules, identity: Identity) -> None:
    """For any policy and caller, the table and the reference give the same answer."""
    facts = make_facts(identity)
    assert isinstance(evaluate(rules, facts), Allow) is reference_allows(rules, facts)


@given(RULES, PERMITS, IDENTITIES, st.integers(0, 4))
def test_adding_a_permit_never_defeats_a_guard(rules: RouteRules, extra: Permit, identity: Identity, at: int) -> None:
    """Whatever permit is added, wherever: a guard or forbid that stands in the way still does."""
    facts = make_facts(identity)
    wider = RouteRules(
        guards=rules.guards, forbids=rules.forbids, permits=(*rules.permits[:at], extra, *rules.permits[at:])
    )
    guards_alone = RouteRules(
        guards=rules.guards, forbids=rules.forbids, permits=(Permit(id=RuleId("everybody"), who=Who()),)
    )
    if isinstance(evaluate(guards_alone, facts), Deny):
        assert isinstance(evaluate(wider, facts), Deny)


@given(RULES, GUARDS, IDENTITIES)
def test_adding_a_guard_never_allows_more(rules: RouteRules, extra: Guard, identity: Identity) -> None:
    """Guards only narrow."""
    facts = make_facts(identity)
    narrower = RouteRules(guards=(*rules.guards, extra), forbids=rules.forbids, permits=rules.permits)
    if isinstance(evaluate(narrower, facts), Allow):
        assert isinstance(evaluate(rules, facts), Allow)


@given(RULES, IDENTITIES)
def test_remedies_are_revealed_only_when_they_could_suffice(rules: RouteRules, identity: Identity) -> None:
    """A denial with remedies has no fired forbid, no failed guard, and nothing among them that cannot be repaired."""
    facts = make_facts(identity)
    verdict = evaluate(rules, facts)
    if isinstance(verdict, Deny) and verdict.remedies:
        assert verdict.reason in {Reason.INSUFFICIENT_SCOPE, Reason.STEP_UP_REQUIRED}
        guards = [guard for guard in rules.guards if not guard.observe and _condition(guard)]
        found = [requirement.find(facts) for guard in guards for requirement in guard.require]
        assert all(finding == MET or (isinstance(finding, Unmet) and finding.remedy) for finding in found)
