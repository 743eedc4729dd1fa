"""Confirmations: everybody is asked, nobody is waited for beyond the bound, and only new answers count."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from extauthz.clock import SystemClock
from extauthz.keeper.confirmations import Confirmations, Confirmed

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from extauthz.keeper.confirmations import Confirmer

PATIENCE = 10.0
SHORT = 1.0
"""Seconds that are waited in vain for one, and are enough for the others."""


@contextmanager
def asking(**confirmers: Confirmer) -> Iterator[Confirmations]:
    """Yield running confirmations."""
    confirmations = Confirmations(confirmers, SystemClock())
    confirmations.start()
    try:
        yield confirmations
    finally:
        confirmations.stop()


def fails(_: float) -> int:
    """Do not answer."""
    message = "gone"
    raise OSError(message)


def test_all_confirm() -> None:
    """Who has seen more has seen it too."""
    with asking(a=lambda _: 7, b=lambda _: 8) as confirmations:
        assert confirmations.answers == {"a": None, "b": None}
        assert confirmations.confirm(7, PATIENCE) == Confirmed(2, 2)
        assert confirmations.answers == {"a": 7, "b": 8}


def test_nobody_is_everybody_where_there_is_nobody() -> None:
    """Without workers there is nothing to wait for."""
    with asking() as confirmations:
        assert confirmations.confirm(7, PATIENCE) == Confirmed(0, 0)


def test_one_that_fails_is_missing() -> None:
    """After the bound, and the others count."""
    with asking(a=lambda _: 7, b=fails) as confirmations:
        assert confirmations.confirm(7, SHORT) == Confirmed(1, 2, ("b",))
        assert confirmations.answers == {"a": 7, "b": None}


def test_one_that_lags_is_asked_again() -> None:
    """Until it has seen it."""
    numbers = iter([5, 6, 7, 8, 9])
    with asking(a=lambda _: next(numbers)) as confirmations:
        assert confirmations.confirm(7, PATIENCE) == Confirmed(1, 1)
        assert next(numbers) == 8


def test_one_that_never_gets_there_is_missing() -> None:
    """A worker on another file, for example."""
    with asking(a=lambda _: 6) as confirmations:
        assert confirmations.confirm(7, SHORT) == Confirmed(0, 1, ("a",))
        assert confirmations.confirm(6, PATIENCE) == Confirmed(1, 1)


def test_one_that_comes_back_confirms() -> None:
    """While somebody still waits."""

    def says(_: float) -> int:
        return 7

    answers: Iterator[Confirmer] = iter([fails, fails, says])

    def comes_back(timeout: float) -> int:
        return next(answers)(timeout)

    with asking(a=comes_back) as confirmations:
        assert confirmations.confirm(7, PATIENCE) == Confirmed(1, 1)


def test_only_what_is_said_afterwards_counts() -> None:
    """An answer under way may be older than the change; and a restored file has lower numbers."""
    begun, go_on = threading.Event(), threading.Event()
    numbers = iter([9, 3, 3, 9])

    def slow(_: float) -> int:
        begun.set()
        assert go_on.wait(PATIENCE)
        return next(numbers)

    with asking(a=slow) as confirmations:
        first = threading.Thread(target=confirmations.confirm, args=(9, PATIENCE))
        first.start()
        assert begun.wait(PATIENCE)
        late: list[Confirmed] = []
        second = threading.Thread(target=lambda: late.append(confirmations.confirm(9, PATIENCE)))
        second.start()
        with confirmations._lock:
            assert confirmations._lock.wait_for(lambda: len(confirmations._waiting) == 2, PATIENCE)
        go_on.set()
        first.join(PATIENCE)
        second.join(PATIENCE)
        assert late == [Confirmed(1, 1)]
        assert list(numbers) == []


def test_a_hanging_worker_holds_up_nobody_beyond_the_bound() -> None:
    """Also those who come while it hangs."""
    hang = threading.Event()

    def hangs(_: float) -> int:
        hang.wait(PATIENCE)
        return 0

    with asking(a=hangs, b=lambda _: 7) as confirmations:
        results: list[Confirmed] = []
        threads = [threading.Thread(target=lambda: results.append(confirmations.confirm(7, SHORT))) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert results == [Confirmed(1, 2, ("a",))] * 5
        hang.set()


def test_those_who_wait_are_served_together() -> None:
    """One answer is for all who asked before it began."""
    asked = 0
    begun, go_on = threading.Event(), threading.Event()

    def counting(_: float) -> int:
        nonlocal asked
        asked += 1
        begun.set()
        assert go_on.wait(PATIENCE)
        return 7

    with asking(a=counting) as confirmations:
        threads = [threading.Thread(target=confirmations.confirm, args=(7, PATIENCE)) for _ in range(20)]
        threads[0].start()
        assert begun.wait(PATIENCE)
        for thread in threads[1:]:
            thread.start()
        with confirmations._lock:
            assert confirmations._lock.wait_for(lambda: len(confirmations._waiting) == 20, PATIENCE)
        go_on.set()
        for thread in threads:
            thread.join(PATIENCE)
        assert asked == 2


def test_a_stop_lets_everybody_go() -> None:
    """Those who wait are told that it is not confirmed."""
    confirmations = Confirmations({"a": fails}, SystemClock())
    confirmations.start()
    results: list[Confirmed] = []
    thread = threading.Thread(target=lambda: results.append(confirmations.confirm(7, PATIENCE)))
    thread.start()
    with confirmations._lock:
        assert confirmations._lock.wait_for(lambda: bool(confirmations._waiting), PATIENCE)
    confirmations.stop()
    thread.join(PATIENCE)
    assert results == [Confirmed(0, 1, ("a",))]


def test_one_that_never_started_stops() -> None:
    """Nothing to wait for."""
    Confirmations({"a": fails}, SystemClock()).stop()


def test_each_confirmation_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """With the time that it took; a failure is logged once."""
    told: list[str] = []
    enough = threading.Semaphore(0)

    def note(worker: str, seconds: float) -> None:
        assert 0 <= seconds < PATIENCE
        told.append(worker)
        enough.release()

    answers = iter([7, None, None, 7])

    def sometimes(_: float) -> int:
        answer = next(answers)
        return answer if answer is not None else fails(_)

    confirmations = Confirmations({"a": sometimes}, SystemClock(), note)
    confirmations.start()
    confirmations.confirm(7, PATIENCE)
    confirmations.confirm(7, PATIENCE)
    assert enough.acquire(timeout=PATIENCE)
    assert enough.acquire(timeout=PATIENCE)
    confirmations.stop()
    assert told == ["a", "a"]
    assert capsys.readouterr().out.count("does not answer") == 1
