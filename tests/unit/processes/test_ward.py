"""One child over all of its lives: real processes, and a clock that is moved by hand where patience is tested."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from extauthz.config.settings import Settings
from extauthz.processes import ward as ward_module
from extauthz.processes.handover import Handover, nameless_file
from extauthz.processes.ward import Pace, Ward, _environment
from tests.integration.running import seconds_of_patience
from tests.simulators.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRAM = "tests.simulators.child_program"
PACE = Pace(ping_every=1, patience=5, start_within=60, first_pause=1, longest_pause=4, steady_after=30)


@pytest.fixture(autouse=True)
def _long_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let processes that have hung up end by themselves, however long they take for it on a crowded machine."""
    monkeypatch.setattr(ward_module, "LAST_WORDS_SECONDS", 60.0)


@contextmanager
def ward(behaviour: str) -> Iterator[tuple[Ward, ManualClock]]:
    """Yield a ward whose child behaves so, and its clock."""
    clock = ManualClock()
    settings = Settings.model_validate({"policy": [behaviour]})
    with nameless_file("turn") as turn:
        told = Handover(kind="keeper", settings=settings, parent=0, channel=0, turn=turn.fileno())
        looked_after = Ward(told, PACE, clock, environment=os.environ, program=PROGRAM)
        try:
            yield looked_after, clock
        finally:
            looked_after.kill()


def tick_until(looked_after: Ward, reached: Callable[[], object]) -> None:
    """Tick until it is so; the clock stands still meanwhile."""

    def look() -> object:
        looked_after.tick()
        return reached()

    seconds_of_patience(look)


def has_changed(looked_after: Ward, metrics: str) -> bool:
    """Return whether there was an answer since."""
    return looked_after.metrics != metrics


def pid_of(looked_after: Ward) -> int:
    """Return the process id of a child that runs."""
    assert looked_after.pid is not None
    return looked_after.pid


def test_a_child_that_answers_is_left_alone() -> None:
    """Ping after ping, for as long as it likes."""
    with ward("good") as (good, clock):
        assert (good.is_gone, good.ready) == (True, False)
        tick_until(good, lambda: good.ready)
        pid = pid_of(good)
        for _ in range(5):
            clock.advance(1)
            tick_until(good, partial(has_changed, good, good.metrics))
        assert (good.pid, good.restarts, good.is_up) == (pid, {}, True)


def test_an_unanswered_ping_ends_the_child_and_starts_another() -> None:
    """It looks alive to everybody else; a stopped process is killed too."""
    with ward("mute") as (mute, clock):
        tick_until(mute, lambda: mute.ready)
        pid = pid_of(mute)
        os.kill(pid, signal.SIGSTOP)
        clock.advance(1)
        mute.tick()  # The ping.
        clock.advance(4.9)
        mute.tick()
        assert mute.pid == pid
        clock.advance(0.1)
        mute.tick()
        assert (mute.is_gone, mute.ready, mute.restarts) == (True, False, {"unanswered": 1})
        assert mute.exit_code == -signal.SIGKILL
        clock.advance(1)
        tick_until(mute, lambda: mute.ready)
        assert mute.pid != pid


def test_pauses_double_to_a_bound_and_are_short_again_after_a_while() -> None:
    """A child that fails at once does not keep a core busy; one that has lived is started soon."""
    with ward("good") as (good, clock):
        for pause in (1, 2, 4, 4):
            tick_until(good, lambda: good.ready)
            os.kill(pid_of(good), signal.SIGKILL)
            tick_until(good, lambda: good.is_gone)
            clock.advance(pause - 0.01)
            good.tick()
            assert good.is_gone
            clock.advance(0.01)
        tick_until(good, lambda: good.ready)
        clock.advance(30)
        os.kill(pid_of(good), signal.SIGKILL)
        tick_until(good, lambda: good.is_gone)
        clock.advance(1)
        good.tick()
        assert not good.is_gone
        assert good.restarts == {"ended": 5}


def test_a_child_that_does_not_come_up_is_started_anew() -> None:
    """Not before its time."""
    with ward("late") as (late, clock):
        late.tick()
        clock.advance(59.9)
        late.tick()
        assert not late.is_gone
        clock.advance(0.1)
        late.tick()
        assert (late.is_gone, late.restarts) == (True, {"late": 1})


@pytest.mark.parametrize(("behaviour", "code"), [("broken", 2), ("short", 0), ("hanging", -signal.SIGKILL)])
def test_a_child_that_ends_or_hangs_up_is_noticed_with_its_code(
    behaviour: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that hangs up and lives on would never hear that its supervisor is gone."""
    if behaviour == "hanging":
        monkeypatch.setattr(ward_module, "LAST_WORDS_SECONDS", 0.5)
    with ward(behaviour) as (child, _):
        tick_until(child, lambda: child.restarts)
        assert (child.exit_code, child.restarts) == (code, {"ended": 1})


def test_an_unready_child_stays() -> None:
    """What it lacks would not come with a restart."""
    with ward("unready") as (unready, _):
        tick_until(unready, lambda: unready.metrics)
        assert (unready.is_up, unready.ready, unready.why_not) == (True, False, "no policy")
        assert unready.silent_streams == ("idp",)


def test_a_child_ends_when_told_and_is_not_started_again() -> None:
    """Its code is its own; whoever was never started is gone already."""
    with ward("good") as (good, clock):
        tick_until(good, lambda: good.ready)
        good.stop(10)
        tick_until(good, lambda: good.is_gone)
        clock.advance(100)
        good.tick()
        assert (good.is_gone, good.exit_code, good.restarts) == (True, 0, {})
    with ward("good") as (never, _):
        never.stop(10)
        never.reload()
        never.tick()
        assert (never.is_gone, never.channel, never.pid) == (True, None, None)


def test_a_child_that_is_not_up_yet_is_not_waited_for() -> None:
    """A server that is told to stop while it starts does so at once."""
    with ward("late") as (late, _):
        late.tick()
        late.stop(10)
        assert (late.is_gone, late.exit_code) == (True, -signal.SIGKILL)


def test_a_child_that_does_not_end_in_time_is_killed() -> None:
    """A drain has a bound."""
    with ward("deaf") as (deaf, clock):
        tick_until(deaf, lambda: deaf.ready)
        deaf.stop(10)
        deaf.tick()
        assert not deaf.is_gone
        clock.advance(10)
        deaf.tick()
        assert (deaf.is_gone, deaf.exit_code) == (True, -signal.SIGKILL)


def test_a_worker_comes_back_where_it_was() -> None:
    """Also at a port that the system chose."""
    with ward("good") as (good, clock):
        tick_until(good, lambda: good.ready)
        report = good.report
        os.kill(pid_of(good), signal.SIGKILL)
        tick_until(good, lambda: good.is_gone)
        clock.advance(1)
        tick_until(good, lambda: good.ready)
        assert report is not None
        assert good.report == report


def test_a_child_sees_our_search_path_and_no_settings() -> None:
    """Secrets that came by the environment go on in the handover alone."""
    ours = {"EXTAUTHZ__PROXIES": "[secret]", "extauthz__mode": "observe", "PATH": "/bin"}
    theirs = _environment(ours)
    assert set(theirs) == {"PATH", "PYTHONPATH"}
    assert str(Path(__file__).parents[3]) in theirs["PYTHONPATH"].split(os.pathsep)
    assert "" not in theirs["PYTHONPATH"].split(os.pathsep)
