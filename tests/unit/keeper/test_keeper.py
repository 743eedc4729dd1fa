"""The keeper: durable, in force everywhere or said so, once for each action, and held where it would end too much."""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from extauthz.audit.actions import ActionLog
from extauthz.clock import Instant
from extauthz.errors import StateError
from extauthz.keeper import receipts
from extauthz.model.restriction import Effect, Form, Mark
from extauthz.state import signals
from extauthz.state.sessions import find_session
from extauthz.telemetry.statemetrics import StateMetrics
from tests.simulators.keepers import BOB, STREAM, keeping, session
from tests.simulators.tokens import ISSUER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from extauthz.keeper.keeper import Keeper
    from extauthz.model.receipt import Receipt
    from tests.simulators.keepers import Worker

PATIENCE = 10.0
ALICE = Mark(Form.SUBJECT, ISSUER, "alice")


@pytest.fixture(autouse=True)
def _long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait long for workers: those of a crowded machine take a while."""
    monkeypatch.setattr(receipts, "CONFIRM_SECONDS", PATIENCE)


@contextmanager
def silent(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a worker say nothing meanwhile, and do not wait long for it; for the others it is enough."""
    with monkeypatch.context() as patch:
        patch.setattr(receipts, "CONFIRM_SECONDS", 1.0)
        patch.setattr(worker, "silent", True)
        yield


def test_what_is_carried_out_is_in_force_and_confirmed(tmp_path: Path) -> None:
    """The receipt says by whom; the list says that it was done."""
    with keeping(tmp_path, workers=3) as kept:
        receipt = kept.keeper.carry_out(kept.action(), [kept.revoked(BOB)], subject="bob", detail="because")
        assert (receipt.id, receipt.changed, receipt.workers, receipt.of_workers) == ("a1", 1, 3, 3)
        assert receipt.is_everywhere
        assert 0 < receipt.seconds < PATIENCE
        assert [each.mark for each in kept.in_force(BOB)] == [BOB]
        (happening,) = kept.keeper.news.tail(None, 10, 0.0)
        assert (happening.outcome, happening.subject, happening.detail) == ("in_force", "bob", "because")
        assert happening.number == receipt.number
        assert kept.keeper.answers == {"0": receipt.number, "1": receipt.number, "2": receipt.number}


def test_a_worker_that_is_silent_is_not_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in force and durable nevertheless; asked again when it answers, it is confirmed."""
    with keeping(tmp_path, workers=3) as kept:
        with silent(kept.workers["1"], monkeypatch):
            receipt = kept.keeper.carry_out(kept.action(), [kept.revoked(BOB)])
        assert (receipt.workers, receipt.of_workers, receipt.changed) == (2, 3, 1)
        assert not receipt.is_everywhere
        assert kept.in_force(BOB)
        assert "not confirmed" in capsys.readouterr().out
        again = kept.keeper.carry_out(kept.action(), [kept.revoked(BOB)])
        assert (again.workers, again.changed, again.number) == (3, 0, receipt.number)


def test_an_action_is_carried_out_once(tmp_path: Path) -> None:
    """By the same source; what was lifted in between is not put in force by a repetition."""
    with keeping(tmp_path) as kept:
        kept.keeper.carry_out(kept.action("a1"), [kept.revoked(BOB)])
        lifted = kept.keeper.lift(kept.action("a2", kind="release"), [BOB])
        repeated = kept.keeper.carry_out(kept.action("a1"), [kept.revoked(ALICE)])
        assert (repeated.changed, repeated.number) == (0, lifted.number)
        assert kept.in_force(BOB, ALICE) == ()
        assert kept.keeper.is_known(kept.action("a1"))
        assert not kept.keeper.is_known(kept.action("a1", source=STREAM))
        assert kept.keeper.carry_out(kept.action("a1", source=STREAM), [kept.revoked(ALICE)]).changed == 1
        assert len(kept.keeper.news.tail(None, 10, 0.0)) == 3


def test_two_at_once_are_carried_out_once(tmp_path: Path) -> None:
    """Whoever comes second waits for the first one's commit."""
    with keeping(tmp_path) as kept:
        results: list[Receipt] = []
        threads = [
            threading.Thread(target=lambda: results.append(kept.keeper.carry_out(kept.action(), [kept.revoked(BOB)])))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert sorted(receipt.changed for receipt in results) == [0] * 7 + [1]
        assert all(receipt.is_everywhere for receipt in results)


def test_nothing_is_in_force_when_it_cannot_be_written(tmp_path: Path) -> None:
    """All of it or nothing, and the caller is told."""
    with keeping(tmp_path) as kept:
        with closing(sqlite3.connect(kept.path)) as connection:
            connection.execute("DROP TABLE signals")
        with pytest.raises(StateError):
            kept.keeper.carry_out(kept.action(), [kept.revoked(BOB)])
        assert kept.in_force(BOB) == ()


def test_lifting_is_by_target_effect_and_source(tmp_path: Path) -> None:
    """What it does not name stays."""
    with keeping(tmp_path) as kept:
        wanted = [
            kept.revoked(BOB, effect=Effect.REVOKED),
            kept.revoked(BOB, effect=Effect.QUARANTINED, source=STREAM),
            kept.revoked(ALICE, effect=Effect.QUARANTINED),
        ]
        kept.keeper.carry_out(kept.action("a1"), wanted)
        effects = frozenset({Effect.QUARANTINED})
        assert kept.keeper.lift(kept.action("a2"), [BOB], effects, source="operator").changed == 0
        assert kept.keeper.lift(kept.action("a3"), [BOB], effects).changed == 1
        assert kept.keeper.lift(kept.action("a3"), [ALICE]).changed == 0
        assert {(each.mark, each.effect) for each in kept.in_force(BOB, ALICE)} == {
            (BOB, Effect.REVOKED),
            (ALICE, Effect.QUARANTINED),
        }
        outcomes = [each.outcome for each in kept.keeper.news.tail(None, 10, 0.0)]
        assert outcomes == ["in_force", "noted", "lifted"]


def test_a_person_revokes_again_what_was_lifted_by_a_clock_ahead(tmp_path: Path) -> None:
    """Else the clock of another machine, or one that was set back, would make it an older word, without effect."""
    with keeping(tmp_path) as kept:
        ahead = Instant(kept.clock.now() + 3600)
        kept.keeper.carry_out(kept.action("a1"), [kept.revoked(BOB, event_at=ahead)])
        assert kept.keeper.lift(kept.action("a2"), [BOB]).changed == 1
        assert kept.keeper.carry_out(kept.action("a3"), [kept.revoked(BOB)]).changed == 1
        assert [each.event_at > ahead for each in kept.in_force(BOB)] == [True]
        # What a stream says is as old as it says.
        late = kept.revoked(BOB, source=STREAM, effect=Effect.QUARANTINED, in_force=False, event_at=ahead)
        kept.keeper.carry_out(kept.action("e1", source=STREAM), [late])
        early = kept.revoked(BOB, source=STREAM, effect=Effect.QUARANTINED)
        kept.keeper.carry_out(kept.action("e0", source=STREAM), [early])
        assert [each.source for each in kept.in_force(BOB)] == ["operator"]


def test_a_stream_lifts_its_own_only(tmp_path: Path) -> None:
    """As a restriction that is not in force; it stays, so that an older word that arrives late changes nothing."""
    with keeping(tmp_path) as kept:
        now = kept.clock.now()
        high = {"effect": Effect.RISK_HIGH, "source": STREAM}
        kept.keeper.carry_out(kept.action("a1"), [kept.revoked(BOB, effect=Effect.RISK_HIGH)])
        kept.keeper.carry_out(
            kept.action("e1", source=STREAM), [kept.revoked(BOB, in_force=False, event_at=Instant(now + 1), **high)]
        )
        kept.keeper.carry_out(kept.action("e0", source=STREAM), [kept.revoked(BOB, event_at=now, **high)])
        assert [each.source for each in kept.in_force(BOB)] == ["operator"]


def test_too_many_sessions_are_held_for_a_person(tmp_path: Path) -> None:
    """Nothing is in force until it is admitted; and a repetition holds nothing twice."""
    with keeping(tmp_path) as kept:
        kept.see("a", "b", "c")
        tenant = Mark(Form.TENANT, ISSUER, "acme")
        event = kept.action("e1", source=STREAM, kind="session-revoked")
        held = kept.keeper.carry_out(event, [kept.revoked(tenant, source=STREAM)], hold_above=2, subject="acme")
        assert (held.sessions, held.changed, held.workers, held.of_workers) == (3, 0, 0, 0)
        assert held.held
        assert not held.is_everywhere
        again = kept.keeper.carry_out(event, [kept.revoked(tenant, source=STREAM)], hold_above=2)
        assert again.held == held.held
        assert kept.in_force(tenant) == ()
        with kept.keeper.reading() as query:
            assert [each.id for each in signals.held(query)] == [held.held]
        admitted = kept.keeper.admit(held.held, "eve")
        assert admitted is not None
        assert (admitted.changed, admitted.sessions, admitted.workers) == (1, 3, 2)
        assert [each.source for each in kept.in_force(tenant)] == [STREAM]
        assert kept.keeper.admit(held.held, "eve") is None
        after = kept.keeper.carry_out(event, [kept.revoked(tenant, source=STREAM)], hold_above=2)
        assert (after.held, after.changed, after.number) == ("", 0, admitted.number)


def test_as_many_as_allowed_are_not_held(tmp_path: Path) -> None:
    """Above, not at; and what is lifted ends no session."""
    with keeping(tmp_path) as kept:
        kept.see("a", "b")
        tenant = Mark(Form.TENANT, ISSUER, "acme")
        assert not kept.keeper.carry_out(kept.action("a1"), [kept.revoked(tenant)], hold_above=2).held
        lifted = kept.revoked(tenant, in_force=False)
        assert not kept.keeper.carry_out(kept.action("a2"), [lifted], hold_above=0).held


def test_what_is_dismissed_never_happens(tmp_path: Path) -> None:
    """Also when it comes again."""
    with keeping(tmp_path) as kept:
        kept.see("bob")
        event = kept.action("e1", source=STREAM)
        held = kept.keeper.carry_out(event, [kept.revoked(BOB, source=STREAM)], hold_above=0)
        assert kept.keeper.dismiss(held.held, "eve")
        assert not kept.keeper.dismiss(held.held, "eve")
        assert kept.keeper.admit(held.held, "eve") is None
        again = kept.keeper.carry_out(event, [kept.revoked(BOB, source=STREAM)], hold_above=0)
        assert (again.held, again.changed) == ("", 0)
        assert kept.in_force(BOB) == ()
        last = kept.keeper.news.tail(None, 10, 0.0)[-1]
        assert (last.action.kind, last.action.by, last.outcome) == ("dismiss", "eve", "dismissed")


def test_a_forged_row_that_is_held_lifts_nothing(tmp_path: Path) -> None:
    """A person who admits it admits what it takes away, not what it gives back."""
    with keeping(tmp_path) as kept:
        kept.keeper.carry_out(kept.action("a1"), [kept.revoked(BOB, source=STREAM)])
        kept.see("bob")
        event = kept.action("e1", source=STREAM)
        held = kept.keeper.carry_out(event, [kept.revoked(ALICE, source=STREAM), kept.revoked(BOB)], hold_above=0)
        with closing(sqlite3.connect(kept.path)) as connection:
            (text,) = connection.execute("SELECT restrictions FROM held_signals").fetchone()
            rows = json.loads(text)
            later = kept.clock.now() + 60
            rows[1] |= {"source": STREAM, "in_force": False, "event_at": later, "until": later + 3600}
            connection.execute("UPDATE held_signals SET restrictions = ?", (json.dumps(rows),))
            connection.commit()
        receipt = kept.keeper.admit(held.held, "eve")
        assert receipt is not None
        assert receipt.changed == 1
        assert {each.mark for each in kept.in_force(BOB, ALICE)} == {BOB, ALICE}


def test_what_has_no_effect_is_noted(tmp_path: Path) -> None:
    """Once."""
    with keeping(tmp_path) as kept:
        event = kept.action("e1", source=STREAM, kind="verification")
        assert kept.keeper.note(event, "noted", subject="-", detail="state x")
        assert not kept.keeper.note(event, "noted")
        assert [each.outcome for each in kept.keeper.news.tail(None, 10, 0.0)] == ["noted"]


def test_streams_that_may_be_open_are_named(tmp_path: Path) -> None:
    """When something was taken away, not when it was given back."""
    with keeping(tmp_path, streams=lambda: ("chat", "shell")) as kept:
        assert kept.keeper.carry_out(kept.action("a1"), [kept.revoked(BOB)]).streams == ("chat", "shell")
        assert kept.keeper.lift(kept.action("a2"), [BOB]).streams == ()


def test_sessions_streams_and_their_states_are_noted(tmp_path: Path) -> None:
    """In the state, for everybody to read."""
    with keeping(tmp_path) as kept:
        now = kept.clock.now()
        kept.see("bob")
        kept.keeper.heard("idp", now)
        kept.keeper.set_stream_status("idp", "paused", now)
        with kept.keeper.reading() as query:
            assert find_session(query, ISSUER, "s-bob") is not None
            stream = signals.read_streams(query)["idp"]
        assert (stream.heard_at, stream.status) == (now, "paused")


def test_everything_is_counted_and_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Actions of people in the metrics; all of them in the record; what was known already in neither twice."""
    registry = CollectorRegistry()
    log = tmp_path / "actions"
    with keeping(tmp_path, workers=1, metrics=StateMetrics(registry), actions=ActionLog(log)) as kept:
        kept.keeper.carry_out(kept.action("a1"), [kept.revoked(BOB)], subject="bob")
        kept.keeper.carry_out(kept.action("a1"), [kept.revoked(BOB)])
        monkeypatch.setattr(receipts, "CONFIRM_SECONDS", 0.1)
        kept.workers["0"].silent = True  # To the end: an answer that was asked for before would be counted.
        kept.keeper.carry_out(kept.action("e1", source=STREAM), [kept.revoked(ALICE, source=STREAM)])
        kept.keeper.alarm("a row that is not ours")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["id"], line["outcome"]) for line in lines] == [("a1", "in_force"), ("e1", "unconfirmed")]
    assert lines[0]["receipt"]["workers"] == 1

    def sample(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    assert sample("extauthz_operator_actions_total", kind="revoke", outcome="in_force") == 1
    assert sample("extauthz_operator_actions_total", kind="revoke", outcome="known") == 1
    assert sample("extauthz_propagation_worker_seconds_count", worker="0") == 2
    assert sample("extauthz_alarms_total", what="forged_row") == 1


class Elsewhere:
    """Other machines, as a replicator tells of them."""

    def __init__(self) -> None:
        self.keeper: Keeper | None = None
        self.published: list[int] = []
        self.synced = True

    def start(self, keeper: Keeper) -> None:
        """Begin."""
        self.keeper = keeper

    def stop(self) -> None:
        """End."""
        self.keeper = None

    def publish(self, number: int) -> None:
        """Note what would be sent."""
        self.published.append(number)

    def wait_for_replicas(self, number: int, timeout: float) -> tuple[int, int]:
        """Say that one of two machines has it."""
        assert number in {*self.published, 0}
        assert timeout in {receipts.REPLICA_SECONDS, 0.0}
        return 1, 2

    def in_sync(self) -> bool:
        """Return what the test says."""
        return self.synced


def test_other_machines_are_told_and_waited_for(tmp_path: Path) -> None:
    """And what they were told is taken over, and confirmed like our own."""
    elsewhere = Elsewhere()
    with keeping(tmp_path, replicator=elsewhere) as kept:
        assert elsewhere.keeper is kept.keeper
        receipt = kept.keeper.carry_out(kept.action(), [kept.revoked(BOB)])
        assert (receipt.replicas, receipt.of_replicas) == (1, 2)
        assert not receipt.is_everywhere
        assert elsewhere.published == [receipt.number]
        applied = kept.keeper.take_over([kept.revoked(ALICE)])
        assert kept.keeper.confirm(applied.number, PATIENCE).by == 2
        assert kept.in_force(ALICE)
        assert kept.keeper.replicas(0) == (1, 2)
    assert elsewhere.keeper is None


def test_without_others_nobody_is_waited_for(tmp_path: Path) -> None:
    """There are none."""
    with keeping(tmp_path) as kept:
        assert kept.keeper.replicas(7) == (0, 0)


def test_what_holds_already_changes_nothing(tmp_path: Path) -> None:
    """Said by another action, it is heard and known; an alarm without metrics is in the log."""
    with keeping(tmp_path) as kept:
        restriction = kept.revoked(BOB)
        kept.keeper.carry_out(kept.action("a1"), [restriction])
        receipt = kept.keeper.carry_out(kept.action("a2"), [restriction])
        assert (receipt.changed, receipt.workers) == (0, 2)
        assert [each.outcome for each in kept.keeper.news.tail(None, 10, 0.0)] == ["in_force", "known"]
        kept.keeper.alarm("a row that is not ours")


def test_a_stopped_keeper_says_so(tmp_path: Path) -> None:
    """Whoever asks it afterwards gets an answer, not a wait for ever."""
    with keeping(tmp_path) as kept:
        pass
    receipt = kept.keeper.carry_out(kept.action(), [kept.revoked(session("s1"))])
    assert (receipt.workers, receipt.of_workers) == (0, 2)
    kept.keeper.stop()


def test_a_keeper_that_cannot_write_does_not_start(tmp_path: Path) -> None:
    """It says what is wrong with the file."""
    with keeping(tmp_path) as kept:
        pass
    kept.path.unlink()
    with pytest.raises(StateError, match=r"state\.db"), keeping_again(kept):
        pass


def keeping_again(kept: Any) -> Any:
    """Start the keeper on what is left."""
    kept.keeper.start()
    return closing(kept.keeper)
