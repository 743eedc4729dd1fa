"""What one machine is told is in force on the others, and what Redis may do meanwhile. Real servers, real files."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from extauthz.clock import Instant, SystemClock
from extauthz.keeper.redis_journal import KEEP_ENTRIES, RESTRICTIONS, Journal
from extauthz.state.changes import read_numbers
from extauthz.telemetry.statemetrics import StateMetrics
from tests.simulators.machines import MAX_STALENESS, PATIENCE, Machine, revocation, running, subject

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from extauthz.model.receipt import Receipt
    from tests.simulators.redis import RedisServer

OTHER_KEY = "00" * 32
LONGER_THAN_THE_BOUND = 1.2 * MAX_STALENESS


class SleepyClock(SystemClock):
    """The clocks of a machine that slept: all but the monotonic one went on."""

    slept = 0.0

    def now(self) -> Instant:
        """Return the wall-clock time."""
        return Instant(super().now() + self.slept)

    def boot(self) -> float:
        """Return seconds since the machine started."""
        return super().boot() + self.slept


class TestTwoMachines:
    def test_what_one_is_told_is_in_force_on_the_other(self, pair: tuple[Machine, Machine]) -> None:
        """The receipt says so, and it is so; what is lifted likewise."""
        one, two = pair
        receipt = one.revoke("bob")
        assert (receipt.workers, receipt.of_workers, receipt.replicas, receipt.of_replicas) == (2, 2, 1, 1)
        assert [each.reason for each in two.found("bob")] == ["stolen laptop"]
        receipt = two.release("bob")
        assert (receipt.changed, receipt.replicas, receipt.of_replicas) == (1, 1, 1)
        assert one.found("bob") == ()
        assert (one.alarms, two.alarms) == ([], [])

    def test_how_current_it_is_can_be_seen(self, tmp_path: Path, redis_server: RedisServer) -> None:
        """And how many others there are."""
        registry = CollectorRegistry()
        one = Machine(tmp_path / "one", redis_server, metrics=StateMetrics(registry))
        with running(one, Machine(tmp_path / "two", redis_server)):
            assert one.comes_to(lambda: registry.get_sample_value("extauthz_shared_replicas") == 1)
            lag = registry.get_sample_value("extauthz_shared_lag_seconds")
            assert lag is not None
            assert 0 <= lag < 20
            redis_server.kill()
            assert one.comes_to(lambda: (registry.get_sample_value("extauthz_shared_lag_seconds") or 0) > 0.5)
        assert registry.get_sample_value("extauthz_shared_lag_seconds") is None

    def test_an_older_word_that_arrives_late_brings_nothing_back(self, pair: tuple[Machine, Machine]) -> None:
        """Also when it is published after the newer one."""
        one, two = pair
        now = SystemClock().now()
        assert two.revoke("bob", at=now - 60, source="stream s").replicas == 1
        assert one.release("bob").changed == 1
        assert one.revoke("bob", at=now - 90, source="stream s").replicas == 1
        assert (one.found("bob"), two.found("bob")) == ((), ())

    def test_who_comes_later_learns_everything(self, pair: tuple[Machine, Machine], tmp_path: Path) -> None:
        """What is lifted stays lifted."""
        one, _ = pair
        one.revoke("bob")
        one.revoke("carol", source="stream s")
        one.release("carol")
        three = Machine(tmp_path / "three", one.server)
        with running(three):
            assert len(three.found("bob")) == 1
            assert three.found("carol") == ()
            three.revoke("carol", at=SystemClock().now() - 3000, source="stream s")
            assert three.found("carol") == ()
        assert three.alarms == []

    @pytest.mark.parametrize("lifted_first", [False, True])
    def test_of_two_words_at_once_the_narrower_is_not_forgotten(
        self, pair: tuple[Machine, Machine], lifted_first: bool
    ) -> None:
        """Else who comes after the other has ended would not learn of it."""
        one, _ = pair
        now = SystemClock().now()
        narrows = revocation("bob", now, until=None, source="stream idp")
        widens = replace(narrows, in_force=False, until=Instant(now + 60))
        for word in (widens, narrows) if lifted_first else (narrows, widens):
            one.keeper.take_over([word], own=True)
            with one.keeper.reading() as query:
                number = read_numbers(query)["restriction"]
            one.replicator.publish(number)
            assert one.replicator.wait_for_replicas(number, PATIENCE) == (1, 1)
        ends = one.server.say("ZRANGE", "extauthz:restrictions:ends", "0", "-1").split()
        assert [field[-1] for field in ends] in ([], ["w"])
        assert [len(machine.found("bob")) for machine in pair] == [1, 1]

    def test_a_machine_that_left_is_not_waited_for(self, pair: tuple[Machine, Machine]) -> None:
        """It says goodbye."""
        one, two = pair
        two.stop()
        assert one.comes_to(lambda: one.replicator.wait_for_replicas(0, 0) == (0, 0))
        assert one.revoke("bob").of_replicas == 0
        two.start()
        assert two.comes_to(two.replicator.in_sync)
        assert len(two.found("bob")) == 1

    @pytest.mark.usefixtures("impatient")
    def test_a_worker_that_hangs_is_told_of(self, pair: tuple[Machine, Machine]) -> None:
        """Its machine does not count, and reads on all the same."""
        one, two = pair
        confirming = two.keeper._confirmations._confirmers
        confirming["1"], kept = (lambda _: -1), confirming["1"]
        receipt = one.revoke("bob")
        assert (receipt.replicas, receipt.of_replicas) == (0, 1)
        assert two.comes_to(lambda: len(two.found("bob")) == 1)
        assert two.comes_to(two.replicator.in_sync)
        confirming["1"] = kept
        assert one.comes_to(lambda: one.replicator.wait_for_replicas(receipt.number, 0.1) == (1, 1))


class TestLosingRedis:
    @pytest.mark.parametrize("how", ["stopped", "blackholed"])
    def test_a_lost_redis_makes_the_state_stale_after_the_bound(self, pair: tuple[Machine, Machine], how: str) -> None:
        """Both machines; they recover without a restart, and nothing that was acknowledged is lost."""
        one, two = pair
        clock = SystemClock()
        assert one.comes_to(lambda: one.is_fresh() and two.is_fresh())
        assert one.revoke("before").replicas == 1
        begun = clock.monotonic()
        if how == "stopped":
            one.server.kill()
        else:
            one.server.freeze()
        receipts = [one.revoke("meanwhile"), two.revoke("elsewhere")]
        assert [(each.workers, each.replicas) for each in receipts] == [(2, 0), (2, 0)]
        assert one.comes_to(lambda: not one.is_fresh() and not two.is_fresh())
        assert clock.monotonic() - begun > MAX_STALENESS / 4
        assert len(one.found("meanwhile")) == 1
        if how == "stopped":
            one.server.start()
        else:
            one.server.thaw()
        assert one.comes_to(lambda: one.is_fresh() and two.is_fresh())
        assert one.comes_to(lambda: len(two.found("meanwhile")) == len(one.found("elsewhere")) == 1)
        assert len(two.found("before")) == 1

    def test_a_machine_that_slept_knows_that_redis_was_not_read(
        self, tmp_path: Path, redis_server: RedisServer
    ) -> None:
        """By the clock that counts sleep; the monotonic one would say that all was read a moment ago."""
        clock = SleepyClock()
        one = Machine(tmp_path / "one", redis_server, clock=clock)
        with running(one):
            assert one.comes_to(one.is_fresh)
            redis_server.freeze()
            clock.slept = 3600.0
            one.keeper.upkeep.beat()
            assert not one.is_fresh()
            redis_server.thaw()
            assert one.comes_to(one.is_fresh)

    def test_an_empty_redis_is_told_everything_again(self, pair: tuple[Machine, Machine], tmp_path: Path) -> None:
        """By whoever is left, what other machines were told first included."""
        one, two = pair
        names = [f"user-{number}" for number in range(300)]
        for name in names[:10]:
            one.revoke(name)
        two.keeper.take_over([revocation(name, SystemClock().now()) for name in names[10:]], own=True)
        two.replicator.publish(1)
        assert one.comes_to(lambda: len(one.found(names[-1])) == 1)
        assert one.release(names[0]).replicas == 1
        one.stop()
        one.server.kill()
        one.server.empty()
        one.server.start()
        assert two.comes_to(two.replicator.in_sync)
        assert two.comes_to(lambda: one.server.say("HLEN", "extauthz:restrictions") == "300")
        with running(three := Machine(tmp_path / "three", one.server)):
            assert [len(three.found(name)) for name in names] == [0, *([1] * 299)]
        assert two.alarms == three.alarms == []
        one.start()
        assert one.comes_to(one.replicator.in_sync)

    def test_a_flushed_redis_is_noticed_while_it_runs(self, pair: tuple[Machine, Machine]) -> None:
        """No connection breaks; what is acknowledged at the same moment is not lost either."""
        one, two = pair
        one.revoke("bob")
        one.server.say("FLUSHALL")
        receipt = one.revoke("carol")
        assert one.comes_to(lambda: one.server.say("HLEN", "extauthz:restrictions") == "2")
        assert one.comes_to(lambda: one.replicator.wait_for_replicas(receipt.number, 0.1) == (1, 1))
        assert len(two.found("carol")) == 1

    def test_a_server_that_took_over_and_knows_less_is_told(
        self, pair: tuple[Machine, Machine], tmp_path: Path
    ) -> None:
        """A copy of an older moment, with the same incarnation: other changes may have the same numbers."""
        one, two = pair
        server = one.server
        one.revoke("known-to-both")
        shutil.copytree(server.folder / "appendonlydir", tmp_path / "copy")
        one.revoke("lost-by-the-copy")
        server.kill()
        shutil.rmtree(server.folder / "appendonlydir")
        shutil.copytree(tmp_path / "copy", server.folder / "appendonlydir")
        server.start()
        for machine, name in ((one, "after-one"), (two, "after-two")):
            assert machine.comes_to(machine.replicator.in_sync)
            assert machine.revoke(name).workers == 2
        names = ("known-to-both", "lost-by-the-copy", "after-one", "after-two")
        with running(three := Machine(tmp_path / "three", server)):
            for machine in (one, two, three):
                assert machine.comes_to(lambda machine=machine: all(machine.found(name) for name in names))

    def test_missing_changes_are_noticed(self, pair: tuple[Machine, Machine]) -> None:
        """Somebody removed the entry before it was read; the row is still there."""
        one, two = pair
        two.server.say("CLIENT", "NO-EVICT", "off")
        two.stop()
        one.revoke("bob")
        one.revoke("carol")
        one.server.say("XTRIM", "extauthz:journal", "MAXLEN", "1")
        two.start()
        assert two.comes_to(two.replicator.in_sync)
        assert (len(two.found("bob")), len(two.found("carol"))) == (1, 1)

    def test_the_stream_is_bounded(self, pair: tuple[Machine, Machine]) -> None:
        """Redis trims in whole nodes of its own, so about that many are left."""
        one, two = pair
        one.server.say("CONFIG", "SET", "stream-node-max-entries", "10")
        assert KEEP_ENTRIES == 50_000
        one.revoke("bob")
        assert int(one.server.say("XLEN", "extauthz:journal")) < 10
        del two

    def test_an_end_without_redis_loses_nothing(self, pair: tuple[Machine, Machine]) -> None:
        """What could not be told is told by the next run."""
        one, two = pair
        one.server.kill()
        assert one.revoke("bob").workers == 2
        one.stop()
        one.server.start()
        one.start()
        assert two.comes_to(lambda: len(two.found("bob")) == 1)


class TestWhatNobodyForesaw:
    @pytest.mark.usefixtures("impatient")
    def test_reading_goes_on(self, pair: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch) -> None:
        """Everything is read once more, so nothing was missed."""
        one, two = pair
        with monkeypatch.context() as patch:
            patch.setattr(two.keeper, "take_over", _fail)
            one.revoke("bob")
            assert two.comes_to(lambda: not two.replicator.in_sync())
        assert two.comes_to(lambda: len(two.found("bob")) == 1)
        assert two.comes_to(two.replicator.in_sync)

    def test_telling_goes_on(self, pair: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch) -> None:
        """Who acknowledged did not wait for it."""
        one, two = pair
        with monkeypatch.context() as patch:
            patch.setattr("extauthz.keeper.redis_sender.read_since", _fail)
            assert one.revoke("bob").workers == 2
            assert one.comes_to(lambda: not one.replicator.in_sync())
        assert two.comes_to(lambda: len(two.found("bob")) == 1)

    def test_an_end_in_the_middle_of_reading_everything(
        self, tmp_path: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nobody waits for the rest, and nothing is taken for read."""
        reading = threading.Event()

        def read_for_ever(_journal: Journal, kind: str = RESTRICTIONS) -> Iterator[list[bytes]]:
            while kind == RESTRICTIONS:
                yield []
                reading.set()

        monkeypatch.setattr(Journal, "read_all", read_for_ever)
        one = Machine(tmp_path / "one", redis_server)
        one.start()
        assert reading.wait(PATIENCE)
        assert not one.replicator.in_sync()
        one.stop()

    def test_what_a_place_says_is_not_believed_blindly(self, pair: tuple[Machine, Machine]) -> None:
        """A note that is damaged is none: everything is read and told once more."""
        one, two = pair
        one.revoke("bob")
        one.stop()
        with closing(sqlite3.connect(one.path)) as connection, connection:
            damaged = "UPDATE meta SET value = CASE name WHEN 'place redis read' THEN x'78' ELSE x'5b5d' END"
            connection.execute(damaged + " WHERE name LIKE 'place redis %'")
        two.revoke("carol")
        one.start()
        assert one.comes_to(lambda: len(one.found("carol")) == 1)
        assert one.revoke("dave").workers == 2
        assert two.comes_to(lambda: len(two.found("dave")) == 1)


def _fail(*_: object, **__: object) -> object:
    message = "what nobody foresaw"
    raise RuntimeError(message)


class TestOwnFile:
    def test_a_restored_backup_is_brought_up(self, pair: tuple[Machine, Machine]) -> None:
        """While the machine runs, and what it had told before is told again."""
        one, two = pair
        one.revoke("bob")
        two.keeper._writer.close()
        backup = two.path.with_name("backup.db")
        shutil.copy(two.path, backup)
        one.revoke("carol")
        two.revoke("dave")
        for side in ("-wal", "-shm"):
            two.path.with_name(two.path.name + side).unlink(missing_ok=True)
        backup.replace(two.path)
        names = ("bob", "carol", "dave")
        assert two.comes_to(lambda: all(two.found(name) for name in names))
        assert two.revoke("erin").workers == 2
        assert one.comes_to(lambda: len(one.found("erin")) == 1)

    def test_a_lift_that_is_sealed_wrongly_in_the_file_is_not_told(self, pair: tuple[Machine, Machine]) -> None:
        """Or the shared key would make it true."""
        one, two = pair
        one.revoke("bob")
        with one.keeper.writing() as writing:
            writing.connection.execute("UPDATE restrictions SET in_force = 0, lift_until = 9e9, changed = changed + 50")
            writing.connection.execute("UPDATE changes SET number = number + 50 WHERE kind = 'restriction'")
        receipt = one.revoke("carol")
        assert receipt.replicas == 1
        assert len(two.found("bob")) == 1
        one.server.say("FLUSHALL")
        assert one.comes_to(lambda: int(one.server.say("HLEN", "extauthz:restrictions")) == 2)
        assert one.revoke("dave").replicas == 1  # So Redis is known to be empty, and the rest is offered again.
        assert one.comes_to(lambda: one.replicator.wait_for_replicas(receipt.number, 0.1) == (1, 1))
        assert len(two.found("bob")) == 1


def test_propagation_is_printed(pair: tuple[Machine, Machine], capsys: pytest.CaptureFixture[str]) -> None:
    """From a call to the keeper until every worker of the other machine decides by it."""
    one, two = pair
    clock = SystemClock()
    assert one.comes_to(lambda: one.is_fresh() and two.is_fresh())
    begun = clock.monotonic()
    receipts: list[Receipt] = []
    while clock.monotonic() - begun < LONGER_THAN_THE_BOUND:
        receipts += [machine.revoke(f"user-{len(receipts)}") for machine in pair]
    # The control of the test above: the bound has passed, and both go on deciding.
    assert one.comes_to(lambda: one.is_fresh() and two.is_fresh())
    assert all((each.workers, each.replicas) == (2, 1) for each in receipts)
    with capsys.disabled():
        print("\npropagation to another machine:", in_words([each.seconds for each in receipts]))  # noqa: T201 — its point


def in_words(seconds: Sequence[float]) -> str:
    """Return quantiles for people."""
    ordered = sorted(seconds)
    p50, p99 = (ordered[int(share * (len(ordered) - 1))] * 1000 for share in (0.5, 0.99))
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, n={len(ordered)}"


def test_marks_are_found_by_name() -> None:
    """The helper of these tests asks what decisions ask."""
    assert subject("bob").name.of == "subject https://issuer.test bob"
