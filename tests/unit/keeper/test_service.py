"""The keeper's sockets and what workers ask it: over real ones, with whatever may go wrong."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.clock import Instant, SystemClock
from extauthz.errors import ConfigError, LinkError
from extauthz.keeper.service import ADMIN_SOCKET, KEEPER_SOCKET, KeeperService
from extauthz.link.caller import LinkCaller
from extauthz.ports import SpendOutcome, Spent
from extauthz.server.keeperspender import KeeperSpender
from extauthz.server.keeperwire import read_spend_answer
from extauthz.state.sessions import find_session
from extauthz.telemetry.metrics import Metrics
from tests.simulators.keeperservice import PATIENCE, Running, running, seen, settings_in
from tests.simulators.tokens import ISSUER
from tests.unit.server.test_spender import spend
from tests.unit.state.spend_contract import member

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.config.settings import Settings


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
        shown = metrics.exposition()
    (line,) = (tmp_path / "records.jsonl.actions").read_text().splitlines()
    assert json.loads(line)["id"] == "abc"
    assert b'extauthz_operator_actions_total{kind="revoke",outcome="in_force"} 1.0' in shown


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
