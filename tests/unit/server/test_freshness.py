"""How old what we know may be: by both clocks, and by every stream that reports about somebody."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

from extauthz.clock import Instant, SystemClock
from extauthz.config.settings import Settings
from extauthz.model.standing_facts import Risk, RiskLevel
from extauthz.model.state import FRESH_STATE, fresh_signals
from extauthz.server.freshness import Expected, Freshness, expected_streams
from extauthz.server.nameepochs import NameEpochs
from extauthz.state.beat import Beat
from extauthz.state.signals import StreamHeard
from tests.simulators.clock import ManualClock
from tests.simulators.tokens import ISSUER, NOW

if TYPE_CHECKING:
    from collections.abc import Callable

OTHER = "https://other.example"
ENDLESS = Instant(float("inf"))


def heard_of(name: str, ago: float | None, status: str = "") -> dict[str, StreamHeard]:
    """Return when a stream was heard."""
    at = None if ago is None else Instant(NOW - ago)
    return {name: StreamHeard(name=name, heard_at=at, status=status)}


def freshness(*streams: Expected, clock: ManualClock | None = None) -> Freshness:
    """Return freshness by a clock that stands still, with a beat just now."""
    clock = clock or ManualClock()
    found = Freshness(clock, 5.0, streams)
    found._beat = Beat(clock.now(), clock.boot())
    return found


@pytest.mark.parametrize(
    ("wall", "boot", "fresh"),
    [
        (0, 0, True),
        (5, 5, True),
        (5.1, 5.1, False),
        (0, 5.1, False),
        (5.1, 0, False),
        (-1, -1, True),
        (-1.1, 0, False),
        (0, -1.1, False),
        (3600, 0, False),
        (-3600, 0, False),
    ],
)
def test_a_beat_is_fresh_by_both_clocks(wall: float, boot: float, fresh: bool) -> None:
    """One that was set, and one that began anew with the machine, show by the other."""
    clock = ManualClock()
    found = freshness(clock=clock)
    clock.instant += wall
    clock.booted += boot
    assert found.is_state_fresh(clock.now()) is fresh


def test_what_was_noticed_to_be_stale_is_not_fresh_for_an_earlier_instant(next_epoch: Callable[[], int]) -> None:
    """Else a decision that began before the end would be kept under the epoch of the time after it."""
    clock = ManualClock()
    found = freshness(Expected("idp", frozenset({ISSUER}), max_silence=5.0), clock=clock)
    found._heard = heard_of("idp", 0)
    before = Instant(clock.now() + 4.9)
    assert found.are_signals_fresh(ISSUER, before)
    clock.instant += 5.1  # The wall clock is slewed; by the other one the beat is fresh.
    clock.booted += 4.9
    found.notice(next_epoch)
    assert not found.is_state_fresh(before)
    assert not found.are_signals_fresh(ISSUER, before)


def test_without_a_beat_nothing_is_fresh() -> None:
    """As in a file that nobody has kept up yet."""
    assert not Freshness(ManualClock(), 5.0).is_state_fresh(NOW)


@pytest.mark.parametrize(
    ("ago", "status", "fresh"),
    [
        (0, "", True),
        (60, "enabled", True),
        (60.1, "", False),
        (-1, "", True),
        (-1.1, "", False),
        (None, "", False),
        (0, "paused", False),
        (0, "disabled", False),
    ],
)
def test_a_stream_is_heard_or_it_is_not(ago: float | None, status: str, fresh: bool) -> None:
    """Within its time, and as long as its transmitter says that it goes on."""
    found = freshness(Expected("idp", frozenset({ISSUER}), max_silence=60.0))
    found._heard = heard_of("idp", ago, status)
    assert found.are_signals_fresh(ISSUER, NOW) is fresh
    assert found.are_signals_fresh(OTHER, NOW)


def test_a_stream_of_any_silence_is_missed_only_when_it_is_said_to_be_off() -> None:
    """One that was never heard may have nothing to say."""
    found = freshness(Expected("idp", frozenset({ISSUER})))
    assert found.are_signals_fresh(ISSUER, NOW)
    found._heard = heard_of("idp", 1e6)
    assert found.are_signals_fresh(ISSUER, NOW)
    found._heard = heard_of("idp", 0, "paused")
    assert not found.are_signals_fresh(ISSUER, NOW)


def test_every_stream_about_an_issuer_has_to_be_heard() -> None:
    """Each may be the one that would have reported."""
    streams = [Expected(name, frozenset({ISSUER}), max_silence=60.0) for name in ("idp", "mdm")]
    found = freshness(*streams)
    found._heard = heard_of("idp", 1)
    assert not found.are_signals_fresh(ISSUER, NOW)
    found._heard = heard_of("idp", 1) | heard_of("mdm", 1)
    assert found.are_signals_fresh(ISSUER, NOW)


def test_what_is_assumed_holds_while_its_stream_is_heard() -> None:
    """Until it would not be any more; of several the one that assumes most counts."""
    low = Expected("idp", frozenset({ISSUER}), max_silence=60.0, assumed_risk=RiskLevel.LOW)
    medium = Expected("mdm", frozenset({ISSUER}), assumed_risk=RiskLevel.MEDIUM)
    found = freshness(low, Expected("other", frozenset({ISSUER})))
    assert found.find_assumed_risk(ISSUER, NOW) is None
    found._heard = heard_of("idp", 10)
    assert found.find_assumed_risk(ISSUER, NOW) == Risk(score=0, level=RiskLevel.LOW, until=Instant(NOW + 50))
    assert found.find_assumed_risk(OTHER, NOW) is None
    both = freshness(low, medium)
    both._heard = heard_of("idp", 10)
    assert both.find_assumed_risk(ISSUER, NOW) == Risk(score=50, level=RiskLevel.MEDIUM, until=ENDLESS)


@pytest.fixture
def next_epoch() -> Callable[[], int]:
    """Return what gives epochs out."""
    return count(1).__next__


def test_freshness_that_comes_and_goes_never_has_an_epoch_twice(next_epoch: Callable[[], int]) -> None:
    """And keeps the one that it has while nothing changes."""
    clock = ManualClock()
    found = freshness(Expected("idp", frozenset({ISSUER}), max_silence=60.0), clock=clock)
    found.begin(next_epoch())
    seen: list[tuple[int, int]] = []
    for step in range(6):
        if step % 2 == 0:
            found._beat = Beat(clock.now(), clock.boot())
            found._heard = {"idp": StreamHeard(name="idp", heard_at=clock.now())}
        else:
            clock.advance(61)
        for _ in range(2):
            found.notice(next_epoch)
        seen.append((found.epoch(FRESH_STATE.of), found.epoch(fresh_signals(ISSUER).of)))
    assert len(set(seen)) == 6
    assert len({state for state, _ in seen}) == len({signals for _, signals in seen}) == 6
    assert {found.epoch(fresh_signals(OTHER).of)} == {1}


def test_one_that_changes_leaves_the_other_alone(next_epoch: Callable[[], int]) -> None:
    """What rests on signals does not end with every hiccup of the state."""
    clock = ManualClock()
    found = freshness(Expected("idp", frozenset({ISSUER})), clock=clock)
    found.notice(next_epoch)
    signals = found.epoch(fresh_signals(ISSUER).of)
    clock.advance(6)
    found.notice(next_epoch)
    assert found.epoch(fresh_signals(ISSUER).of) == signals
    assert found.epoch(FRESH_STATE.of) != signals


def test_settings_say_what_is_expected_of_streams() -> None:
    """By name, with the baseline that only they can set."""
    stream = {
        "name": "idp",
        "issuer": "https://idp.example",
        "keys": {"url": "https://idp.example/keys"},
        "audience": "us",
        "poll": {"url": "https://idp.example/poll"},
        "authority": {"issuers": [ISSUER], "events": ["session-revoked"]},
    }
    issuers = [{"issuer": ISSUER, "keys": {"url": "https://issuer.example/keys"}}]
    streams = [stream | {"max_silence": "1m", "assumed_risk": "low"}, stream | {"name": "second"}]
    given = {"policy": ["p.yaml"], "issuers": issuers, "state": {"memory": True}, "signals": {"streams": streams}}
    assert expected_streams(Settings.model_validate(given)) == (
        Expected("idp", frozenset({ISSUER}), max_silence=60.0, assumed_risk=RiskLevel.LOW),
        Expected("second", frozenset({ISSUER})),
    )


def test_the_machine_counts_from_its_start_for_all_processes_alike() -> None:
    """By a clock that no process of ours can set."""
    first = SystemClock().boot()
    assert 0 < first <= SystemClock().boot()


def test_names_that_changed_have_epochs_of_their_own() -> None:
    """All others have that of the beginning."""
    epochs = NameEpochs()
    epochs.begin(3, 10)
    epochs.go_on(5, ["a"], 11)
    assert (epochs.number, epochs.epoch("a"), epochs.epoch("b")) == (5, 11, 10)
    epochs.go_on(6, None, 12)
    assert (epochs.number, epochs.epoch("a"), epochs.epoch("b")) == (6, 12, 12)
