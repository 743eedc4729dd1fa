"""The pool that knows how many calls wait."""

from __future__ import annotations

import threading
import weakref
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from extauthz.clock import SystemClock
from extauthz.server.pool import DecisionPool, Ticket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS = 10.0


@pytest.fixture
def pool() -> Iterator[DecisionPool]:
    """Return a pool of one thread in which one call may wait."""
    pool = DecisionPool(threads=1, backlog=1, clock=SystemClock())
    pool.start()
    yield pool
    pool.shutdown()


def submit(pool: DecisionPool, call: Callable[[], Any]) -> SimpleQueue[Any]:
    """Hand a call over and return where its result comes."""
    results: SimpleQueue[Any] = SimpleQueue()
    pool.submit(lambda: results.put(call()))
    return results


def run(pool: DecisionPool, call: Callable[[], Any]) -> Any:
    """Return the result of a call that went through the pool."""
    return submit(pool, call).get(timeout=SECONDS)


def test_a_call_beyond_the_backlog_runs_at_once_and_knows_it(pool: DecisionPool) -> None:
    """One runs, one waits, the third is told that it is too many, while the first still runs."""
    started, release = threading.Event(), threading.Event()

    def block() -> Ticket:
        started.set()
        release.wait(SECONDS)
        return pool.ticket

    running = submit(pool, block)
    started.wait(SECONDS)
    waiting = submit(pool, lambda: pool.ticket)
    assert pool.pending == 1
    assert run(pool, lambda: pool.ticket).beyond_backlog
    assert running.empty()
    release.set()
    assert not running.get(timeout=SECONDS).beyond_backlog
    assert not waiting.get(timeout=SECONDS).beyond_backlog
    assert pool.pending == 0


def test_a_ticket_says_how_long_the_call_waited() -> None:
    """Time in the queue counts against the deadline."""

    class Stopwatch(SystemClock):
        seconds = 0.0

        def monotonic(self) -> float:
            self.seconds += 1.5
            return self.seconds

    pool = DecisionPool(threads=1, backlog=1, clock=Stopwatch())
    pool.start()
    assert run(pool, lambda: pool.ticket) == Ticket(waited=1.5)
    pool.shutdown()


@pytest.mark.parametrize("failure", [ZeroDivisionError, SystemExit, KeyboardInterrupt])
def test_a_failure_leaves_the_thread_to_the_next_call(pool: DecisionPool, failure: type[BaseException]) -> None:
    """Whatever it is; and it is told, because nobody waits for it."""

    def fail() -> None:
        raise failure

    with structlog.testing.capture_logs() as logged:
        pool.submit(fail)
        assert pool.has_turned(SECONDS)  # Behind it; another call could be one too many, and overtake it.
    assert run(pool, lambda: 7) == 7
    assert [(event["event"], event["log_level"]) for event in logged] == [("call failed", "error")]


def test_what_is_handed_over_is_done_for_whoever_hands_it_over(pool: DecisionPool) -> None:
    """The transport counts calls by it and waits for none."""
    release = threading.Event()
    told: list[object] = []
    pool.submit(release.wait, SECONDS).add_done_callback(told.append)
    assert len(told) == 1
    release.set()


def test_a_question_does_not_stay_in_memory_until_the_next_one(pool: DecisionPool) -> None:
    """It holds a token, and the next one may not come for hours."""

    class Question:
        pass

    question = Question()
    seen = weakref.ref(question)
    done = threading.Event()
    pool.submit(lambda _: None, question)
    weakref.finalize(question, done.set)
    del question
    assert done.wait(SECONDS)
    assert seen() is None


def test_what_was_handed_over_runs_before_the_threads_end() -> None:
    """On both kinds of threads; and a pool that was never started ends at once."""
    pool = DecisionPool(threads=1, backlog=2, clock=SystemClock())
    ran: list[int] = []
    for number in range(4):
        pool.submit(ran.append, number)
    pool.shutdown()
    assert ran == []
    pool = DecisionPool(threads=1, backlog=2, clock=SystemClock())
    for number in range(4):
        pool.submit(ran.append, number)
    pool.start()
    pool.shutdown()
    assert sorted(ran) == [0, 1, 2, 3]


def test_outside_a_call_there_is_an_ordinary_ticket(pool: DecisionPool) -> None:
    """A handler that runs elsewhere, in a test for instance, is not refused."""
    assert pool.ticket == Ticket()


def test_a_pool_that_hangs_is_told_from_one_that_is_busy(pool: DecisionPool) -> None:
    """What waits is worked off first, also beyond the backlog; nobody comes back from a decision that hangs."""
    assert pool.has_turned(SECONDS)
    started, release = threading.Event(), threading.Event()

    def hang() -> None:
        started.set()
        release.wait(SECONDS)

    pool.submit(hang)
    started.wait(SECONDS)
    pool.submit(lambda: None)
    assert not pool.has_turned(0.05)
    release.set()
    assert pool.has_turned(SECONDS)
