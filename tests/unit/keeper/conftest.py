"""A running keeper for each test that asks for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.simulators.keeperservice import Running, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Running]:
    """Yield a running service."""
    with running(tmp_path) as kept:
        yield kept
