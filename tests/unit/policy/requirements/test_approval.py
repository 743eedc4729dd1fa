"""`approval`: a grant fits exactly what was asked, by whom, and for as long as it says."""

from __future__ import annotations

import math
from typing import Any

import pytest

from extauthz.model.identity import Binding, Credential, Identity
from extauthz.model.reason import Reason
from extauthz.model.registry import Registration
from extauthz.model.request import Body, BodyState, Headers
from extauthz.model.standing_facts import Approval, Approver, Task
from extauthz.model.verdict import SeekApproval
from extauthz.policy.rules import MET, Failed, Met, Unmet
from tests.simulators.policies import make_request, principal, requirement
from tests.unit.policy.requirements.standing import facts_with, in_seconds, job

TASK = ("task", "builds")
LEAD = Approver(issuer="https://issuer.example", subject="ann", groups=frozenset({"leads"}))


def asked(covers: str = "action", more: str = "") -> Any:
    """Return the requirement that leads approve."""
    return requirement("approval", f"{{by: [leads], covers: {covers}, lasts: 10m{more}}}")


def name_of(requires: Any, identity: Identity | None = None, **changes: Any) -> str:
    """Return the name of what is to be approved; empty when there is none."""
    return next((name.of for name in requires.needs(facts_with({}, identity, **changes))), "")


def find(requires: Any, approver: Approver = LEAD, identity: Identity | None = None, **fields: Any) -> Any:
    """Return what is found with a grant for what is asked, and when that may change in seconds."""
    grant = Approval(approvers=(approver,), **{"approved_at": in_seconds(-60), "until": in_seconds(3600), **fields})
    state: dict[tuple[str, str], object] = {("approval", name_of(requires, identity)): grant}
    facts = facts_with(state, identity)
    return requires.find(facts), requires.changes_at(facts) - facts.at


def test_a_grant_holds_for_as_long_as_it_says() -> None:
    """By the rule and by itself, whichever is shorter."""
    assert find(asked()) == (MET, 540)
    assert find(asked(), until=in_seconds(30)) == (MET, 30)
    ended: list[dict[str, Any]] = [{"approved_at": in_seconds(-600)}, {"until": in_seconds(0)}]
    for over in ended:
        assert isinstance(find(asked(), **over)[0], Unmet)
    assert isinstance(find(asked(), approved_at=in_seconds(5))[0], Unmet)
    assert find(asked(), approved_at=in_seconds(5))[1] == 5


def test_without_a_grant_its_name_is_the_remedy() -> None:
    """The same name under which it is looked for."""
    found = asked().find(facts_with({}))
    assert found == Unmet(Reason.APPROVAL_REQUIRED, SeekApproval(name_of(asked())), "Have it approved by leads.")
    assert asked().changes_at(facts_with({})) == math.inf


@pytest.mark.parametrize(
    ("approver", "holds"),
    [
        (LEAD, True),
        (Approver(subject="bob", roles=frozenset({"leads"})), True),
        (Approver(subject="bob", roles=frozenset({"others"})), False),
        (Approver(subject="job-1", roles=frozenset({"leads"})), False),
        (Approver(subject="agent-7", roles=frozenset({"leads"})), False),
        (Approver(subject="olga", roles=frozenset({"leads"})), False),
    ],
)
def test_only_those_who_may_approve(approver: Approver, holds: bool) -> None:
    """Neither who asks, nor who acts for them, nor their owner."""
    identity = job(actor=principal("agent-7"), registration=Registration(name="builds", owner="olga"))
    assert isinstance(find(asked(), approver, identity)[0], Met) is holds
    lenient = asked(more=", never: []")
    assert isinstance(find(lenient, approver, identity)[0], Met) is ("leads" in approver.roles | approver.groups)


def test_names_tell_apart_what_is_asked() -> None:
    """Each coverage names exactly what it covers."""
    body = make_request("POST", body=Body(BodyState.COMPLETE, b"{}"))
    other_body = make_request("POST", body=Body(BodyState.COMPLETE, b"{ }"))
    other: dict[str, Any] = {"attributes": {"environment": "staging"}}
    for covers in ("request", "action", "resource"):
        name = name_of(asked(covers), request=body)
        assert name_of(asked(covers), request=body, **other) != name
        assert name_of(asked(covers), job(subject=principal("job-2")), request=body) != name
        assert name_of(asked(covers), job(actor=principal("agent-7")), request=body) != name
        assert name_of(asked(covers), job(subject=principal(client="another-tool")), request=body) != name
        assert (name_of(asked(covers), request=other_body) == name) is (covers != "request")
    assert len({name_of(asked(covers)) for covers in ("request", "action", "resource")}) == 3
    assert name_of(asked(more=", never: [owner]")) == name_of(asked())
    assert name_of(requirement("approval", "{by: [others], covers: action, lasts: 10m}")) != name_of(asked())


@pytest.mark.parametrize(
    ("body", "length", "seen"),
    [
        (Body(BodyState.PARTIAL, b"{"), "100", False),
        (Body(), "100", False),
        (Body(), None, False),
        (Body(), "0", True),
        (Body(BodyState.COMPLETE, b"{}"), "2", True),
    ],
)
def test_a_body_that_is_not_seen_cannot_be_covered(body: Body, length: str | None, seen: bool) -> None:
    """Otherwise an approval would fit every body."""
    headers = Headers({"content-length": (length,)} if length else {}, exact=True)
    facts = facts_with({}, request=make_request("POST", body=body, headers=headers))
    assert isinstance(asked("request").find(facts), Failed) is not seen
    assert asked("request").changes_at(facts) == math.inf
    assert isinstance(asked("action").find(facts), Unmet)


@pytest.mark.parametrize(
    ("method", "headers", "seen"),
    [
        ("DELETE", {}, True),
        ("DELETE", {"content-length": ("0",)}, True),
        ("DELETE", {"content-length": ("30",)}, False),
        ("GET", {"content-length": ("30",)}, False),
        ("DELETE", {"transfer-encoding": ("chunked",)}, False),
        ("POST", {"transfer-encoding": ("chunked",)}, False),
    ],
)
def test_no_method_hides_a_body(method: str, headers: dict[str, tuple[str, ...]], seen: bool) -> None:
    """A DELETE or GET that announces a body which is not shown could be approved with one and sent with another."""
    facts = facts_with({}, request=make_request(method, headers=Headers(headers, exact=True)))
    assert isinstance(asked("request").find(facts), Failed) is not seen


def test_a_grant_is_bound_to_a_session() -> None:
    """Another session has another name; without one there is none."""
    bound = asked(more=", bound_to: session")
    assert name_of(bound) not in {name_of(bound, job(session="s-2")), name_of(asked()), ""}
    assert name_of(bound, job(session="")) == ""
    found = bound.find(facts_with({}, job(session="")))
    assert found == Unmet(Reason.APPROVAL_REQUIRED, detail="Approvals for this are bound to a session; have one.")


def test_a_grant_is_bound_to_a_key() -> None:
    """The one that was proven, whatever proves it."""
    bound = asked(more=", bound_to: key")
    tied = job(binding=Binding.DPOP, claims={"cnf": {"jkt": "a"}})
    other = job(binding=Binding.DPOP, claims={"cnf": {"jkt": "b"}})
    certificate = job(credential=Credential.CERTIFICATE, token_id="ab12")
    names = {name_of(bound, each) for each in (tied, other, certificate)}
    assert len(names) == 3
    assert "" not in names
    assert name_of(bound, job(claims={"cnf": {"jkt": "a"}})) == ""
    assert name_of(bound, job(binding=Binding.DPOP)) == ""


def test_a_grant_is_bound_to_a_task() -> None:
    """To the one that goes on now."""
    bound = asked(more=", bound_to: task")
    task = Task(id="t-1", may=frozenset(), until=in_seconds(20))
    assert [name.kind for name in bound.needs(facts_with({}))] == ["approval", "task"]
    no_task = Unmet(Reason.APPROVAL_REQUIRED, detail="Approvals for this are bound to a task; begin one.")
    assert bound.find(facts_with({})) == no_task
    over = Task(id="t-1", may=frozenset(), until=in_seconds(0))
    assert bound.find(facts_with({TASK: over})) == no_task
    for of, holds in (("t-1", True), ("t-2", False), ("", False)):
        grant = Approval(approvers=(LEAD,), approved_at=in_seconds(0), until=in_seconds(60), task=of)
        facts = facts_with({("approval", name_of(bound)): grant, TASK: task})
        assert isinstance(bound.find(facts), Met) is holds
        assert bound.changes_at(facts) == facts.at + 20


def test_uses_are_counted_for_each_grant() -> None:
    """Used up asks for another approval."""
    (first,), (again,), (later,) = (
        find(asked(more=", uses: 2"), approved_at=in_seconds(when))[0].spends for when in (-60, -60, -30)
    )
    assert first == again
    assert (first.limit, first.refused, first.until) == (2, Reason.APPROVAL_REQUIRED, in_seconds(3600))
    assert first.key != later.key
