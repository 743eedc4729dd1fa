"""Machines that share a real Redis, for the tests of that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.simulators.machines import PATIENCE, Machine, meet, running
from tests.simulators.redis import RedisServer, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """Yield an empty server."""
    with serving(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let receipts wait for whoever will confirm, however crowded the computer is."""
    monkeypatch.setattr("extauthz.keeper.receipts.CONFIRM_SECONDS", PATIENCE)
    monkeypatch.setattr("extauthz.keeper.receipts.REPLICA_SECONDS", PATIENCE)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, patient: None) -> None:
    """Let receipts wait only a moment for machines that will not confirm; for workers they wait."""
    del patient
    monkeypatch.setattr("extauthz.keeper.receipts.REPLICA_SECONDS", 0.2)
    monkeypatch.setattr("extauthz.keeper.redis_follower.CONFIRM_SECONDS", 0.05)


@pytest.fixture
def pair(tmp_path: Path, redis_server: RedisServer, patient: None) -> Iterator[tuple[Machine, Machine]]:
    """Yield two machines in sync that know of one another."""
    del patient
    one, two = (Machine(tmp_path / name, redis_server) for name in ("one", "two"))
    with running(one, two):
        meet(one, two)
        yield one, two
