"""Nothing that was acknowledged is lost, whoever is killed and when: machines, or the Redis between them."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import pytest

from extauthz.keeper.redis_sender import _Outbox as Outbox
from tests.integration.running import seconds_of_patience
from tests.simulators.machine_process import MachineProcess
from tests.simulators.machines import Machine, running
from tests.simulators.redis import RedisServer, serving

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.keeper.redis_journal import Life

LONGEST = 0.15
PATIENCE = 60.0


@pytest.mark.parametrize("seed", [3])
def test_five_kills_lose_nothing(tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Under load of both machines; the long suite does fifty."""
    kill_and_compare(tmp_path, seed, 5, capsys)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(100, 105))
def test_fifty_kills_lose_nothing(tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Ten at a time."""
    kill_and_compare(tmp_path, seed, 10, capsys)


def kill_and_compare(folder: Path, seed: int, kills: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Kill somebody `kills` times at random instants, then compare what was acknowledged with what both know."""
    chance = random.Random(seed)
    with serving(folder / "redis") as server:
        machines = [MachineProcess(folder / name, server) for name in ("one", "two")]
        for each in machines:
            each.start()
        try:
            victims = _kill(machines, server, chance, kills)
            seconds_of_patience(lambda: sum(len(each.done) for each in machines) > kills, PATIENCE)
            for each in machines:
                each.rest()
            names = [name for each in machines for name in each.done]
            deadline = time.monotonic() + PATIENCE
            while (found := [each.count(names) for each in machines]) != [len(names)] * 2:
                assert time.monotonic() < deadline, (found, len(names), victims)
                time.sleep(0.05)
        finally:
            for each in machines:
                each.kill()
    with capsys.disabled():
        print(f"\nkilled {victims}: {len(names)} acknowledged, all in force on both machines")  # noqa: T201 — its point


def _kill(machines: list[MachineProcess], server: RedisServer, chance: random.Random, kills: int) -> list[str]:
    victims: list[str] = []
    candidates: list[MachineProcess | RedisServer] = [*machines, server]
    for number, each in enumerate(machines):
        each.revoke(f"m{number}")
    for kill in range(kills):
        time.sleep(chance.uniform(0, LONGEST))
        victim = chance.choice(candidates)
        victim.kill()
        time.sleep(chance.uniform(0, LONGEST))
        victim.start()
        if isinstance(victim, MachineProcess):
            victim.revoke(f"m{machines.index(victim)}k{kill}")
        victims.append(victim.folder.name)
    return victims


def test_without_offering_again_something_would_be_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: a machine that tells an empty Redis only what is new."""
    opened: list[Outbox] = []

    def open_outbox(life: Life, news: int, *_: int) -> Outbox:
        opened.append(Outbox(life, news, 0, 0))
        return opened[-1]

    monkeypatch.setattr("extauthz.keeper.redis_sender._Outbox", open_outbox)
    with serving(tmp_path / "redis") as server, running(one := Machine(tmp_path / "one", server)):
        one.revoke("before")
        server.say("FLUSHALL")
        assert one.comes_to(lambda: len({each.life for each in opened}) > 1)
        one.revoke("after")
        with running(two := Machine(tmp_path / "two", server)):
            assert two.comes_to(lambda: len(two.found("after")) == 1)
            assert two.found("before") == ()
