"""What the operator asks the keeper, over its real socket: each answer is true, and a wrong question does nothing."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.clock import SystemClock
from extauthz.identity.apikey import ISSUER as API_KEY_ISSUER
from extauthz.model.receipt import from_document
from extauthz.model.restriction import Form
from tests.simulators.keepers import BOB, STREAM, Kept
from tests.simulators.keeperservice import PATIENCE, bob, seen, settings_in
from tests.simulators.tokens import ISSUER

if TYPE_CHECKING:
    from tests.simulators.keeperservice import Running

DAY = 86400.0


def test_the_operator_takes_away_and_gives_back(kept: Running) -> None:
    """Each answer is a receipt; what is listed is what holds."""
    receipt = from_document(kept.restrict()["receipt"])
    assert receipt.is_everywhere
    (listed,) = kept.ask("restrictions")["restrictions"]
    assert (listed["value"], listed["effect"], listed["by"], listed["until"]) == ("bob", "revoked", "eve", None)
    lifted = from_document(kept.ask("lift", marks=bob(), effects=["revoked"], by="eve", reason="y")["receipt"])
    assert lifted.changed == 1
    assert kept.ask("restrictions")["restrictions"] == []
    (listed,) = kept.ask("restrictions", all=True)["restrictions"]
    assert listed["in_force"] is False
    kept.restrict(value="bob", effect="quarantined")
    assert kept.ask("lift", marks=bob(), by="eve", reason="z")["receipt"]["changed"] == 1


def test_an_id_makes_a_repetition_harmless(kept: Running) -> None:
    """A command that is sent again does nothing twice."""
    first = kept.restrict(id="abc")["receipt"]
    assert first["id"] == "abc"
    assert kept.restrict(id="abc", value="alice")["receipt"]["changed"] == 0
    assert len(kept.ask("restrictions")["restrictions"]) == 1


@pytest.mark.parametrize(
    ("form", "issuer", "effect", "days"),
    [
        ("session", ISSUER, "revoked", 30),
        ("token", ISSUER, "revoked", 30),
        ("token", API_KEY_ISSUER, "revoked", 365),
        ("tenant", ISSUER, "revoked", 365),
        ("everybody", "", "revoked", 365),
        ("session", ISSUER, "quarantined", None),
        ("client", ISSUER, "revoked", None),
        ("certificate", "", "revoked", None),
    ],
)
def test_a_revocation_outlives_what_it_revokes(
    kept: Running, form: str, issuer: str, effect: str, days: float | None
) -> None:
    """And what must be lifted by somebody has no end."""
    kept.restrict(marks=[{"form": form, "issuer": issuer, "value": "v"}], effect=effect)
    (listed,) = kept.ask("restrictions")["restrictions"]
    lasts = None if listed["until"] is None else (listed["until"] - listed["event_at"]) / DAY
    assert lasts == days


def test_restrictions_are_listed_by_what_is_asked_for(kept: Running) -> None:
    """Target, form, issuer, source, and no more than wanted."""
    kept.restrict(value="bob")
    kept.restrict(value="alice")
    kept.restrict(form="session", value="s1")

    def listed(**asked: Any) -> list[str]:
        return [each["value"] for each in kept.ask("restrictions", **asked)["restrictions"]]

    assert listed() == ["s1", "alice", "bob"]
    assert listed(limit=2) == ["s1", "alice"]
    assert listed(form="subject") == ["alice", "bob"]
    assert listed(form="subject", limit=1) == ["alice"]
    assert listed(issuer="https://other.example") == []
    assert listed(form="subject", issuer=ISSUER, value="bob") == ["bob"]
    assert listed(source="operator") == ["s1", "alice", "bob"]
    assert listed(source=STREAM) == []


def test_what_it_would_end_is_counted_first(kept: Running) -> None:
    """Nothing changes by that."""
    now = SystemClock().now()
    kept.service.keeper.note_sessions([seen("s1", now), seen("s2", now), seen("s3", now, subject="alice")])
    assert kept.ask("count", marks=bob()) == {"sessions": 2}
    assert kept.restrict()["receipt"]["sessions"] == 2
    listed = kept.ask("sessions", subject="bob")
    assert sorted(each["session"] for each in listed["sessions"]) == ["s1", "s2"]
    assert kept.ask("sessions", limit=1)["total"] == 3
    assert "total" not in listed


def test_what_is_held_waits_for_a_person(kept: Running) -> None:
    """Listed, admitted or dismissed by its id."""
    keeper, now = kept.service.keeper, SystemClock().now()
    keeper.note_sessions([seen("s1", now)])
    maker = Kept(keeper, kept.run_dir, {}, SystemClock(), settings_in(kept.run_dir).state)  # type: ignore[arg-type] # it is there
    ids = [
        keeper.carry_out(
            maker.action(name, source=STREAM), [maker.revoked(BOB, source=STREAM)], hold_above=0, subject="bob"
        ).held
        for name in ("e1", "e2")
    ]
    held = kept.ask("held")["held"]
    assert {each["id"]: (each["event"], each["subject"], each["sessions"]) for each in held} == {
        ids[0]: ("e1", "bob", 1),
        ids[1]: ("e2", "bob", 1),
    }
    assert held[0]["restrictions"][0]["value"] == "bob"
    assert kept.ask("admit", id=ids[0], by="eve")["receipt"]["changed"] == 1
    assert kept.ask("dismiss", id=ids[1], by="eve") == {"id": ids[1]}
    assert kept.ask("held") == {"held": []}
    for op in ("admit", "dismiss"):
        assert "nothing of that id waits" in kept.ask(op, id=ids[0], by="eve")["error"]


def test_the_tail_goes_on_where_it_ended(kept: Running) -> None:
    """The newest first asked for, then what comes; waiting where nothing is there yet."""
    assert kept.ask("tail", after=None, limit=0) == {"events": [], "last": 0}
    kept.restrict(id="a1")
    kept.restrict(id="a2", value="alice", marks=bob() + bob(value="x") + bob(value="y") + bob(value="z"))
    newest = kept.ask("tail", after=None, limit=1)
    assert [each["id"] for each in newest["events"]] == ["a2"]
    assert newest["events"][0]["subject"].endswith("and 1 more")
    assert kept.ask("tail", after=None, limit=0) == {"events": [], "last": newest["last"]}
    answers: list[dict[str, Any]] = []
    thread = threading.Thread(
        target=lambda: answers.append(kept.ask("tail", after=newest["last"], limit=10, wait=PATIENCE))
    )
    thread.start()
    kept.restrict(id="a3")
    thread.join(PATIENCE)
    assert [[each["id"] for each in answer["events"]] for answer in answers] == [["a3"]]
    assert kept.ask("tail", after=answers[0]["last"], limit=10) == {"events": [], "last": answers[0]["last"]}


def test_no_stream_can_write_so_much_that_nothing_is_shown(kept: Running) -> None:
    """What fits is shown, the rest when that is done with; texts may grow twelvefold on the way."""
    keeper, long = kept.service.keeper, "\N{KEY}" * 1024
    keeper.note_sessions([seen("s1", SystemClock().now())])
    maker = Kept(keeper, kept.run_dir, {}, SystemClock(), settings_in(kept.run_dir).state)  # type: ignore[arg-type] # it is there
    for number in range(60):
        action = maker.action(f"e{number}", source=STREAM, reason=long)
        keeper.carry_out(action, [maker.revoked(BOB, source=STREAM)] * 16, hold_above=0, subject=long)
    newest = kept.ask("tail", after=None, limit=60)["events"]
    assert 10 < len(newest) < 60
    assert newest[-1]["id"] == "e59"
    told: list[str] = []
    after = 0
    while events := kept.ask("tail", after=after, limit=1000)["events"]:
        told += [each["id"] for each in events]
        after = events[-1]["number"]
    assert told == [f"e{number}" for number in range(60)]
    held = kept.ask("held")
    assert len(held["held"]) + held["more"] == 60
    for each in held["held"]:
        kept.ask("dismiss", id=each["id"], by="eve")
    assert 0 < len(kept.ask("held")["held"]) <= held["more"]


def test_the_status_says_how_it_fares(kept: Running) -> None:
    """Who answers, and how old the state may be."""
    kept.restrict()
    kept.service.keeper.heard("idp", SystemClock().now())
    status = kept.ask("status")
    assert status["workers"] == [{"name": "0", "number": status["number"], "answers": True}]
    assert (status["restrictions"], status["held"], status["replicas"]) == (1, 0, [0, 0])
    assert [each["name"] for each in status["streams"]] == ["idp"]
    assert 0 <= status["beat_age"] < PATIENCE
    with closing(sqlite3.connect(kept.run_dir.parent / "state.db")) as connection:
        connection.execute("DELETE FROM beat")
        connection.execute("CREATE TRIGGER silent BEFORE INSERT ON beat BEGIN SELECT RAISE(IGNORE); END")
        connection.execute("DELETE FROM beat")
        connection.commit()
    assert kept.ask("status")["beat_age"] is None


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ({}, "`op`"),
        ({"op": ["x"]}, "`op`"),
        ({"op": "restrict"}, "`marks`"),
        ({"op": "restrict", "marks": []}, "`marks`"),
        ({"op": "restrict", "marks": [{"form": "x"}]}, "cannot be understood"),
        ({"op": "restrict", "marks": ["x"]}, "cannot be understood"),
        ({"op": "restrict", "marks": bob(), "effect": "x"}, "quarantined"),
        ({"op": "restrict", "marks": bob(), "effect": "revoked"}, "`reason`"),
        ({"op": "restrict", "marks": bob(), "effect": "revoked", "reason": 1}, "`reason`"),
        ({"op": "lift", "marks": bob(), "reason": "x", "effects": "revoked"}, "`effects`"),
        ({"op": "lift", "marks": bob(), "reason": "x", "effects": ["x"]}, "quarantined"),
        ({"op": "admit"}, "`id`"),
        ({"op": "tail", "limit": "x"}, "`limit`"),
        ({"op": "tail", "limit": True}, "`limit`"),
        ({"op": "tail", "after": -1}, "`after`"),
        ({"op": "sessions", "tenant": 7}, "`tenant`"),
        ({"op": "count", "marks": bob() * 1001}, "`marks`"),
    ],
)
def test_a_question_that_cannot_be_understood(kept: Running, question: dict[str, Any], said: str) -> None:
    """The answer says how to ask; nothing happens."""
    assert said in kept.admin.ask(question)["error"]
    assert kept.ask("restrictions", all=True)["restrictions"] == []


def test_every_form_can_be_named(kept: Running) -> None:
    """By the operator."""
    for form in Form:
        assert kept.restrict(form=form.value, value="v")["receipt"]["changed"] == 1
    assert len(kept.ask("restrictions")["restrictions"]) == len(Form)
