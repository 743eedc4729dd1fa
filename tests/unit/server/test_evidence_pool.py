"""The pool that says when it has enough."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest

from extauthz.server.evidence_pool import EvidencePool
from tests.integration.running import seconds_of_patience

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 10.0


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Return what jobs wait for; open at the end, so that no thread is left."""
    gate = threading.Event()
    yield gate
    gate.set()


def test_it_takes_as_many_as_it_has_threads_and_places(gate: threading.Event) -> None:
    """No more, and again as many when those are done."""

    def block() -> None:
        gate.wait(SECONDS)

    pool = EvidencePool(threads=2, backlog=1)
    taken = [pool.submit(block) for _ in range(5)]
    assert taken == [True, True, True, False, False]
    gate.set()
    pool.drain(SECONDS)
    assert pool.submit(lambda: None)
    pool.shutdown()


def test_draining_waits_for_all_but_not_for_ever(gate: threading.Event) -> None:
    """It returns with the last job, or when its time is over."""
    pool = EvidencePool(threads=1, backlog=9)
    done: list[int] = []

    def note(number: int) -> None:
        gate.wait(SECONDS)
        done.append(number)

    for number in range(3):
        pool.submit(partial(note, number))
    pool.drain(0.0)
    assert done == []
    gate.set()
    pool.drain(SECONDS)
    assert done == [0, 1, 2]
    pool.shutdown()


def test_a_failing_job_makes_room_like_any_other() -> None:
    """A place that is never given back would be a slow death."""

    def fail() -> None:
        raise RuntimeError

    pool = EvidencePool(threads=1, backlog=0)
    for _ in range(3):
        assert pool.submit(fail)
        pool.drain(SECONDS)
    pool.shutdown()


def test_the_end_drops_what_still_waits(gate: threading.Event) -> None:
    """And waits for what is under way."""
    pool, began, ended = EvidencePool(threads=1, backlog=9), threading.Event(), []

    def work() -> None:
        began.set()
        gate.wait(SECONDS)
        ended.append(1)

    for _ in range(3):
        pool.submit(work)
    assert began.wait(SECONDS)
    ending = threading.Thread(target=pool.shutdown)
    ending.start()
    # Two wait; when they are dropped nothing does but what tells the thread to end.
    seconds_of_patience(lambda: pool._threads._work_queue.qsize() == 1)
    gate.set()
    ending.join(SECONDS)
    assert ended == [1]
