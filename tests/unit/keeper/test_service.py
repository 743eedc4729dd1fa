"""The keeper's sockets: what workers and operators ask, over real ones."""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.clock import Instant, SystemClock
from extauthz.config.settings import Settings
from extauthz.errors import ConfigError, LinkError
from extauthz.identity.apikey import ISSUER as API_KEY_ISSUER
from extauthz.keeper.service import ADMIN_SOCKET, KEEPER_SOCKET, KeeperService
from extauthz.link.caller import LinkCaller
from extauthz.model.receipt import from_document
from extauthz.model.restriction import Form
from extauthz.ports import SpendOutcome, Spent
from extauthz.server.keeperspender import KeeperSpender
from extauthz.state.sessions import SessionSeen, find_session
from extauthz.telemetry.metrics import Metrics
from tests.simulators.keepers import STREAM, Worker
from tests.simulators.tokens import ISSUER
from tests.unit.server.test_spender import spend
from tests.unit.state.spend_contract import member

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 10.0
DAY = 86400.0


def settings_in(folder: Path, **others: Any) -> Settings:
    """Return settings whose state, sockets and records are in a folder."""
    given = {
        "policy": [str(folder / "policy.yaml")],
        "state": {"path": str(folder / "state.db")},
        "server": {"run_dir": str(folder / "run")},
        "records": {"path": str(folder / "records.jsonl")},
        **others,
    }
    return Settings.model_validate(given)


class Running:
    """A running service, and somebody who asks it.

    Attributes:
        service: it.
        run_dir: where its sockets are.
        worker: that it asks for confirmations.
        admin: asks as the operator.
    """

    def __init__(self, service: KeeperService, run_dir: Path, worker: Worker) -> None:
        self.service = service
        self.run_dir = run_dir
        self.worker = worker
        self.admin = LinkCaller(run_dir / ADMIN_SOCKET, PATIENCE)

    def ask(self, op: str, **members: Any) -> dict[str, Any]:
        """Return the answer to the operator."""
        return self.admin.ask({"op": op, **members})

    def restrict(self, form: str = "subject", value: str = "bob", **members: Any) -> dict[str, Any]:
        """Take something away."""
        marks = [{"form": form, "issuer": ISSUER, "value": value}]
        return self.ask(
            "restrict", **{"marks": marks, "effect": "revoked", "kind": "revoke", "by": "eve", "reason": "x", **members}
        )


@contextmanager
def running(folder: Path, **others: Any) -> Iterator[Running]:
    """Yield a running service."""
    settings = settings_in(folder)
    worker = Worker(folder / "state.db")
    service = KeeperService(settings, SystemClock(), confirmers={"0": worker}, **others)
    service.start()
    try:
        one = Running(service, settings.server.run_dir, worker)
        with closing(one.admin), closing(worker):
            yield one
    finally:
        service.stop()


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Running]:
    """Yield a running service."""
    with running(tmp_path) as kept:
        yield kept


def bob(**others: Any) -> list[dict[str, str]]:
    """Return a target as the operator writes it."""
    return [{"form": "subject", "issuer": ISSUER, "value": "bob", **others}]


def seen(session: str, at: float, **others: Any) -> SessionSeen:
    """Return a use of a session."""
    return SessionSeen(issuer=ISSUER, session=session, at=Instant(at), **{"subject": "bob", **others})


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
    from tests.simulators.keepers import BOB, Kept  # noqa: PLC0415 — only here

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


def test_a_state_that_cannot_be_used_is_said(kept: Running) -> None:
    """To operators and workers alike."""
    with closing(sqlite3.connect(kept.run_dir.parent / "state.db")) as connection:
        connection.execute("DROP TABLE sessions")
    assert "state.db" in kept.ask("sessions")["error"]
    with closing(KeeperSpender(kept.run_dir / KEEPER_SOCKET)) as worker, pytest.raises(LinkError, match=r"state\.db"):
        worker.note_sessions([seen("s1", 1.0)])


def test_workers_spend_through_it(kept: Running) -> None:
    """Once; asked again the same way it is the same spend; the refusal names what was used up."""
    with (
        closing(KeeperSpender(kept.run_dir / KEEPER_SOCKET)) as one,
        closing(KeeperSpender(kept.run_dir / KEEPER_SOCKET)) as other,
    ):
        assert one.spend((spend("a"),), b"q1", PATIENCE) == Spent(SpendOutcome.DONE)
        assert other.spend((spend("a"),), b"q1", PATIENCE) == Spent(SpendOutcome.DONE)
        both = (spend("b", detail="first"), spend("a", detail="second"))
        assert other.spend(both, b"q2", PATIENCE) == Spent(SpendOutcome.REFUSED, both[1])
        assert one.spend((spend("b"),), b"q3", PATIENCE) == Spent(SpendOutcome.DONE)
        until = Instant(SystemClock().now() + 60)
        members = [one.spend((member(name, until=until),), b"m", PATIENCE).outcome.value for name in "abca"]
        assert members == ["done", "done", "refused", "done"]


def test_what_is_spent_is_spent_after_a_restart(tmp_path: Path) -> None:
    """A worker connects again by itself."""
    with closing(KeeperSpender(tmp_path / "run" / KEEPER_SOCKET)) as worker:
        with running(tmp_path):
            assert worker.spend((spend("a"),), b"q1", PATIENCE).outcome is SpendOutcome.DONE
        assert worker.spend((spend("b"),), b"q2", PATIENCE).outcome is SpendOutcome.UNKNOWN
        assert worker.spend((spend("b"),), b"q2", PATIENCE).outcome is SpendOutcome.UNKNOWN
        with running(tmp_path):
            assert worker.spend((spend("a"),), b"q3", PATIENCE).outcome is SpendOutcome.REFUSED
            assert worker.spend((spend("b"),), b"q4", PATIENCE).outcome is SpendOutcome.DONE


def test_workers_tell_which_sessions_are_used(kept: Running) -> None:
    """However many at once, and however long their names are."""
    with closing(KeeperSpender(kept.run_dir / KEEPER_SOCKET)) as worker:
        worker.note_sessions([])
        worker.note_sessions([seen(f"s{n}", 1000.0 + n, source="192.0.2.1", decisions=2) for n in range(1200)])
        worker.note_sessions([seen("\u20ac" * 60_000 + str(n), 1.0) for n in range(3)])
    with kept.service.keeper.reading() as query:
        use = find_session(query, ISSUER, "s1199")
        assert use is not None
        assert (use.seen_at, set(use.sources)) == (2199.0, {"192.0.2.1"})
    assert kept.ask("sessions", limit=1)["total"] == 1203


@pytest.mark.parametrize(
    "question",
    [
        {"op": "spend"},
        {"op": "spend", "spends": [], "question": "zz", "timeout": 1},
        {"op": "spend", "spends": [["k", "00"]], "question": "00", "timeout": 1},
        {"op": "spend", "spends": [["k", "00", "", 1, "x"]], "question": "00", "timeout": 1},
        {"op": "spend", "spends": [["k", "00", "", 1, "nan"]], "question": "00", "timeout": 1},
        {"op": "spend", "spends": [["k", 0, "", 1, 1]], "question": "00", "timeout": 1},
        {"op": "spend", "spends": 7, "question": "00", "timeout": 1},
        {"op": "seen"},
        {"op": "seen", "sessions": [["a"]]},
        {"op": "seen", "sessions": [["a"] * 8 + ["x", "y"]]},
        {"op": "restrict", "marks": []},
        {"op": None},
    ],
)
def test_workers_that_ask_wrongly_are_told(kept: Running, question: dict[str, Any]) -> None:
    """A worker can spend and tell, nothing else; and what is no spend is none."""
    with closing(LinkCaller(kept.run_dir / KEEPER_SOCKET, PATIENCE)) as caller:
        assert "error" in caller.ask(question)
        assert caller.ask({"op": "ping"}) == {}


def test_an_answer_that_is_not_understood_is_unknown(tmp_path: Path) -> None:
    """Whatever it is: success is never what comes out of nonsense."""
    from extauthz.server.keeperwire import read_spend_answer  # noqa: PLC0415 — only here

    spends = (spend("a"),)
    for answer in ({}, {"outcome": "x"}, {"outcome": "refused"}, {"outcome": "refused", "refused": 7}, {"error": "x"}):
        assert read_spend_answer(answer, spends) == Spent(SpendOutcome.UNKNOWN)
    with closing(KeeperSpender(tmp_path / "none.sock")) as nobody:
        assert nobody.spend(spends, b"q", 0.05) == Spent(SpendOutcome.UNKNOWN)


def test_it_works_when_it_says_so(kept: Running) -> None:
    """Asked as others ask it."""
    assert kept.service.check(PATIENCE) == ""
    with closing(sqlite3.connect(kept.run_dir.parent / "state.db")) as connection:
        connection.execute("ALTER TABLE beat RENAME TO gone")
        kept.service.keeper.upkeep.beat()
        assert "cannot be written" in kept.service.check(PATIENCE)
        connection.execute("ALTER TABLE held_signals RENAME TO gone_too")
        assert "state.db" in kept.service.check(PATIENCE)


def test_one_that_does_not_run_does_not_work(tmp_path: Path) -> None:
    """The sentence says so."""
    with running(tmp_path) as kept:
        pass
    assert "extauthz serve" in kept.service.check(PATIENCE)
    kept.service.stop()


def test_actions_are_recorded_beside_the_decisions(tmp_path: Path) -> None:
    """And counted where somebody counts."""
    metrics = Metrics()
    with running(tmp_path, metrics=metrics) as kept:
        kept.restrict(id="abc")
    (line,) = (tmp_path / "records.jsonl.actions").read_text().splitlines()
    assert json.loads(line)["id"] == "abc"
    assert b'extauthz_operator_actions_total{kind="revoke",outcome="in_force"} 1.0' in metrics.exposition()


class Elsewhere:
    """A spender that is somebody else's."""

    def spend(self, spends: tuple[Any, ...], question: bytes, timeout: float) -> Spent:
        """Spend always."""
        del spends, question, timeout
        return Spent(SpendOutcome.DONE)


def test_what_is_used_up_may_be_counted_elsewhere(tmp_path: Path) -> None:
    """By whoever counts for several machines."""
    with running(tmp_path, spender=Elsewhere()) as kept, closing(KeeperSpender(kept.run_dir / KEEPER_SOCKET)) as worker:
        for _ in range(2):
            assert worker.spend((spend("a"),), b"q", PATIENCE).outcome is SpendOutcome.DONE
            assert kept.service.spender.spend((spend("a"),), b"r", PATIENCE).outcome is SpendOutcome.DONE
        kept.service.spender.note_sessions([seen("s1", 1.0)])
        assert kept.ask("sessions", limit=1)["total"] == 1


def test_what_cannot_be_served_is_said_before_anything_runs(tmp_path: Path) -> None:
    """No state file, a folder that others can open, a file that is no state, another keeper."""

    def start(settings: Settings) -> None:
        service = KeeperService(settings, SystemClock(), confirmers={})
        try:
            service.start()
        finally:
            service.stop()

    with pytest.raises(ValueError, match="state file"):
        start(settings_in(tmp_path, state=None))
    (tmp_path / "run").mkdir(mode=0o755)
    with pytest.raises(ConfigError, match="others can get in"):
        start(settings_in(tmp_path))
    (tmp_path / "run").chmod(0o700)
    (tmp_path / "no.db").write_text("nonsense" * 100)
    (tmp_path / "no.db").chmod(0o600)
    with pytest.raises(ConfigError, match="state file"):
        start(settings_in(tmp_path, state={"path": str(tmp_path / "no.db")}))
    with running(tmp_path) as kept, pytest.raises(ConfigError, match="another extauthz"):
        start(settings_in(tmp_path))
    assert not (kept.run_dir / ADMIN_SOCKET).exists()


def test_every_form_can_be_named(kept: Running) -> None:
    """By the operator."""
    for form in Form:
        assert kept.restrict(form=form.value, value="v")["receipt"]["changed"] == 1
    assert len(kept.ask("restrictions")["restrictions"]) == len(Form)
