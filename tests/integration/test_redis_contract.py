"""The contract of the state with a second machine on a shared Redis: views of both decide by what one acknowledges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.state_contract import StateContract
from tests.simulators.machines import PATIENCE, Machine, meet, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from extauthz.keeper.keeper import Keeper
    from extauthz.server.stateview import StateView
    from tests.simulators.redis import RedisServer


class SharedEngine:
    """Two machines.

    Attributes:
        machines: who is asked to do things, and another.
    """

    def __init__(self, one: Machine, two: Machine) -> None:
        self.machines = (one, two)

    @property
    def keeper(self) -> Keeper:
        """Return the keeper of the first."""
        return self.machines[0].keeper

    @property
    def views(self) -> Sequence[StateView]:
        """Return the views of both."""
        return [view for machine in self.machines for view in machine.views]

    def reopen(self) -> None:
        """Stop both, start both, and wait until they know of one another."""
        for machine in self.machines:
            machine.stop()
        for machine in self.machines:
            machine.start()
        self.wait()

    def wait(self) -> None:
        """Wait until both have said that they are fresh, and know of one another."""
        for machine in self.machines:
            assert machine.comes_to(lambda machine=machine: machine.keeper.upkeep.beat() or machine.is_fresh())
        meet(*self.machines)


class TestReplicated(StateContract):
    @pytest.fixture
    def engine(self, tmp_path: Path, redis_server: RedisServer, patient: None) -> Iterator[SharedEngine]:
        """Yield two machines that give each other time, on a crowded computer too."""
        del patient
        changes = {"max_staleness": PATIENCE}
        one, two = (Machine(tmp_path / name, redis_server, changes=changes) for name in ("one", "two"))
        with running(one, two):
            engine = SharedEngine(one, two)
            engine.wait()
            yield engine
