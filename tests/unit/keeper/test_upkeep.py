"""The keeper's beat, its forgetting, and those who wait for news."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from extauthz.keeper import upkeep
from extauthz.model.restriction import Form, Mark
from extauthz.state.beat import read_beat
from extauthz.state.restrictions import count_restrictions
from extauthz.telemetry.statemetrics import StateMetrics
from tests.simulators.clock import ManualClock
from tests.simulators.keepers import BOB, STREAM, Kept, keeping
from tests.unit.keeper.test_keeper import Elsewhere

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from extauthz.state.beat import Beat
    from extauthz.state.signals import Happening

PATIENCE = 10.0
HOUR = 3600.0


def beat_of(kept: Kept) -> Beat | None:
    """Return the newest beat."""
    with kept.keeper.reading() as query:
        return read_beat(query)


def rows_of(kept: Kept) -> int:
    """Return how many restrictions there are."""
    with kept.keeper.reading() as query:
        return count_restrictions(query)


@contextmanager
def alone(folder: Path, **parts: Any) -> Iterator[Kept]:
    """Yield a running keeper that beats and forgets only when it is told to: its threads would do so in between."""
    with keeping(folder, **parts) as kept:
        kept.keeper.upkeep.stop()
        yield kept


def test_a_keeper_beats_from_its_start(tmp_path: Path) -> None:
    """By both clocks."""
    clock = ManualClock()
    with keeping(tmp_path, clock=clock) as kept:
        assert beat_of(kept) == (clock.now(), clock.boot())
        clock.advance(3)
        kept.keeper.upkeep.beat()
        assert beat_of(kept) == (clock.now(), clock.boot())


def test_it_does_not_beat_while_others_may_know_more(tmp_path: Path) -> None:
    """So that this machine goes stale, and refuses."""
    clock, elsewhere = ManualClock(), Elsewhere()
    elsewhere.synced = False
    with alone(tmp_path, clock=clock, replicator=elsewhere) as kept:
        assert beat_of(kept) is None
        elsewhere.synced = True
        kept.keeper.upkeep.beat()
        before = beat_of(kept)
        elsewhere.synced = False
        clock.advance(1)
        kept.keeper.upkeep.beat()
        assert beat_of(kept) == before is not None


def test_a_beat_is_as_old_as_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the machine sleeps between asking whether it knows everything and writing that down, it is stale."""
    clock, elsewhere = ManualClock(), Elsewhere()
    with alone(tmp_path, clock=clock, replicator=elsewhere) as kept:
        asked = (clock.now(), clock.boot())

        def in_sync() -> bool:
            clock.advance(HOUR)
            return True

        monkeypatch.setattr(elsewhere, "in_sync", in_sync)
        kept.keeper.upkeep.beat()
        assert beat_of(kept) == asked


def test_a_beat_that_cannot_be_written_is_tried_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Said once; and it goes on when it can."""
    clock = ManualClock()
    with alone(tmp_path, clock=clock) as kept:
        with closing(sqlite3.connect(kept.path)) as connection:
            connection.execute("ALTER TABLE beat RENAME TO gone")
            kept.keeper.upkeep.beat()
            kept.keeper.upkeep.beat()
            failing = kept.keeper.upkeep.failing
            connection.execute("ALTER TABLE gone RENAME TO beat")
        clock.advance(1)
        kept.keeper.upkeep.beat()
        assert (failing, kept.keeper.upkeep.failing) == (True, False)
        assert beat_of(kept) == (clock.now(), clock.boot())
    assert capsys.readouterr().out.count("cannot be written") == 1


def test_what_is_over_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A little at a time, however much there is; what holds stays."""
    monkeypatch.setattr(upkeep, "COLLECT_ROWS", 3)
    clock = ManualClock()
    with alone(tmp_path, clock=clock) as kept:
        marks = [Mark(Form.SESSION, "https://idp", f"s{n}") for n in range(10)]
        kept.keeper.carry_out(kept.action("a1"), [kept.revoked(mark) for mark in marks])
        kept.keeper.carry_out(kept.action("a2"), [kept.revoked(BOB, until=None)])
        clock.advance(2 * HOUR)
        assert kept.keeper.upkeep.collect() == 10
        assert rows_of(kept) == 1
        assert kept.keeper.upkeep.collect() == 0
        clock.advance(kept.settings.keep_revocations)
        assert kept.keeper.upkeep.collect() == 2
        assert kept.keeper.news.tail(None, 10, 0.0) == ()
        assert kept.in_force(BOB)


def test_nothing_is_forgotten_by_a_clock_that_was_set(tmp_path: Path) -> None:
    """What is forgotten does not come back, and a clock that jumps may jump back."""
    clock, registry = ManualClock(), CollectorRegistry()
    with alone(tmp_path, clock=clock, metrics=StateMetrics(registry)) as kept:
        kept.keeper.carry_out(kept.action(), [kept.revoked(BOB)])
        assert kept.keeper.upkeep.collect() == 0, "a keeper that has just started does not know its clock"
        clock.advance(upkeep.STEADY_SECONDS)
        clock.instant += 365 * 86400
        assert kept.keeper.upkeep.collect() == 0
        clock.advance(upkeep.STEADY_SECONDS - 1)
        assert kept.keeper.upkeep.collect() == 0
        clock.instant -= 365 * 86400
        assert kept.keeper.upkeep.collect() == 0
        assert registry.get_sample_value("extauthz_alarms_total", {"what": "clock_jump"}) == 2
        clock.advance(2 * HOUR)
        assert kept.keeper.upkeep.collect() == 1


def wait_for(kept: Kept, after: int, found: list[tuple[Happening, ...]]) -> threading.Thread:
    """Return a thread that waits for news."""
    thread = threading.Thread(target=lambda: found.append(kept.keeper.news.tail(after, 10, PATIENCE)))
    thread.start()
    return thread


def test_who_waits_for_news_gets_them(tmp_path: Path) -> None:
    """As soon as there are some; a repetition of what is known is none."""
    with keeping(tmp_path) as kept:
        kept.keeper.carry_out(kept.action("a1"), [kept.revoked(BOB)])
        (first,) = kept.keeper.news.tail(None, 10, 0.0)
        found: list[tuple[Happening, ...]] = []
        thread = wait_for(kept, first.position, found)
        kept.keeper.carry_out(kept.action("a1"), [kept.revoked(BOB)])
        kept.keeper.note(kept.action("e1", source=STREAM), "noted")
        thread.join(PATIENCE)
        assert [[each.action.id for each in one] for one in found] == [["e1"]]


def test_who_waits_long_enough_gets_nothing(tmp_path: Path) -> None:
    """And at once where nothing is waited for."""
    with keeping(tmp_path) as kept:
        assert kept.keeper.news.tail(0, 10, 0.0) == ()
        assert kept.keeper.news.tail(0, 10, 0.02) == ()


def test_a_stop_lets_those_go_who_wait(tmp_path: Path) -> None:
    """With what there is: nothing."""
    with keeping(tmp_path) as kept:
        found: list[tuple[Happening, ...]] = []
        thread = wait_for(kept, 0, found)
        kept.keeper.news.stop()
        thread.join(PATIENCE)
        assert found == [()]
