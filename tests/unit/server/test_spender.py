"""The spender: one thread that spends for all; whatever goes wrong is a denial, and it goes on."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.clock import Instant, SystemClock
from extauthz.ports import SpendOutcome, Spent
from extauthz.server import spender as spender_module
from extauthz.server.spender import StateSpender
from extauthz.state.store import open_store
from tests.unit.state.spend_contract import spend as make_spend

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from extauthz.model.spend import Spend

PATIENCE = 30.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a state file."""
    open_store(tmp_path / "state.db")
    return tmp_path / "state.db"


@pytest.fixture
def spender(path: Path) -> Iterator[StateSpender]:
    """Yield a running spender on the file."""
    with running(path) as spender:
        yield spender


@contextmanager
def running(path: Path) -> Iterator[StateSpender]:
    """Yield a running spender."""
    spender = StateSpender(path, 1000, SystemClock())
    spender.start()
    try:
        yield spender
    finally:
        spender.stop()


def spend(key: str = "a", **changes: Any) -> Spend:
    """Return something to spend once within a minute from now."""
    return make_spend(key, until=Instant(SystemClock().now() + 60), **changes)


def outcome(spender: StateSpender, question: str, *spends: Spend, timeout: float = PATIENCE) -> str:
    """Return what became of a question."""
    return spender.spend(spends, question.encode(), timeout).outcome.value


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let another program hold the lock for writing."""
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_it_spends_once(spender: StateSpender) -> None:
    """And the answer names what was used up."""
    assert outcome(spender, "q1", spend()) == "done"
    assert outcome(spender, "q1", spend()) == "done"
    first = spend(detail="Make a new one.")
    assert spender.spend((first,), b"q2", PATIENCE) == Spent(SpendOutcome.REFUSED, first)
    assert (spender.rows, spender.waiting, spender.failing) == (2, 0, False)


def test_of_many_at_once_one_is_done(spender: StateSpender) -> None:
    """Eight threads, twenty rounds."""
    with ThreadPoolExecutor(8) as pool:
        for round_ in range(20):
            start = threading.Barrier(8)

            def go(number: int, round_: int = round_, start: threading.Barrier = start) -> str:
                start.wait()
                return outcome(spender, f"q{round_}-{number}", spend(f"k{round_}"))

            assert sorted(pool.map(go, range(8))) == ["done"] + ["refused"] * 7


def test_without_a_transaction_each_for_itself_would_be_done(spender: StateSpender) -> None:
    """The negative control: different things are not refused because many come at once."""
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda n: outcome(spender, f"q{n}", spend(f"k{n}")), range(40))) == {"done"}


def test_a_late_answer_is_unknown_and_counts_as_spent(path: Path, spender: StateSpender) -> None:
    """Who did not wait for it was refused, and cannot use it a second time."""
    with ThreadPoolExecutor(2) as pool, locked(path):
        patient = pool.submit(outcome, spender, "q1", spend("a"))
        _wait_until(lambda: spender._tables is not None)
        assert outcome(spender, "q2", spend("b"), timeout=0.05) == "unknown"
        assert spender.waiting >= 1
    assert patient.result() == "done"
    assert outcome(spender, "q3", spend("b")) == "refused"


def test_a_lock_that_outlasts_everybody_is_unknown_and_passes(path: Path, spender: StateSpender) -> None:
    """The wait for the lock is no longer than the most patient asker's."""
    with locked(path):
        begun = SystemClock().monotonic()
        assert outcome(spender, "q1", spend(), timeout=0.05) == "unknown"
        assert SystemClock().monotonic() - begun < PATIENCE
        _wait_until(lambda: spender.failing)
    assert outcome(spender, "q1", spend()) == "done"
    assert not spender.failing


def test_a_lost_file_is_unknown_until_it_is_back(path: Path, spender: StateSpender) -> None:
    """What was spent stays spent."""
    assert outcome(spender, "q1", spend()) == "done"
    away = path.rename(path.with_name("away.db"))
    assert [outcome(spender, "q2", spend("b")) for _ in range(2)] == ["unknown"] * 2
    assert spender.failing
    away.rename(path)
    assert outcome(spender, "q3", spend("b")) == "done"
    assert outcome(spender, "q4", spend()) == "refused"


def test_a_restored_file_is_spent_from(path: Path, spender: StateSpender) -> None:
    """The spender does not go on with the one that is gone."""
    assert outcome(spender, "q1", spend()) == "done"
    open_store(fresh := path.with_name("fresh.db"))
    fresh.replace(path)
    for side in ("-wal", "-shm"):
        path.with_name(path.name + side).unlink(missing_ok=True)
    assert outcome(spender, "q2", spend("b")) == "done"
    with running(path) as other:
        assert outcome(other, "q3", spend("b")) == "refused"


def test_what_nobody_foresaw_is_unknown_and_the_thread_goes_on(spender: StateSpender) -> None:
    """Or nothing would ever be spent again."""
    assert outcome(spender, "q1", make_spend(until=object())) == "unknown"
    assert spender.failing
    assert outcome(spender, "q2", spend()) == "done"


def test_a_full_queue_is_unknown_at_once(spender: StateSpender, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits where waiting is of no use."""
    monkeypatch.setattr(spender_module, "MAX_WAITING", 0)
    assert outcome(spender, "q1", spend()) == "unknown"


def test_before_the_start_and_after_the_end_nothing_is_spent(path: Path) -> None:
    """What waits at the end is still taken."""
    spender = StateSpender(path, 1000, SystemClock())
    assert outcome(spender, "q1", spend()) == "unknown"
    spender.stop()
    with ThreadPoolExecutor(4) as pool, running(path) as spender:
        with locked(path):
            waiting = [pool.submit(outcome, spender, "q0", spend("k0"))]
            _wait_until(lambda: spender._tables is not None)
            waiting += [pool.submit(outcome, spender, f"q{n}", spend(f"k{n}")) for n in range(1, 4)]
            _wait_until(lambda: spender.waiting == 3)
        spender.stop()
        assert [each.result() for each in waiting] == ["done"] * 4
        assert outcome(spender, "q9", spend("k9")) == "unknown"


def _wait_until(happens: Any) -> None:
    clock = SystemClock()
    end = clock.monotonic() + PATIENCE
    while not happens():
        assert clock.monotonic() < end, "it did not happen in time"
        threading.Event().wait(0.002)
