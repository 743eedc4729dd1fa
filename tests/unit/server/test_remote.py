"""A remote is asked by few at once, about each thing by one, and nobody waits longer than he likes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.clock import Instant
from extauthz.errors import FetchError
from extauthz.ports import Fetched
from extauthz.server.breaker import FAILURES, FIRST_PAUSE, Breaker, State
from extauthz.server.remote import Remote
from tests.integration.running import seconds_of_patience
from tests.simulators.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 10.0


class Stage:
    """A remote whose answers wait for a gate."""

    def __init__(self, slots: int = 2) -> None:
        self.clock = ManualClock()
        self.breaker = Breaker(self.clock, lambda: 1.0)
        self.outcomes: list[Fetched] = []
        self.counted = threading.Semaphore(0)
        self.gate = threading.Event()
        self.began: list[float] = []
        self.begun = threading.Semaphore(0)
        self.remote = Remote("r", clock=self.clock, slots=slots, breaker=self.breaker, on_fetch=self.count)

    def count(self, outcome: Fetched) -> None:
        """Count an outcome."""
        self.outcomes.append(outcome)
        self.counted.release()

    def job(self, began: Instant) -> None:
        """Wait for the gate."""
        self.began.append(began)
        self.begun.release()
        assert self.gate.wait(PATIENCE)

    def fetch(self, key: str = "a", timeout: float = PATIENCE, job: Callable[[Instant], None] | None = None) -> Fetched:
        """Fetch, by `job` or the one that waits."""
        return self.remote.fetch(key, job or self.job, timeout)


def fail(_: Instant) -> None:
    """Get no usable answer."""
    message = "down"
    raise FetchError(message)


def test_one_joins_what_is_under_way() -> None:
    """Exactly one job, however many wait; by the time the second asks the first has begun."""
    stage = Stage(slots=3)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(stage.fetch)
        assert stage.begun.acquire(timeout=PATIENCE)
        second = pool.submit(stage.fetch)
        # The gate stays shut until the second waits for the first one's fetch, or has begun one of its own.
        seconds_of_patience(lambda: waiters(stage) == 2 or len(stage.began) > 1)
        stage.gate.set()
        assert (first.result(), second.result()) == (Fetched.DONE, Fetched.DONE)
    assert len(stage.began) == 1


def waiters(stage: Stage) -> int:
    """Return how many threads wait for the fetch that is under way."""
    over: Any = stage.remote._flights["a"].over
    return len(over._cond._waiters)


def test_who_needs_a_newer_one_does_not_join_an_earlier() -> None:
    """The age of evidence counts from the start of its fetch, for joiners too."""
    stage = Stage(slots=3)
    with ThreadPoolExecutor(2) as pool:
        early = pool.submit(stage.fetch)
        assert stage.begun.acquire(timeout=PATIENCE)
        stage.clock.advance(10)
        needed = Instant(stage.clock.instant - 5)
        late = pool.submit(stage.remote.fetch, "a", stage.job, PATIENCE, needed)
        assert stage.begun.acquire(timeout=PATIENCE)
        stage.gate.set()
        assert {early.result(), late.result()} == {Fetched.DONE}
    assert stage.began == [stage.clock.instant - 10, stage.clock.instant]
    assert stage.remote._flights == {}


def test_who_waits_leaves_at_his_own_time_and_the_answer_is_kept_all_the_same() -> None:
    """The fetch goes on; its outcome is counted."""
    stage = Stage()
    assert stage.fetch(timeout=0.01) is Fetched.UNAVAILABLE
    assert stage.outcomes == []
    stage.gate.set()
    assert stage.counted.acquire(timeout=PATIENCE)
    assert stage.outcomes == [Fetched.DONE]


def test_the_next_is_told_at_once_when_all_slots_are_taken() -> None:
    """Neither a fetch nor a place to wait is left, also when those who asked for the fetches have gone."""
    stage = Stage(slots=2)
    for key in "ab":
        assert stage.fetch(key, timeout=0.01) is Fetched.UNAVAILABLE
        assert stage.begun.acquire(timeout=PATIENCE)
    assert stage.fetch("c", timeout=PATIENCE) is Fetched.UNAVAILABLE
    assert len(stage.began) == 2
    stage.gate.set()
    for _ in "ab":
        assert stage.counted.acquire(timeout=PATIENCE)
    assert stage.fetch("c") is Fetched.DONE


def test_waiting_places_are_bounded_too() -> None:
    """Joining costs a thread that decides."""
    stage = Stage(slots=1)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(stage.fetch)
        assert stage.begun.acquire(timeout=PATIENCE)
        assert stage.fetch(timeout=PATIENCE) is Fetched.UNAVAILABLE
        stage.gate.set()
        assert first.result() is Fetched.DONE


@pytest.mark.parametrize("error", [FetchError("down"), ValueError("nobody foresaw this"), OSError(5, "io")])
def test_whatever_goes_wrong_is_unavailable_and_counted(error: Exception) -> None:
    """And the slot is free again."""
    stage = Stage(slots=1)

    def job(_: Instant) -> None:
        raise error

    for _ in range(2):
        assert stage.fetch(job=job) is Fetched.UNAVAILABLE
    for _ in range(2):
        assert stage.counted.acquire(timeout=PATIENCE)
    assert stage.outcomes == [Fetched.UNAVAILABLE] * 2


def test_a_failing_remote_is_left_alone_and_comes_back_without_a_restart() -> None:
    """While it is open nothing is asked; afterwards one probe, and then everybody."""
    stage = Stage()
    for _ in range(FAILURES):
        assert stage.fetch(job=fail) is Fetched.UNAVAILABLE
    stage.gate.set()
    assert stage.fetch() is Fetched.UNAVAILABLE
    assert stage.began == []
    stage.clock.advance(FIRST_PAUSE)
    assert stage.fetch() is Fetched.DONE
    assert stage.breaker.state is State.CLOSED


def test_who_is_not_admitted_takes_no_slot_and_no_probe() -> None:
    """Joining needs no admission, a new fetch does."""
    stage = Stage(slots=1)
    stage.gate.set()
    for _ in range(3):
        assert stage.remote.fetch("a", stage.job, PATIENCE, admit=lambda: False) is Fetched.UNAVAILABLE
    assert stage.began == []
    for _ in range(FAILURES):
        stage.fetch(job=fail)
    stage.clock.advance(FIRST_PAUSE)
    assert stage.remote.fetch("a", stage.job, PATIENCE, admit=lambda: False) is Fetched.UNAVAILABLE
    assert stage.remote.fetch("a", stage.job, PATIENCE, admit=lambda: True) is Fetched.DONE


def test_without_a_thread_it_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine is out of threads; the slot is given back."""
    stage = Stage(slots=1)
    stage.gate.set()

    def start(_: threading.Thread) -> None:
        message = "can't start new thread"
        raise RuntimeError(message)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        assert stage.fetch() is Fetched.UNAVAILABLE
    assert stage.fetch() is Fetched.DONE
