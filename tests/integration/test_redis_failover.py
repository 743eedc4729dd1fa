"""A failover that reaches one connection of a machine and not the other: it must not read on from the old server."""

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
                drop(old, "evalsha")
                assert two.revoke("bob").workers == 2
                assert one.comes_to(lambda: len(one.found("bob")) == 1, 20 if compared else 0.7) is compared
                assert one.comes_to(one.replicator.in_sync, 20 if compared else 0.3) is compared
