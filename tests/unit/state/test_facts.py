"""The table of facts: values come out as they went in, changes are numbered, and what we did not write is not known."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.clock import Instant
from extauthz.model.standing_facts import (
    Approval,
    Approver,
    Familiarity,
    Posture,
    Risk,
    RiskLevel,
    Task,
    Ticket,
    WorkflowPlace,
)
from extauthz.model.state import STANDING, StateName
from extauthz.state.facts import (
    FACT_KINDS,
    FORGET_AFTER,
    collect_facts,
    find_fact,
    put_fact,
    read_changed_facts,
    remove_fact,
)
from extauthz.state.seal import Seal
from tests.simulators.tokens import NOW

if TYPE_CHECKING:
    from tests.simulators.barestate import BareState

END = Instant(NOW + 60)
POSTURE = StateName("posture", "device a b")
FINE = {"compliant": True, "observed_at": NOW}
VALUES: list[tuple[str, dict[str, Any], object]] = [
    (
        "approval",
        {
            "approvers": [{"issuer": "i", "subject": "ann", "roles": ["lead"], "groups": ["g"]}, {"subject": "bob"}],
            "approved_at": NOW,
            "until": END,
            "task": "t",
        },
        Approval(
            approvers=(
                Approver(issuer="i", subject="ann", roles=frozenset({"lead"}), groups=frozenset({"g"})),
                Approver(subject="bob"),
            ),
            approved_at=Instant(NOW),
            until=END,
            task="t",
        ),
    ),
    (
        "ticket",
        {"state": "implement", "names": {"project": "x"}, "until": END},
        Ticket(state="implement", names={"project": "x"}, until=END),
    ),
    ("posture", FINE, Posture(compliant=True, observed_at=Instant(NOW))),
    (
        "task",
        {"id": "t", "may": ["a.read", "b.*"], "names": {"project": ["x", "y"]}, "until": END},
        Task(id="t", may=frozenset({"a.read", "b.*"}), names={"project": frozenset({"x", "y"})}, until=END),
    ),
    ("risk", {"score": 7, "level": "low", "until": END}, Risk(score=7, level=RiskLevel.LOW, until=END)),
    ("familiar", {"known": True}, Familiarity(known=True)),
    ("workflow", {"next": ["b", "c"], "until": END}, WorkflowPlace(next=frozenset({"b", "c"}), until=END)),
]


def put(state: BareState, value: dict[str, Any] = FINE, name: StateName = POSTURE, until: Instant | None = END) -> int:
    """Put a fact in place."""
    with state.writing() as (connection, seal):
        return put_fact(connection, name, value, until, seal, "test")


def found(state: BareState, name: StateName = POSTURE, at: float = NOW) -> object:
    """Return what is known."""
    return find_fact(state.query, name, state.seal, Instant(at), on_alarm=state.alarms.append)


def test_every_standing_fact_but_sessions_has_its_place() -> None:
    """Sessions have a table of their own."""
    assert {kind for kind, _, _ in VALUES} == FACT_KINDS == set(STANDING) - {"session"}


@pytest.mark.parametrize(("kind", "document", "value"), VALUES, ids=[kind for kind, _, _ in VALUES])
def test_a_fact_comes_out_as_it_went_in(state: BareState, kind: str, document: dict[str, Any], value: object) -> None:
    """As the frozen value that requirements look for."""
    put(state, document, StateName(kind, "x y"))
    assert found(state, StateName(kind, "x y")) == value
    assert found(state, StateName(kind, "x")) is None


@pytest.mark.parametrize(
    ("kind", "document", "complaint"),
    [
        ("posture", {"compliant": "yes", "observed_at": NOW}, "compliant: Input should be a valid boolean"),
        ("posture", {"compliant": True}, "observed_at: Field required"),
        ("posture", {**FINE, "more": 1}, "more: Extra inputs are not permitted"),
        ("posture", {"compliant": True, "observed_at": float("nan")}, "observed_at: Input should be a finite number"),
        ("risk", {"score": 1, "level": "none", "until": NOW}, "level: Input should be"),
        ("approval", {"approvers": [{}], "approved_at": NOW, "until": NOW}, "approvers.0.subject: Field required"),
        ("session", {}, "there are no facts of the kind 'session'"),
    ],
)
def test_what_is_no_fact_is_refused(state: BareState, kind: str, document: dict[str, Any], complaint: str) -> None:
    """Before anything is written; the message names the member."""
    with pytest.raises(ValueError, match=complaint):
        put(state, document, StateName(kind, "x"))
    assert state.query("SELECT count(*) FROM facts") == [(0,)]


def test_a_fact_ends(state: BareState) -> None:
    """At its instant, or when it is taken back; a newer one takes the place of an older one."""
    put(state)
    assert found(state, at=END - 0.1) is not None
    assert found(state, at=END) is None
    put(state, {"compliant": False, "observed_at": NOW}, until=None)
    assert found(state, at=END) == Posture(compliant=False, observed_at=Instant(NOW))
    with state.writing() as (connection, _):
        remove_fact(connection, POSTURE, Instant(NOW), "test")
    assert found(state) is None
    assert found(state, at=NOW - 9) is None
    assert state.alarms == []


FORGED = [
    """value = '{"compliant": true, "observed_at": 9e9}'""",
    "until = 9e12",
    "source = 'x'",
    "of = 'device b'",
    "mac = NULL",
    "mac = zeroblob(32)",
]


@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_fact_is_not_known_and_raises_an_alarm(state: BareState, forged: str) -> None:
    """Whatever of it is forged."""
    put(state, {"compliant": False, "observed_at": NOW})
    state.forge("facts", forged)
    name = StateName("posture", "device b") if forged.startswith("of") else POSTURE
    assert found(state, name) is None
    assert "was not written by us" in state.alarms[0]


def test_without_comparing_seals_a_forged_fact_would_count(state: BareState, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control."""
    monkeypatch.setattr(Seal, "holds", lambda *_: True)
    put(state, {"compliant": False, "observed_at": NOW})
    state.forge("facts", FORGED[0])
    assert found(state) == Posture(compliant=True, observed_at=Instant(9e9))


def test_a_sealed_fact_that_is_not_usable_is_not_known(state: BareState) -> None:
    """One that another version of us has written, for example."""
    put(state)
    with state.writing() as (connection, seal):
        for value in (json.dumps({"compliant": True}), "["):
            mac = seal.seal("fact", POSTURE.kind, POSTURE.of, value, END, "test")
            connection.execute("UPDATE facts SET value = ?, mac = ?", (value, mac))
    assert found(state) is None
    assert "says nothing that we can use" in state.alarms[0]


def test_changes_name_facts(state: BareState) -> None:
    """Also those that were taken back, until they are forgotten."""
    other = StateName("task", "a b c")
    assert put(state) == 1
    put(state, {"id": "t", "may": [], "until": END}, other)
    assert read_changed_facts(state.query, 0, 9) == (2, (POSTURE, other))
    with state.writing() as (connection, _):
        assert remove_fact(connection, POSTURE, Instant(NOW), "test") == 3
    assert read_changed_facts(state.query, 2, 9) == (3, (POSTURE,))
    assert read_changed_facts(state.query, 0, 1) == (3, None)
    with state.writing() as (connection, _):
        assert collect_facts(connection, Instant(NOW + FORGET_AFTER), 9) == 0
        assert collect_facts(connection, Instant(NOW + FORGET_AFTER + 1), 9) == 1
    assert read_changed_facts(state.query, 2, 9) == (3, None)
    assert read_changed_facts(state.query, 3, 9) == (3, ())
