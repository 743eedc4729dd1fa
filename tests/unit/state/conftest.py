"""Fixtures of the tests of the state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.simulators.barestate import bare_state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.simulators.barestate import BareState


@pytest.fixture
def state(tmp_path: Path) -> Iterator[BareState]:
    """Yield a new state file."""
    with bare_state(tmp_path) as file:
        yield file
