"""Fixtures of the tests of the state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.simulators.statefile import state_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.simulators.statefile import StateFile


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFile]:
    """Yield a new state file."""
    with state_file(tmp_path) as file:
        yield file
