"""The contract of the state, for a file that stays and for one that goes with the process."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from extauthz.clock import SystemClock
from extauthz.config.settings import Settings
from extauthz.config.state import StateSettings
from extauthz.keeper.keeper import Keeper
from extauthz.processes.temporary import with_state_file
from extauthz.server.freshness import Freshness
from extauthz.server.stateview import StateView
from extauthz.state.store import open_store
from tests.integration.state_contract import StateContract
from tests.simulators.machines import Confirming

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


pytestmark = pytest.mark.usefixtures("patient")


class LocalEngine:
    """One machine: a keeper, and the views of three workers.

    Attributes:
        keeper: who is asked to do things.
        views: by what the workers decide.
    """

    def __init__(self, settings: StateSettings) -> None:
        assert settings.path is not None
        self._settings, self._path = settings, settings.path
        self._clock = SystemClock()
        self._open()

    def _open(self) -> None:
        key = open_store(self._path, self._settings.key_file)
        self.views = [StateView(self._path, key, self._clock, Freshness(self._clock, 60.0)) for _ in range(3)]
        confirmers = {str(number): Confirming(view) for number, view in enumerate(self.views)}
        self.keeper = Keeper(self._path, key, self._settings, self._clock, confirmers=confirmers)
        self._running = ExitStack()
        for view in self.views:
            self._running.callback(view.close)
        self.keeper.start()
        self._running.callback(self.keeper.stop)

    def reopen(self) -> None:
        """End everything that runs, and start it again."""
        self.close()
        self._open()

    def close(self) -> None:
        """End everything that runs."""
        self._running.close()


class TestFile(StateContract):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[LocalEngine]:
        """Yield an engine on a file."""
        engine = LocalEngine(StateSettings(path=tmp_path / "state.db"))
        yield engine
        engine.close()


class TestMemory(StateContract):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[LocalEngine]:
        """Yield an engine on a file that goes with the process, and see that it is gone."""
        (policy := tmp_path / "policy.yaml").touch()
        settings = Settings(policy=(policy,), state=StateSettings(memory=True))
        with with_state_file(settings) as running:
            assert running.state is not None
            assert running.state.path is not None
            engine = LocalEngine(running.state)
            yield engine
            engine.close()
        assert not running.state.path.parent.exists()
