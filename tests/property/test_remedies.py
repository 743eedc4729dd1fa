"""What a refused caller is told, against the rules written out the obvious way, and what machines are never told."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extauthz.clock import Instant
from extauthz.config.settings import Settings
from extauthz.ids import RuleId
from extauthz.model.identity import Identity, Kind, Principal
from extauthz.model.reason import Reason
from extauthz.model.verdict import Allow, Deny, ObtainScopes, SeekApproval, StepUp, WaitUntil
from extauthz.policy.compile import compile_policy
from extauthz.policy.evaluate import evaluate
from extauthz.policy.rules import MET, Failed, Forbid, Guard, Permit, RouteRules, Unmet, Who
from extauthz.response.challenge import find_challenge
from extauthz.response.status import status_of
from extauthz.server.policyfaces import policy_context
from tests.simulators.decisions import TARGET
from tests.simulators.rules import NOW, Told, When, make_facts
from tests.unit.response.auth_params import parse_challenge

if TYPE_CHECKING:
    from extauthz.policy.rules import Finding

SIGN_IN = [StepUp(("phr", "mfa"), 300), StepUp(("mfa",)), StepUp((), 60), StepUp(("kiosk",))]
SCOPES = [ObtainScopes(("a", "b")), ObtainScopes(("b", "c"))]
APPROVALS = [SeekApproval("x"), SeekApproval("y")]
WINDOWS = [WaitUntil(Instant(NOW + 60)), WaitUntil(Instant(NOW + 600))]
REPAIRABLE: list[Finding] = [
    *(Unmet(Reason.STEP_UP_REQUIRED, remedy) for remedy in SIGN_IN),
    *(Unmet(Reason.INSUFFICIENT_SCOPE, remedy) for remedy in SCOPES),
    *(Unmet(Reason.APPROVAL_REQUIRED, remedy) for remedy in APPROVALS),
    *(Unmet(Reason.OUTSIDE_CHANGE_WINDOW, remedy) for remedy in WINDOWS),
]
FINDINGS = st.one_of(
    st.sampled_from(REPAIRABLE),
    st.sampled_from([MET, *REPAIRABLE, *REPAIRABLE, Unmet(Reason.TENANT_MISMATCH), Failed("?")]),
)
REQUIREMENTS = st.lists(FINDINGS.map(Told), max_size=3).map(tuple)
CONDITIONS = st.sampled_from([None, None, None, When(result=True), When(result=False), When(result=None)])
SELDOM = st.sampled_from([*[When(result=False)] * 6, None, When(result=True), When(result=None)])
IDS = st.integers(0, 10**9).map(lambda number: RuleId(f"r{number}"))
RULES = st.builds(
    RouteRules,
    guards=st.lists(st.builds(Guard, id=IDS, when=CONDITIONS, require=REQUIREMENTS), max_size=2).map(tuple),
    forbids=st.lists(st.builds(Forbid, id=IDS, when=SELDOM), max_size=1).map(tuple),
    permits=st.lists(
        st.builds(Permit, id=IDS, who=st.just(Who()), when=CONDITIONS, require=REQUIREMENTS), min_size=1, max_size=3
    ).map(tuple),
)


def applying(rules: tuple[Guard, ...] | tuple[Permit, ...]) -> list[list[Finding]]:
    """Return what the requirements of each rule find whose condition holds."""
    return [
        [each.find(make_facts()) for each in rule.require]
        for rule in rules
        if rule.when is None or rule.when.result  # type: ignore[attr-defined] # the strategy makes `When`
    ]


def reference(rules: RouteRules) -> list[Unmet] | None:
    """Return everything that stands between the caller and an allow, None when that is not for the client to know."""
    guards, permits = applying(rules.guards), applying(rules.permits)
    silent = any(forbid.when is None or forbid.when.result is not False for forbid in rules.forbids)  # type: ignore[attr-defined] # as above
    silent = silent or any(guard.when is not None and guard.when.result is None for guard in rules.guards)  # type: ignore[attr-defined] # as above
    silent = silent or any(isinstance(finding, Failed) for found in guards for finding in found)
    whole = [found for found in permits if not any(isinstance(finding, Failed) for finding in found)]
    if silent or not whole:
        return None
    nearest = min(whole, key=lambda found: sum(finding != MET for finding in found))
    return [finding for found in (*guards, nearest) for finding in found if isinstance(finding, Unmet)]


def fulfils(facts: tuple[frozenset[str], str, int], remedy: StepUp | ObtainScopes) -> bool:
    """Return whether a token with these scopes, this context and this age meets one remedy."""
    scopes, acr, age = facts
    if isinstance(remedy, ObtainScopes):
        return scopes >= set(remedy.scopes)
    return (not remedy.acr_values or acr in remedy.acr_values) and (remedy.max_age is None or age <= remedy.max_age)


TOKENS = list(product([frozenset("ab"), frozenset("bc"), frozenset("abc")], ["phr", "mfa", "kiosk"], [30, 200, 900]))


def can_be_met(missing: list[Unmet]) -> bool:
    """Return whether any token at all meets every remedy that is about tokens, and none is missing."""
    about_tokens = [each.remedy for each in missing if isinstance(each.remedy, StepUp | ObtainScopes)]
    repairable = all(each.remedy is not None for each in missing)
    return repairable and any(all(fulfils(token, remedy) for remedy in about_tokens) for token in TOKENS)


@settings(max_examples=400)
@given(RULES)
def test_remedies_are_those_of_the_guards_and_the_nearest_permit(rules: RouteRules) -> None:
    """All that is named, or nothing; and exactly the tokens that meet the answer meet everything that was missing."""
    verdict, missing = evaluate(rules, make_facts()), reference(rules)
    if isinstance(verdict, Allow):
        assert missing == []
    elif missing is None or not can_be_met(missing):
        assert verdict.remedies == ()
    else:
        assert verdict.remedies
        named = [remedy for remedy in verdict.remedies if isinstance(remedy, StepUp | ObtainScopes)]
        asked = [each.remedy for each in missing if isinstance(each.remedy, StepUp | ObtainScopes)]
        for token in TOKENS:
            assert all(fulfils(token, each) for each in named) == all(fulfils(token, each) for each in asked)
        approvals = {each.remedy for each in missing if isinstance(each.remedy, SeekApproval)}
        assert {remedy for remedy in verdict.remedies if isinstance(remedy, SeekApproval)} == approvals
        instants = [each.remedy.opens_at for each in missing if isinstance(each.remedy, WaitUntil)]
        waits = [remedy.opens_at for remedy in verdict.remedies if isinstance(remedy, WaitUntil)]
        assert waits == ([max(instants)] if instants else [])


ORDER = (Reason.STEP_UP_REQUIRED, Reason.INSUFFICIENT_SCOPE, Reason.APPROVAL_REQUIRED, Reason.OUTSIDE_CHANGE_WINDOW)
STATUSES = dict(zip(ORDER, (401, 403, 403, 403), strict=True))


@given(RULES)
def test_the_first_repair_in_order_gives_reason_status_and_challenge(rules: RouteRules) -> None:
    """Signing in before scopes before approvals before waiting; scopes stand beside the sign-in."""
    verdict = evaluate(rules, make_facts())
    if not isinstance(verdict, Deny) or not verdict.remedies:
        return
    missing = reference(rules)
    assert missing is not None
    reasons = {each.reason for each in missing}
    leading = next(reason for reason in ORDER if reason in reasons)
    assert (verdict.reason, status_of(verdict, TARGET)) == (leading, STATUSES[leading])
    challenge = find_challenge(verdict, TARGET)
    if not reasons & {Reason.STEP_UP_REQUIRED, Reason.INSUFFICIENT_SCOPE}:
        assert challenge is None
        return
    assert challenge is not None
    _, parameters = parse_challenge(challenge)
    stepping = leading is Reason.STEP_UP_REQUIRED
    assert parameters["error"] == ("insufficient_user_authentication" if stepping else "insufficient_scope")
    wanted = {scope for each in missing if isinstance(each.remedy, ObtainScopes) for scope in each.remedy.scopes}
    assert set(parameters.get("scope", "").split()) == wanted


POLICY = """
resources:
  - {name: payment, action: approve, match: {host: api.example.com, path: /pay, methods: [POST]}}
guards:
  - id: strong
    on: payment.approve
    require: [{step_up: {acr: [phr], max_age: 5m}}]
permits:
  - id: anyone
    who: anyone
    may: [payment.approve]
    require: [{scopes: ["pay"]}]
"""
CONTEXT = policy_context(
    Settings.model_validate(
        {
            "policy": ["p"],
            "issuers": [{"issuer": "https://issuer.example", "keys": {"file": "k"}}],
            "profiles": {"default": {"issuers": ["https://issuer.example"], "audience": "https://api.example.com"}},
        }
    )
)
ROUTE = compile_policy({"p.yaml": POLICY.encode()}, CONTEXT).route(
    replace(make_facts().request, method="POST", path="/pay", segments=("pay",))
)


def refusal_of(identity: Identity) -> tuple[int, dict[str, str]]:
    """Return status and parameters of the challenge for a caller who wants to pay."""
    verdict = evaluate(ROUTE.rules, make_facts(identity))
    assert isinstance(verdict, Deny)
    challenge = find_challenge(verdict, ROUTE.target)
    return status_of(verdict, ROUTE.target), parse_challenge(challenge)[1] if challenge else {}


def caller(kind: Kind | None, **changes: object) -> Identity:
    """Return a caller of this kind."""
    return Identity(subject=Principal(issuer="https://issuer.example", subject="x", kind=kind), **changes)  # type: ignore[arg-type] # fields of Identity


MACHINES = [kind for kind in Kind if kind not in {Kind.USER, Kind.ANONYMOUS}]


@given(
    st.sampled_from([*MACHINES, None]),
    st.sampled_from([None, *MACHINES, Kind.USER]),
    st.sampled_from(["", "phr", "password"]),
    st.sampled_from([None, Instant(NOW - 10), Instant(NOW - 1000)]),
    st.sampled_from([frozenset[str](), frozenset({"pay"})]),
)
def test_machines_are_never_told_to_sign_in(
    kind: Kind | None, actor: Kind | None, acr: str, auth_time: Instant | None, scopes: frozenset[str]
) -> None:
    """Whatever their tokens say, also when they act for other machines: 403, and no challenge of RFC 9470."""
    acting = None if actor is None else Principal(issuer="https://issuer.example", subject="y", kind=actor)
    identity = caller(kind, actor=acting, acr=acr, auth_time=auth_time, scopes=scopes)
    if isinstance(evaluate(ROUTE.rules, make_facts(identity)), Allow):
        assert (acr, scopes) == ("phr", frozenset({"pay"}))
        return
    status, parameters = refusal_of(identity)
    assert status == 403
    assert parameters.get("error") in {None, "insufficient_scope"}
    assert not {"acr_values", "max_age"} & parameters.keys()


@pytest.mark.parametrize("actor", [None, Kind.AGENT, Kind.SERVICE])
def test_people_are_told_to_sign_in_also_through_their_agents(actor: Kind | None) -> None:
    """The negative control: one answer with everything that is missing."""
    acting = None if actor is None else Principal(issuer="https://issuer.example", subject="y", kind=actor)
    status, parameters = refusal_of(caller(Kind.USER, actor=acting))
    assert status == 401
    assert parameters["error"] == "insufficient_user_authentication"
    assert (parameters["acr_values"], parameters["max_age"], parameters["scope"]) == ("phr", "300", "pay")


@pytest.mark.parametrize(
    ("acr", "seconds_ago", "allowed"),
    [
        ("phr", 299, True),
        ("phr", 300, True),
        ("phr", 301, False),
        ("phr", None, False),
        ("", 10, False),
        ("password", 10, False),
        ("phr", -3600, False),
    ],
)
def test_the_edges_of_a_sign_in(acr: str, seconds_ago: int | None, *, allowed: bool) -> None:
    """Strong and recent enough, to the second; unknown is neither, nor is one in the future; `iat` is no matter."""
    signed_in = None if seconds_ago is None else Instant(NOW - seconds_ago)
    identity = caller(Kind.USER, acr=acr, auth_time=signed_in, scopes=frozenset({"pay"}), issued_at=NOW)
    if allowed:
        assert isinstance(evaluate(ROUTE.rules, make_facts(identity)), Allow)
    else:
        status, parameters = refusal_of(identity)
        assert (status, parameters["error"]) == (401, "insufficient_user_authentication")
