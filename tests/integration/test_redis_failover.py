"""The road to Redis: a failover that reaches one connection of a machine and not the other, and one that is cut."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.simulators.forwarder import forwarding
from tests.simulators.machines import Machine, running
from tests.simulators.redis import RedisServer, serving

if TYPE_CHECKING:
    from pathlib import Path


def drop(server: RedisServer, command: str) -> None:
    """Have the server close the connections whose last command was this one."""
    for line in server.say("CLIENT", "LIST").splitlines():
        fields = dict(pair.split("=", 1) for pair in line.split() if "=" in pair)
        if fields["cmd"] == command:
            server.say("CLIENT", "KILL", "ID", fields["id"])


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("compared", [True, False])
def test_half_a_failover(tmp_path: Path, compared: bool) -> None:
    """The old server goes on answering who reads; what the new one is told is known all the same.

    The control does not compare where the two connections lead: it reads on from the old one, and is not in sync.
    """
    with serving(tmp_path / "old") as old, forwarding(old.port) as road:
        url = f"redis://127.0.0.1:{road.port}/0"
        one = Machine(tmp_path / "one", old, changes={"redis": old.settings(url=url)})
        with running(one):
            one.revoke("before")
            assert one.comes_to(lambda: old.say("HLEN", "extauthz:restrictions") == "1")
            shutil.copytree(old.folder / "appendonlydir", tmp_path / "new" / "appendonlydir")
            with serving(tmp_path / "new") as new, running(two := Machine(tmp_path / "two", new)):
                assert len(two.found("before")) == 1
                parts = one.replicator._parts
                assert parts is not None
                if not compared:
                    parts.follower._told_life = lambda: None
                road.target = new.port
                told = parts.sender.life
                drop(old, "evalsha")
                assert one.comes_to(lambda: parts.sender.life not in {None, told})
                assert two.revoke("bob").workers == 2
                assert one.comes_to(lambda: len(one.found("bob")) == 1, 20 if compared else 0.7) is compared
                assert one.comes_to(one.replicator.in_sync, 20 if compared else 0.3) is compared


def test_a_machine_that_the_network_cuts_off_refuses_and_the_other_goes_on(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    """Nothing crosses for a while, although every connection stands; then it knows what it missed, and tells."""
    with forwarding(redis_server.port) as road:
        near = redis_server.settings(timeout=0.5)
        far = redis_server.settings(timeout=0.5, url=f"redis://127.0.0.1:{road.port}/0")
        cut = Machine(tmp_path / "cut", redis_server, changes={"redis": far})
        with running(cut, other := Machine(tmp_path / "other", redis_server, changes={"redis": near})):
            assert cut.comes_to(lambda: cut.is_fresh() and other.is_fresh())
            road.carrying.clear()
            assert cut.revoke("here").replicas == 0
            assert other.revoke("there").replicas == 0
            assert cut.comes_to(lambda: not cut.is_fresh())
            assert other.comes_to(other.is_fresh)
            assert (cut.found("there"), other.found("here")) == ((), ())
            road.carrying.set()
            assert cut.comes_to(cut.is_fresh)
            assert cut.comes_to(lambda: len(cut.found("there")) == len(other.found("here")) == 1)
