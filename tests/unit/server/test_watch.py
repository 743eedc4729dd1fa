"""The thread that looks at files."""

from __future__ import annotations

import threading

from extauthz.server.watch import Watcher

SECONDS = 10.0


def test_it_looks_at_intervals() -> None:
    """More than once."""
    seen = threading.Semaphore(0)
    watcher = Watcher(0.001, seen.release)
    watcher.start()
    assert all(seen.acquire(timeout=SECONDS) for _ in range(3))
    watcher.stop()


def test_without_an_interval_it_looks_only_when_woken() -> None:
    """`policy_reload: 0` leaves SIGHUP."""
    seen = threading.Semaphore(0)
    watcher = Watcher(0, seen.release)
    watcher.start()
    assert not seen.acquire(timeout=0.01)
    watcher.wake()
    assert seen.acquire(timeout=SECONDS)
    watcher.stop()


def test_a_look_that_fails_ends_neither_the_others_nor_the_watching() -> None:
    """It is called again the next time."""
    seen = threading.Semaphore(0)
    calls = []

    def fail() -> None:
        calls.append(1)
        raise RuntimeError

    watcher = Watcher(0.001, fail, seen.release)
    watcher.start()
    assert all(seen.acquire(timeout=SECONDS) for _ in range(2))
    watcher.stop()
    assert len(calls) > 1


def test_stopping_without_having_started_is_harmless() -> None:
    """A start that failed halfway stops everything."""
    Watcher(1.0).stop()
