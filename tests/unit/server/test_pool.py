"""The pool that knows how many calls wait."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from extauthz.clock import SystemClock
from extauthz.server.pool import DecisionPool, Ticket

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 10.0


@pytest.fixture
def pool() -> Iterator[DecisionPool]:
    """Return a pool of one thread in which one call may wait."""
    pool = DecisionPool(threads=1, backlog=1, clock=SystemClock())
    yield pool
    pool.shutdown()


def test_a_call_beyond_the_backlog_runs_at_once_and_knows_it(pool: DecisionPool) -> None:
    """One runs, one waits, the third is told that it is too many, while the first still runs."""
    started, release = threading.Event(), threading.Event()

    def block() -> Ticket:
        started.set()
        release.wait(SECONDS)
        return pool.ticket

    running = pool.submit(block)
    started.wait(SECONDS)
    waiting = pool.submit(lambda: pool.ticket)
    assert pool.pending == 1
    refused = pool.submit(lambda: pool.ticket).result(SECONDS)
    assert refused == Ticket(beyond_backlog=True)
    assert not running.done()
    release.set()
    assert not running.result(SECONDS).beyond_backlog
    assert not waiting.result(SECONDS).beyond_backlog
    assert pool.pending == 0


def test_a_ticket_says_how_long_the_call_waited() -> None:
    """Time in the queue counts against the deadline."""

    class Stopwatch(SystemClock):
        seconds = 0.0

        def monotonic(self) -> float:
            self.seconds += 1.5
            return self.seconds

    pool = DecisionPool(threads=1, backlog=1, clock=Stopwatch())
    assert pool.submit(lambda: pool.ticket).result(SECONDS) == Ticket(waited=1.5)
    pool.shutdown()


def test_a_failure_reaches_the_caller_and_leaves_the_pool_usable(pool: DecisionPool) -> None:
    """As with every pool."""
    with pytest.raises(ZeroDivisionError):
        pool.submit(lambda: 1 // 0).result(SECONDS)
    assert pool.submit(lambda: 7).result(SECONDS) == 7


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
