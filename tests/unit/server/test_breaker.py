"""A remote that fails is left alone, probed by one, and used again once it answers."""

from __future__ import annotations

from extauthz.server.breaker import FAILURES, FIRST_PAUSE, LONGEST_PAUSE, Breaker, State
from tests.simulators.clock import ManualClock


def broken(clock: ManualClock, jitter: float = 1.0) -> Breaker:
    """Return a breaker that has just opened."""
    breaker = Breaker(clock, lambda: jitter)
    for _ in range(FAILURES):
        assert breaker.admit()
        breaker.failed()
    return breaker


def test_it_opens_after_failures_in_a_row_and_not_before() -> None:
    """One good answer in between starts the count again."""
    breaker = Breaker(ManualClock(), lambda: 1.0)
    for _ in range(3):
        for _ in range(FAILURES - 1):
            assert breaker.admit()
            breaker.failed()
        assert breaker.state is State.CLOSED
        breaker.succeeded()
    assert broken(ManualClock()).state is State.OPEN


def test_while_it_is_open_nobody_is_let_through_and_then_one_is() -> None:
    """The probe; the others wait for what becomes of it."""
    clock = ManualClock()
    breaker = broken(clock)
    assert not breaker.admit()
    clock.advance(FIRST_PAUSE)
    assert breaker.state is State.HALF_OPEN
    assert breaker.admit()
    assert not breaker.admit()


def test_a_good_probe_closes_it() -> None:
    """Everybody is let through, and the next outage begins with a short pause again."""
    clock = ManualClock()
    breaker = broken(clock)
    clock.advance(FIRST_PAUSE)
    assert breaker.admit()
    breaker.succeeded()
    assert breaker.state is State.CLOSED
    assert breaker.admit()
    assert breaker.admit()


def test_a_bad_probe_doubles_the_pause_up_to_a_limit() -> None:
    """A remote that is down for long is asked seldom, and never too seldom."""
    clock = ManualClock()
    breaker = broken(clock)
    pause = FIRST_PAUSE
    for _ in range(12):
        clock.advance(pause * 0.99)
        assert not breaker.admit()
        clock.advance(pause * 0.02)
        assert breaker.admit()
        breaker.failed()
        pause = min(2 * pause, LONGEST_PAUSE)
    assert pause == LONGEST_PAUSE


def test_failures_of_calls_from_before_it_opened_do_not_prolong_it() -> None:
    """Slow calls that were under way come back late."""
    clock = ManualClock()
    breaker = broken(clock)
    clock.advance(FIRST_PAUSE * 0.9)
    breaker.failed()
    clock.advance(FIRST_PAUSE * 0.2)
    assert breaker.admit()


def test_pauses_are_jittered() -> None:
    """By a factor of the caller's."""
    clock = ManualClock()
    breaker = broken(clock, jitter=0.5)
    clock.advance(FIRST_PAUSE * 0.51)
    assert breaker.admit()
    factors = {Breaker(clock)._jitter() for _ in range(100)}
    assert len(factors) > 1
    assert 0.5 <= min(factors) <= max(factors) <= 1.0


def test_an_answer_that_says_nothing_about_the_remote_is_passed_over() -> None:
    """It opens nothing, mends nothing, and gives the place of the probe back."""
    clock = ManualClock()
    breaker = Breaker(clock, lambda: 1.0)
    for _ in range(FAILURES - 1):
        breaker.failed()
    for _ in range(FAILURES):
        assert breaker.admit()
        breaker.passed_over()
    breaker.failed()
    assert breaker.state is State.OPEN
    clock.advance(FIRST_PAUSE)
    assert breaker.admit()
    breaker.passed_over()
    assert breaker.admit()
    breaker.passed_over()
    assert breaker.admit()
    breaker.failed()
    clock.advance(2 * FIRST_PAUSE - 0.001)
    assert not breaker.admit()
