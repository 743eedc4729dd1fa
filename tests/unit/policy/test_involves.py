"""`when: {involves: …}`: somebody among subject, actor and chain; what cannot be told is neither yes nor no."""

from __future__ import annotations

import pytest

from extauthz.model.identity import ANONYMOUS, Identity, Kind
from extauthz.policy.evaluate import evaluate
from extauthz.policy.rules import ConditionFailed
from tests.simulators.policies import ISSUER, RESOURCE, compile_text, make_facts, make_request, only_problem, principal

AGENT, PERSON, NOBODY_KNOWS = (principal(str(kind), kind) for kind in (Kind.AGENT, Kind.USER, None))


def holds(when: str, identity: Identity) -> bool:
    """Return whether a guard with this `when` applies."""
    text = RESOURCE + f"guards: [{{id: g, on: order.read, when: {when}, require: [{{roles: [x]}}]}}]"
    condition = compile_text(text).route(make_request("GET", "api.example.com/orders/7")).rules.guards[0].when
    assert condition is not None
    return condition.holds(make_facts(identity, attributes={"order": "7"}))


@pytest.mark.parametrize(
    "identity",
    [
        Identity(subject=AGENT),
        Identity(subject=PERSON, actor=AGENT),
        Identity(subject=PERSON, actor=PERSON, chain=(PERSON, AGENT)),
        Identity(subject=NOBODY_KNOWS, actor=AGENT),
    ],
)
def test_anybody_involved_counts(identity: Identity) -> None:
    """Also beside somebody of whom nothing is known."""
    assert holds("{involves: {kind: agent}}", identity)


def test_nobody_involved_is_no() -> None:
    """When that is sure; it is, for a caller who is nobody."""
    assert not holds("{involves: {kind: agent}}", Identity(subject=PERSON, actor=PERSON))
    assert not holds("{involves: {kind: agent}}", ANONYMOUS)
    assert not holds(f"{{involves: {{clients: [app], issuers: ['{ISSUER}']}}}}", ANONYMOUS)


@pytest.mark.parametrize("kind", ["agent", "[agent, ci]"])
def test_an_unknown_kind_cannot_be_told(kind: str) -> None:
    """It fails, and a forbid that fails denies."""
    for identity in (Identity(subject=NOBODY_KNOWS), Identity(subject=PERSON, actor=NOBODY_KNOWS)):
        with pytest.raises(ConditionFailed):
            holds(f"{{involves: {{kind: {kind}}}}}", identity)


def test_every_list_asks_for_a_member() -> None:
    """Of one and the same party; an unknown client cannot be told, a wrong issuer says no before that."""
    when = f"{{involves: {{kind: ci, issuers: ['{ISSUER}'], clients: [app], subjects: [job-1]}}}}"
    assert holds(when, Identity(subject=principal("job-1", client="app")))
    assert not holds(when, Identity(subject=principal("job-2", client="app"), actor=principal("job-1", client="other")))
    with pytest.raises(ConditionFailed):
        holds(when, Identity(subject=principal("job-1")))
    assert not holds(when, Identity(subject=principal("job-2")))


def test_involves_and_cel_hold_together() -> None:
    """One that surely does not outweighs one that cannot be told."""
    when = """{involves: {kind: agent}, cel: 'identity.tenant == "acme"'}"""
    assert holds(when, Identity(subject=AGENT, tenant="acme"))
    assert not holds(when, Identity(subject=AGENT, tenant="other"))
    assert not holds(when, Identity(subject=PERSON, tenant="acme"))
    assert not holds(when, Identity(subject=PERSON))
    assert not holds(when, Identity(subject=NOBODY_KNOWS, tenant="other"))
    for identity in (
        Identity(subject=AGENT),
        Identity(subject=NOBODY_KNOWS),
        Identity(subject=NOBODY_KNOWS, tenant="acme"),
    ):
        with pytest.raises(ConditionFailed):
            holds(when, identity)


def test_reads_name_both_sides() -> None:
    """What a condition rests on is known."""
    text = RESOURCE + "forbids: [{id: f, on: '*', when: {involves: {kind: ci}, cel: identity.human}}]"
    (forbid,) = compile_text(text).route(make_request("GET", "api.example.com/orders/7")).rules.forbids
    assert forbid.when is not None
    assert forbid.when.reads == {"involved.kinds", "identity.human"}


def test_a_forbid_that_cannot_tell_denies() -> None:
    """Unknown is not false."""
    text = RESOURCE + (
        "forbids: [{id: f, on: '*', when: {involves: {kind: agent}}}]\npermits: [{id: p, who: anyone, may: '*'}]"
    )
    rules = compile_text(text).route(make_request("GET", "api.example.com/orders/7")).rules
    reasons = {
        party.subject: getattr(evaluate(rules, make_facts(Identity(subject=party))), "reason", "allowed")
        for party in (AGENT, PERSON, NOBODY_KNOWS)
    }
    assert reasons == {"agent": "forbidden", "user": "allowed", "None": "evaluation_failed"}


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("{}", "it names nothing"),
        ("{involves: {}}", "`involves` names nobody"),
        ("{involves: {kind: []}}", "must not be empty"),
        ("{involves: {kind: agnet}}", "no such kind"),
        ("{involves: {clients: [a]}}", "mean nothing without their issuer"),
        ("{involve: {kind: ci}}", "unknown key `involve`"),
        ("{involves: {kinds: ci}}", "unknown key `kinds`"),
        ("7", "a condition must be text"),
        ("{cel: identity.kin}", "`identity.kin` is not a fact"),
        ("{involves: {kind: ci}, cel: 7}", "`cel` must be text"),
    ],
)
def test_a_wrong_when_is_a_problem(when: str, message: str) -> None:
    """Found when the policy is loaded."""
    problem = only_problem(RESOURCE + f"forbids: [{{id: f, on: '*', when: {when}}}]")
    assert problem.line == 6
    assert message in problem.message
