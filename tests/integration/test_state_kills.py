"""A writer that is killed at any instant: what it had acknowledged is there, and the file is whole.

What is on disk when the machine loses power is another question, which `synchronous=FULL` answers; here it is that no
instant in our own order of doing things loses or half does anything.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from random import Random
from threading import Timer

import pytest

from extauthz.clock import Instant
from extauthz.state.checkup import look_over
from extauthz.state.store import connect
from tests.simulators.barestate import BareState

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
from itertools import count
from pathlib import Path
from extauthz.clock import Instant
from tests.simulators.barestate import BareState, restriction, HOUR
from tests.simulators.tokens import NOW
from extauthz.model.restriction import Form, Mark
from extauthz.state.restrictions import collect, lift

state = BareState(Path(sys.argv[1]))
print("ready", flush=True)
for number in count():
    one, other = (restriction(Mark(Form.SUBJECT, "i", f"{sys.argv[2]} {number} {which}")) for which in "ab")
    applied = state.apply(one, other)
    state.apply(lift(other, Instant(NOW + 1), Instant(NOW + HOUR)))
    with state.writing() as (connection, _):
        collect(connection, Instant(NOW), 10)
    print(number, applied.number, flush=True)
"""
"""Revokes two and lifts one of them, in two transactions, and says so; over and over."""


def run_and_kill(path: Path, name: str, rounds: int, after: float) -> list[tuple[int, int]]:
    """Return what a writer acknowledged until it was killed: rounds, and numbers of changes.

    It is killed `after` seconds from when it begins, or from when it has acknowledged so many rounds.
    """
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(path), name], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        lines = [writer.stdout.readline().split() for _ in range(rounds)]
        Timer(after, writer.kill).start()
        lines += [line.split() for line in writer.stdout if line.endswith("\n")]
    assert writer.returncode == -9
    return [(int(number), int(change)) for number, change in lines]


def require_nothing_lost(path: Path, name: str, said: list[tuple[int, int]]) -> None:
    """Compare what is there with what was acknowledged."""
    state = BareState(path)
    with closing(connect(path, wait=1)) as connection:
        found = look_over(connection, state.key)
        rows = {
            tuple(name.split(" ")[2:]): in_force
            for name, in_force in connection.execute("SELECT name, in_force FROM restrictions")
        }
    assert found.faults == ()
    assert all(sealed.forged == 0 for sealed in found.sealed.values())
    assert all(rows[name, str(number), "a"] == 1 and rows[name, str(number), "b"] == 0 for number, _ in said)
    mine = {number for run, number, _ in rows if run == name}
    assert len(mine) - len(said) in {0, 1}  # at most one was under way
    assert all((name, number, which) in rows for number in mine for which in "ab")
    assert all(one < other for (_, one), (_, other) in pairwise(said))
    assert state.find(at=Instant(0)) == ()
    state.writer.close()


def kill_often(path: Path, times: int) -> int:
    """Kill writers of one file again and again; return how many rounds were acknowledged in all."""
    chance, rounds = Random(f"kills {times}"), 0
    for number in range(times):
        said = run_and_kill(path, f"run-{number}", number % 2, chance.uniform(0.0, 0.1))
        require_nothing_lost(path, f"run-{number}", said)
        rounds += len(said)
    return rounds


def test_nothing_acknowledged_is_lost_by_killing(tmp_path: Path) -> None:
    """At a few seeded instants."""
    assert kill_often(tmp_path / "state.db", 3) > 0


@pytest.mark.long
@pytest.mark.timeout(600)
def test_nothing_acknowledged_is_lost_by_fifty_kills(tmp_path: Path) -> None:
    """Counted, and printed."""
    rounds = kill_often(tmp_path / "state.db", 50)
    print(f"50 kills, {rounds} rounds acknowledged, none lost")  # noqa: T201 — shown by `pytest -s`
    assert rounds >= 25
