"""What somebody can do who writes to the shared Redis: take away, apart and with an alarm; nothing else."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from extauthz.clock import Instant, SystemClock
from extauthz.model.state import StateName
from tests.simulators.machines import KEY, Machine, revocation, running, write_as_ours

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.model.restriction import Restriction
    from tests.simulators.redis import RedisServer

OTHER_KEY = "00" * 32


def forge(server: RedisServer, row: Restriction, key: str = OTHER_KEY, incarnation: str = "") -> None:
    """Write a row with redis-cli, as somebody would who has the password but, by default, not the key."""
    written = write_as_ours(key, row, incarnation or server.say("GET", "extauthz:incarnation"))
    text = written.text.decode()
    server.say("HSET", "extauthz:restrictions", written.field, text)
    add_entry(server, "restrictions", text)


NEXT_ENTRY = """\
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1][1]
local number = tonumber(string.match(last, '^%d+')) + 1
return redis.call('XADD', KEYS[1], number .. '-0', 'kind', ARGV[1], 'row', ARGV[2])
"""


def add_entry(server: RedisServer, kind: str, text: str) -> None:
    """Write the next entry of the stream, in one step: a machine may write one at the same moment."""
    written = server.say("EVAL", NEXT_ENTRY, "1", "extauthz:journal", kind, text)
    assert re.fullmatch(r"[0-9]+-0", written), written


def read_on(pair: tuple[Machine, Machine]) -> None:
    """Wait until both machines have read all that is in Redis now; what has no effect by then has none."""
    one, two = pair
    assert one.reads_on(two)
    assert two.reads_on(one)


class TestForgery:
    def test_a_forged_lift_opens_nothing_and_raises_an_alarm(self, pair: tuple[Machine, Machine]) -> None:
        """On no machine, neither by the stream nor for who comes later."""
        one, two = pair
        one.revoke("bob")
        (row,) = one.found("bob")
        lifted = replace(row, in_force=False, event_at=Instant(SystemClock().now()))
        forge(one.server, lifted)
        assert one.comes_to(lambda: len(one.alarms) == len(two.alarms) == 1)
        read_on(pair)
        assert [len(machine.found("bob")) for machine in pair] == [1, 1]
        two.stop()
        two.path.unlink()
        two.alarms.clear()
        two.start()
        assert two.comes_to(two.replicator.in_sync)
        assert len(two.found("bob")) == len(two.alarms) == 1

    def test_with_the_key_the_same_lift_counts(self, pair: tuple[Machine, Machine]) -> None:
        """The control: nothing but the MAC is different."""
        one, two = pair
        one.revoke("bob")
        (row,) = one.found("bob")
        forge(one.server, replace(row, in_force=False, event_at=Instant(SystemClock().now())), key=KEY)
        assert one.comes_to(lambda: not one.found("bob") and not two.found("bob"))
        assert one.alarms == two.alarms == []

    def test_a_lift_of_an_earlier_incarnation_opens_nothing(self, pair: tuple[Machine, Machine]) -> None:
        """Written down then, played back now."""
        one, two = pair
        incarnation = one.server.say("GET", "extauthz:incarnation")
        one.server.say("FLUSHALL")
        assert one.revoke("bob").workers == 2
        assert one.comes_to(lambda: len(two.found("bob")) == 1)
        (row,) = one.found("bob")
        lifted = replace(row, in_force=False, event_at=Instant(SystemClock().now()))
        forge(one.server, lifted, key=KEY, incarnation=incarnation)
        read_on(pair)
        assert [len(machine.found("bob")) for machine in pair] == [1, 1]
        assert one.alarms == two.alarms == []

    def test_a_forged_restriction_only_narrows_and_stands_apart(self, pair: tuple[Machine, Machine]) -> None:
        """It meets no row of ours, is told to nobody with our seal, and a person can lift it."""
        one, two = pair
        one.revoke("bob")
        (row,) = one.found("bob")
        forge(one.server, replace(row, event_at=Instant(row.event_at + 10), until=Instant(row.event_at + 2000)))
        assert one.comes_to(lambda: len(one.found("bob")) == len(two.found("bob")) == 2)
        assert {each.source for each in one.found("bob")} == {"operator", "unverified operator"}
        assert {each.until for each in one.found("bob")} == {row.until, row.event_at + 2000}
        assert len(one.alarms) == len(two.alarms) == 1
        one.server.say("FLUSHALL")
        assert one.comes_to(lambda: one.server.say("HLEN", "extauthz:restrictions") == "1")
        assert one.release("bob").changed == 2
        assert one.found("bob") == ()

    def test_forged_restrictions_are_bounded(
        self, pair: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In number, and none that has no end or speaks of the future."""
        one, two = pair
        monkeypatch.setattr("extauthz.keeper.redis_follower.UNVERIFIED_AN_HOUR", 2)
        now = SystemClock().now()
        forge(one.server, revocation("future", now + 900))
        forge(one.server, revocation("endless", now, until=None))
        forge(one.server, revocation("second", now))
        forge(one.server, revocation("third", now))
        assert one.comes_to(lambda: len(one.alarms) == len(two.alarms) == 4)
        read_on(pair)
        for machine in pair:
            found = {name: machine.found(name) for name in ("future", "endless", "second", "third")}
            assert [len(rows) for rows in found.values()] == [0, 1, 1, 0]
            assert found["endless"][0].until is not None

    def test_nonsense_is_an_alarm_and_nothing_else(self, pair: tuple[Machine, Machine]) -> None:
        """Whatever somebody writes into the stream."""
        one, two = pair
        one.server.say("HSET", "extauthz:restrictions", "whatever", "nonsense")
        one.server.say("HSET", "extauthz:nodes", "ghost", "soon none")
        one.server.say("XADD", "extauthz:journal", "500-0", "kind", "restrictions", "row", "x y z {}")
        assert one.comes_to(lambda: one.alarms and two.alarms)
        assert one.comes_to(lambda: one.replicator.in_sync() and two.replicator.in_sync())
        assert one.revoke("bob").workers == 2
        assert one.comes_to(lambda: len(two.found("bob")) == 1)

    def test_a_forged_grant_opens_nothing_and_raises_an_alarm(self, pair: tuple[Machine, Machine]) -> None:
        """Grants do not travel by Redis; whoever writes one there, in whatever form, is noticed and not believed."""
        name = StateName("approval", "request 1")
        value = json.dumps({"approvers": [{"issuer": "i", "subject": "lea"}], "approved_at": 1, "until": 9e9})
        for kind in ("facts", "approval"):
            pair[0].server.say("HSET", f"extauthz:{kind}", f"{name.kind} {name.of}", value)
            add_entry(pair[0].server, kind, value)
        assert pair[0].comes_to(lambda: len(pair[0].alarms) == len(pair[1].alarms) == 2)
        read_on(pair)
        for machine in pair:
            assert machine.comes_to(machine.is_fresh)
            assert [view.find_state(name, machine.clock.now()) for view in machine.views] == [None, None]

    @pytest.mark.usefixtures("impatient")
    def test_another_cannot_say_that_a_change_is_in_force(self, pair: tuple[Machine, Machine]) -> None:
        """What a machine says of itself is sealed; whoever is there counts as one that has not confirmed."""
        one, two = pair
        two.stop()
        incarnation = one.server.say("GET", "extauthz:incarnation")
        seconds, micro = one.server.say("TIME").split()
        millis = int(seconds) * 1000 + int(micro) // 1000
        ghosts: list[str] = []
        for says in (f"{incarnation} 99999 00", f"{incarnation} 99999 zz", f"{incarnation} x 00", "x 1 00"):
            ghosts += [f"ghost {says[-5:]}", f"{millis} {says}"]
        one.server.say("HSET", "extauthz:nodes", *ghosts)  # At once, so that none is gone before the last has come.
        assert one.comes_to(lambda: one.replicator.wait_for_replicas(0, 0)[1] == 4)
        assert one.revoke("bob").replicas == 0

    @pytest.mark.usefixtures("impatient")
    def test_a_machine_with_another_key_still_takes_away(self, pair: tuple[Machine, Machine], tmp_path: Path) -> None:
        """What it is told narrows everywhere; what it lifts, it lifts for itself alone."""
        one, two = pair
        with running(stranger := Machine(tmp_path / "stranger", one.server, key=OTHER_KEY)):
            receipt = stranger.revoke("bob")
            assert one.comes_to(lambda: len(one.found("bob")) == len(two.found("bob")) == 1)
            assert receipt.replicas == 0
            stranger.release("bob")
            assert one.comes_to(lambda: len(one.alarms) == 2)
            read_on(pair)
            assert stranger.found("bob") == ()
            assert len(one.found("bob")) == 1
