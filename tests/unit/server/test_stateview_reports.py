"""What the view of the state says besides what was taken away: alarms, streams, and the risk that is assumed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from extauthz.clock import Instant
from extauthz.model.standing_facts import Risk, RiskLevel
from extauthz.model.state import StateName
from extauthz.server.freshness import Expected, Freshness
from extauthz.server.stateview import StateView
from tests.simulators.clock import ManualClock
from tests.simulators.statefile import STALENESS, StateFile, restriction, subject
from tests.simulators.tokens import ISSUER, NOW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

A = subject("a")
POSTURE = StateName("posture", "device d")


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that stands still."""
    return ManualClock()


@pytest.fixture
def file(tmp_path: Path, clock: ManualClock) -> Iterator[StateFile]:
    """Yield a state file."""
    file = StateFile(tmp_path / "state.db", clock)
    yield file
    file.close()


def test_alarms_are_told(file: StateFile, clock: ManualClock) -> None:
    """A row that was lifted without our key counts as in force, a fact without our key as unknown."""
    told: list[str] = []
    view = StateView(file.path, file.key, clock, Freshness(clock, STALENESS), told.append)
    file.restrict(restriction(A))
    file.put(POSTURE, {"compliant": False, "observed_at": NOW})
    file.forge("UPDATE restrictions SET in_force = 0")
    file.forge("UPDATE facts SET value = ?", '{"compliant": true, "observed_at": 1.0}')
    view.freshen()
    assert view.find_restrictions([A], NOW)
    assert view.find_state(POSTURE, NOW) is None
    assert told == ["forged_row", "forged_row"]
    clock.instant += 10
    view.freshen()
    assert told[2:] == ["clock_jump"]
    view.close()


def test_streams_are_as_the_file_says_now(file: StateFile, clock: ManualClock) -> None:
    """For decisions about callers of their issuers, and by name for people."""
    view = file.view(Expected("idp", frozenset({ISSUER}), max_silence=60.0))
    assert not view.are_signals_fresh(ISSUER, clock.now())
    assert view.silent_streams() == ("idp",)
    file.hear("idp")
    assert view.silent_streams() == ()
    assert view.are_signals_fresh(ISSUER, clock.now())
    assert view.are_signals_fresh("https://other.example", clock.now())
    view.close()


def test_the_risk_of_whom_nobody_reports_is_what_is_assumed(file: StateFile) -> None:
    """For callers of the stream's issuers; what is stated about somebody counts instead."""
    view = file.view(Expected("idp", frozenset({ISSUER}), assumed_risk=RiskLevel.LOW))
    somebody = StateName("risk", f"{ISSUER} somebody")
    assert view.find_state(somebody, NOW) == Risk(score=0, level=RiskLevel.LOW, until=Instant(float("inf")))
    assert view.find_state(StateName("risk", "https://other.example somebody"), NOW) is None
    file.put(somebody, {"score": 70, "level": "high", "until": NOW + 60})
    view.freshen()
    assert view.find_state(somebody, NOW) == Risk(score=70, level=RiskLevel.HIGH, until=Instant(NOW + 60))
    view.close()
