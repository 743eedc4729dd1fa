"""A running keeper for each test that asks for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from extauthz.keeper import receipts
from tests.simulators.keeperservice import PATIENCE, Running, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """Yield a running service, which waits long for its worker: that of a crowded machine takes a while."""
    monkeypatch.setattr(receipts, "CONFIRM_SECONDS", PATIENCE)
    with running(tmp_path) as kept:
        yield kept
