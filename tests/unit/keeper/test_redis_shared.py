"""Opening what machines share, and the bounds of what is believed."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, cast

import pytest
from prometheus_client import CollectorRegistry

from extauthz.clock import SystemClock
from extauthz.config.signals import SignalSettings
from extauthz.config.state import RedisSettings, StateSettings
from extauthz.errors import ConfigError, StateError
from extauthz.keeper.redis_follower import UNVERIFIED_AN_HOUR, RedisFollower
from extauthz.keeper.redis_journal import Life
from extauthz.keeper.redis_place import Place
from extauthz.keeper.redis_replicator import RedisReplicator
from extauthz.keeper.redis_rows import Trust
from extauthz.keeper.redis_shared import open_shared
from extauthz.keeper.redis_spends import RedisSpender
from extauthz.ports import SpendOutcome
from extauthz.state.spends import Order
from extauthz.telemetry.statemetrics import StateMetrics
from tests.simulators.clock import ManualClock
from tests.unit.state.spend_contract import spend

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.config.settings import Settings
    from extauthz.keeper.keeper import Keeper

REDIS = RedisSettings(url="redis://127.0.0.1:1/0")


class _With:
    """Settings of which only the state and the streams count."""

    signals = SignalSettings()

    def __init__(self, state: StateSettings | None) -> None:
        self.state = state


def opened(state: StateSettings | None) -> Any:
    """Return what is shared."""
    return open_shared(cast("Settings", _With(state)), SystemClock())


def test_what_is_shared_is_opened_where_it_is_configured(tmp_path: Path) -> None:
    """And nowhere else."""
    assert opened(None) is None
    assert opened(StateSettings(path=tmp_path / "s")) is None
    shared = opened(StateSettings(path=tmp_path / "s", redis=REDIS))
    assert isinstance(shared.replicator, RedisReplicator)
    assert isinstance(shared.spender, RedisSpender)


@pytest.mark.parametrize(("missing", "error"), [("redis", ConfigError), ("extauthz.state.spends", ModuleNotFoundError)])
def test_without_the_library_the_fix_is_named(
    monkeypatch: pytest.MonkeyPatch, missing: str, error: type[Exception]
) -> None:
    """And another thing that is missing is not taken for that."""
    for name in [name for name in sys.modules if name.startswith("extauthz.keeper.redis_")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(error, match=r"install `extauthz\[redis\]`" if error is ConfigError else missing):
        importlib.import_module("extauthz.keeper.redis_shared")


def test_before_the_start_nothing_is_known(tmp_path: Path) -> None:
    """Nor after the end; it never raises."""
    replicator = RedisReplicator(REDIS, StateSettings(path=tmp_path / "s"), SystemClock())
    replicator.publish(1)
    replicator.stop()
    assert replicator.wait_for_replicas(1, 60) == (0, 0)
    assert not replicator.in_sync()


def test_without_a_file_or_its_key_it_does_not_start(tmp_path: Path) -> None:
    """The message is for the operator."""
    nobody = cast("Keeper", None)
    with pytest.raises(StateError, match=r"set `state\.path`"):
        RedisReplicator(REDIS, StateSettings(memory=True), SystemClock()).start(nobody)
    with pytest.raises(StateError, match="restore it"):
        RedisReplicator(REDIS, StateSettings(path=tmp_path / "s"), SystemClock()).start(nobody)


def test_what_happens_is_counted() -> None:
    """Another life, and who confirmed how quickly; without metrics nothing is."""
    registry = CollectorRegistry()
    for metrics in (StateMetrics(registry), None):
        replicator = RedisReplicator(REDIS, StateSettings(memory=True), SystemClock(), metrics)
        replicator._note_new_life()
        replicator._note("b", 0.5)
    assert registry.get_sample_value("extauthz_alarms_total", {"what": "incarnation"}) == 1
    assert registry.get_sample_value("extauthz_propagation_replica_seconds_count", {"replica": "b"}) == 1


class _Alarmed:
    """The part of a keeper that is told of forged rows."""

    def __init__(self) -> None:
        self.alarms: list[str] = []

    def alarm(self, sentence: str) -> None:
        """Note it."""
        self.alarms.append(sentence)


def follower(clock: ManualClock, keeper: _Alarmed) -> RedisFollower:
    """Return a follower that does not run."""
    state = StateSettings(memory=True)
    told = cast("Keeper", keeper)
    return RedisFollower(
        REDIS,
        state,
        b"k" * 32,
        clock,
        told,
        beat=1.0,
        told_life=lambda: None,
        on_other_life=lambda: None,
        on_confirmed=lambda *_: None,
    )


def test_rows_without_a_mac_are_believed_so_often_an_hour() -> None:
    """Then again."""
    clock = ManualClock()
    each = follower(clock, _Alarmed())
    assert [each._may_believe() for _ in range(UNVERIFIED_AN_HOUR + 2)].count(True) == UNVERIFIED_AN_HOUR
    clock.advance(3601)
    assert each._may_believe()


def test_each_row_is_told_of_once() -> None:
    """As long as it is among the newest thousand or so."""
    each = follower(ManualClock(), keeper := _Alarmed())
    for _ in range(2):
        each._alarm(b"row", Trust.FORGED)
        each._alarm(b"other", Trust.NARROWS)
    assert [sentence.rpartition(": ")[2] for sentence in keeper.alarms] == [
        "it is ignored",
        "it only takes away, and stands apart",
    ]
    for number in range(2000):
        each._alarm(b"%d" % number, Trust.FORGED)
    assert len(each._alarmed) == 1024
    each._alarm(b"row", Trust.FORGED)
    assert len(keeper.alarms) == 2003


def test_orders_that_nobody_waits_for_are_not_sent() -> None:
    """Redis need not be there for that."""
    clock = ManualClock()
    spender = RedisSpender(REDIS, clock)
    assert [spent.outcome for spent in spender._take([Order((spend(),), b"q")], clock.monotonic())] == [
        SpendOutcome.UNKNOWN
    ]


def test_a_place_that_was_never_written_is_not_ours() -> None:
    """Whatever the file says."""
    place = Place(cast("Keeper", None), ManualClock(), "x")
    assert not place.is_ours(lambda *_: [(b'{"run": "x"}',)])


def test_of_two_positions_the_newer_is_asked_for_again() -> None:
    """When a worker did not answer and something newer is wanted by then."""
    each = follower(ManualClock(), _Alarmed())
    life = Life("abc", "run")
    each._want_again((life, 1, 1))
    each._want_again((life, 0, 0))
    assert each._wanted == (life, 1, 1)
