"""A decision holds until the first instant at which time alone could change it, and not a moment longer."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extauthz.clock import Instant
from extauthz.decision.lifetime import LONGEST_SECONDS, reusable_until
from extauthz.ids import DecisionId, RuleId
from extauthz.model.identity import Identity, Kind
from extauthz.model.reason import Reason
from extauthz.model.verdict import Allow, Deny
from extauthz.pipeline import Answer, Views, check
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.policy.requirements.step_up import StepUpTo
from extauthz.policy.rules import Forbid, Guard, Permit, RouteRules, Who
from extauthz.request.bounds import Proxy
from tests.simulators.envoy_messages import check_request
from tests.simulators.policies import AT, make_facts, principal
from tests.simulators.profiles import issuer_rules, profile
from tests.simulators.rules import When
from tests.simulators.tokens import NOW, TokenMaker

if TYPE_CHECKING:
    from extauthz.identity.rules import Profile

MAKER = TokenMaker(alg="EdDSA")
KEYS = MAKER.key_source()
RESOURCE = """
resources:
  - {name: thing, action: read, match: {host: api.example.com, path: /thing, methods: [GET]}}
  - {name: open, action: read, match: {host: api.example.com, path: /open, methods: [GET]}, credential: none}
"""
ALL_MAY = "permits: [{id: p, who: anyone, may: [thing.read, open.read]}]\n"
GUARDED = ALL_MAY + "guards: [{id: g, on: thing.read, require: [{step_up: {max_age: 100s}}]}]\n"
LIFTED = ALL_MAY + "forbids: [{id: f, on: thing.read, unless: [{step_up: {max_age: 100s}}]}]\n"
PERMITTED = "permits: [{id: p, who: anyone, may: [thing.read], require: [{step_up: {max_age: 100s}}]}]\n"
OLDEST = 200.0


def ask(policy: str, at: float, believed: Profile | None = None, path: str = "/thing", **claims: Any) -> Answer:
    """Return the answer at an instant to a caller with these claims."""
    headers = {"authorization": f"Bearer {MAKER.mint(**claims)}"} if claims else {}
    answer = check(
        check_request(path=path, headers=headers),
        proxy=Proxy("edge"),
        views=Views(keys=KEYS, profiles={"default": believed or profile()}, epochs=KEYS),
        ruleset=compile_policy({"p.yaml": (RESOURCE + policy).encode()}, PolicyContext()),
        at=Instant(at),
        decision_id=DecisionId("d-" + "0" * 20),
    )
    assert isinstance(answer, Answer)
    return answer


def until_of(answer: Answer) -> float:
    """Return how long an answer holds, which must be said."""
    assert answer.reusable is not None
    return answer.reusable.until


PERSON: dict[str, Any] = {"kind": "user", "auth_time": NOW - 60}
CHANGES: dict[str, tuple[str, dict[str, Any], float, float | None, Reason, Reason]] = {
    "the token ends": (ALL_MAY, {"lifetime": 100}, 105, None, Reason.ALLOWED, Reason.TOKEN_EXPIRED),
    "the token ages": (ALL_MAY, {"lifetime": 250}, 205, OLDEST, Reason.ALLOWED, Reason.TOKEN_TOO_OLD),
    "the token ends before it ages": (ALL_MAY, {"lifetime": 90}, 95, OLDEST, Reason.ALLOWED, Reason.TOKEN_EXPIRED),
    "a guard's sign-in ages": (GUARDED, PERSON, 40, None, Reason.ALLOWED, Reason.STEP_UP_REQUIRED),
    "a permit's sign-in ages": (PERMITTED, PERSON, 40, None, Reason.ALLOWED, Reason.STEP_UP_REQUIRED),
    "what lifts a forbid ages": (LIFTED, PERSON, 40, None, Reason.ALLOWED, Reason.FORBIDDEN),
    "a denied token ends": (
        GUARDED,
        {"lifetime": 100, "kind": "ci"},
        105,
        None,
        Reason.STEP_UP_REQUIRED,
        Reason.TOKEN_EXPIRED,
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_the_answer_changes_at_the_end_of_its_life_and_not_before(case: str) -> None:
    """To the last instant that a clock can show before it; at it, or in the instant after, it is another."""
    policy, claims, seconds, oldest, before, after = CHANGES[case]
    believed = profile(max_token_age=oldest)
    first = ask(policy, NOW, believed, **claims)
    until = until_of(first)
    assert until == NOW + seconds
    assert first.decision.reason is before
    assert ask(policy, math.nextafter(until, 0), believed, **claims).decision.reason is before
    reasons = {ask(policy, at, believed, **claims).decision.reason for at in (until, math.nextafter(until, math.inf))}
    assert after in reasons
    assert reasons <= {before, after}


def test_a_sign_in_in_the_near_future_becomes_recent() -> None:
    """A denial ends as well: with an issuer whose clock may be far ahead, waiting is enough."""
    believed = profile(issuer_rules(leeway=300.0))
    claims: dict[str, Any] = {"kind": "user", "auth_time": NOW + 20}
    first = ask(GUARDED, NOW, believed, **claims)
    assert first.decision.reason is Reason.STEP_UP_REQUIRED
    until = until_of(first)
    assert until == NOW + 15
    assert ask(GUARDED, math.nextafter(until, 0), believed, **claims).decision.reason is Reason.STEP_UP_REQUIRED
    assert ask(GUARDED, until, believed, **claims).decision.reason is Reason.ALLOWED


@given(
    born=st.floats(-190, 4),
    life=st.floats(200, 900),
    signed_in=st.floats(-120, 4),
    oldest=st.one_of(st.none(), st.floats(150, 400)),
    leeway=st.floats(0, 7),
    part=st.floats(0, 1),
)
def test_within_its_life_the_answer_stays(
    *, born: float, life: float, signed_in: float, oldest: float | None, leeway: float, part: float
) -> None:
    """Whatever fractions of seconds times, ages and leeways have."""
    believed = profile(issuer_rules(leeway=leeway), max_token_age=oldest)
    claims: dict[str, Any] = {"kind": "user", "iat": NOW + born, "exp": NOW + born + life, "auth_time": NOW + signed_in}
    first = ask(GUARDED, NOW, believed, **claims)
    if first.reusable is None:
        return
    until = first.reusable.until
    for at in (NOW + part * (until - NOW), math.nextafter(until, 0)):
        if NOW <= at < until:
            assert ask(GUARDED, at, believed, **claims).decision.verdict == first.decision.verdict


def test_no_decision_is_kept_longer_than_the_cap() -> None:
    """Also where nothing ends by itself, and for nobody in particular."""
    assert until_of(ask(ALL_MAY, NOW, lifetime=3000)) == NOW + LONGEST_SECONDS
    nobody = ask(ALL_MAY, NOW, path="/open")
    assert until_of(nobody) == NOW + LONGEST_SECONDS
    assert nobody.reusable is not None
    assert nobody.reusable.rests_on == ()


STEP_UP = StepUpTo((), frozenset(), 100)
SIGNED_IN = Identity(subject=principal(kind=Kind.USER), auth_time=Instant(AT - 60))
NEVER = When(result=False)
ID = RuleId("r")


@pytest.mark.parametrize(
    "rules",
    [
        RouteRules(guards=(Guard(id=ID, when=NEVER, require=(STEP_UP,)),)),
        RouteRules(forbids=(Forbid(id=ID, when=NEVER, unless=(STEP_UP,)),)),
        RouteRules(permits=(Permit(id=ID, when=NEVER, who=Who(), require=(STEP_UP,)),)),
        RouteRules(guards=(Guard(id=ID, require=(STEP_UP,), observe=True),)),
    ],
    ids=["guard", "forbid", "permit", "observed"],
)
def test_every_rule_of_the_route_counts(rules: RouteRules) -> None:
    """Also one that does not apply now, or only watches and so changes nothing but the record."""
    assert reusable_until(Allow(rule=ID), rules, make_facts(SIGNED_IN)) == AT + 40


def test_what_never_changes_sets_no_end() -> None:
    """A sign-in of no known time, and one whose age nobody asks about."""
    facts = make_facts(Identity(subject=principal()))
    rules = RouteRules(guards=(Guard(id=ID, require=(STEP_UP, replace(STEP_UP, max_age=None))),))
    assert reusable_until(Allow(rule=ID), rules, facts) == AT + LONGEST_SECONDS


KEPT = {
    Reason.NO_PERMIT,
    Reason.FORBIDDEN,
    Reason.INSUFFICIENT_SCOPE,
    Reason.AUTHORIZATION_DETAILS_MISSING,
    Reason.ROLE_MISSING,
    Reason.TENANT_MISMATCH,
    Reason.STEP_UP_REQUIRED,
    Reason.UNEXPECTED_ENVIRONMENT,
    Reason.UNEXPECTED_NETWORK,
    Reason.PLUGIN_DENIED,
    Reason.TOOL_NOT_ALLOWED,
    Reason.EXTERNAL_DENIED,
}


@pytest.mark.parametrize("reason", sorted(set(Reason) - {Reason.ALLOWED}))
def test_only_refusals_by_policy_are_kept(reason: Reason) -> None:
    """Not failures of ours, not unproven credentials, not requests that cannot be read."""
    until = reusable_until(Deny(reason=reason), RouteRules(), make_facts())
    assert (until is not None) is (reason in KEPT)


def test_refusals_before_policy_are_not_kept() -> None:
    """By the evaluator's own account, through the whole pipeline."""
    for answer in (
        ask(ALL_MAY, NOW),
        ask(ALL_MAY, NOW, lifetime=300, now=NOW - 400),
        ask(ALL_MAY, NOW, path="/nothing", lifetime=300),
        ask(ALL_MAY, NOW, lifetime=300, aud="https://other.example"),
    ):
        assert answer.decision.reason not in {Reason.ALLOWED, *KEPT}
        assert answer.reusable is None
