"""A machine that was ended and comes back in the same life of the shared Redis. Real servers, real files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from extauthz.keeper import redis_place
from tests.simulators.machines import Machine, meet

if TYPE_CHECKING:
    from tests.simulators.redis import RedisServer


def scans(server: RedisServer) -> int:
    """Return how often somebody read everything."""
    lines = server.say("INFO", "commandstats").splitlines()
    return sum(int(line.split("calls=")[1].split(",")[0]) for line in lines if line.startswith("cmdstat_hscan:"))


def test_a_restart_goes_on_where_it_was(pair: tuple[Machine, Machine]) -> None:
    """Not everything is read and told again; what happened meanwhile is."""
    one, two = pair
    one.revoke("bob")
    two.stop()
    before = scans(one.server)
    one.revoke("carol")
    two.start()
    assert two.comes_to(two.replicator.in_sync)
    assert len(two.found("carol")) == 1
    assert scans(one.server) == before


@pytest.fixture
def punctual(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have machines note at once how far they have read, so that they come back to the very end of it."""
    monkeypatch.setattr(redis_place, "WRITE_SECONDS", 0.0)


@pytest.mark.usefixtures("punctual")
def test_a_machine_that_comes_back_says_what_its_workers_decide_by(pair: tuple[Machine, Machine]) -> None:
    """Also when nothing happened meanwhile: an action that is repeated waits for nobody who knows of it."""
    one, two = pair
    receipt = one.revoke("bob")
    assert receipt.replicas == 1
    two.stop()
    assert one.comes_to(lambda: one.replicator.wait_for_replicas(0, 0) == (0, 0))
    before = scans(one.server)
    two.start()
    meet(one, two)
    assert one.comes_to(lambda: one.replicator.wait_for_replicas(receipt.number, 0.1) == (1, 1))
    assert scans(one.server) == before, "it has not read everything, which would tell the same"
