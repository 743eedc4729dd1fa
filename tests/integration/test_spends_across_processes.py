"""What is used up in one process is used up in every other on the same file, also after a crash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from extauthz.clock import Instant, SystemClock
from extauthz.model.reason import Reason
from extauthz.model.spend import Spend
from extauthz.server.spender import StateSpender
from extauthz.state.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHILD = """\
import os, sys
from pathlib import Path
from tests.integration.test_spends_across_processes import running, spend_number
with running(Path(sys.argv[1])) as spender:
    for line in sys.stdin:
        print(line.strip(), spend_number(spender, int(line)), flush=True)
"""
PATIENCE = 60.0
ENOUGH = 10_000
"""Numbers that a process is told at once, and is not done with before what it says is read: its pipe would be full."""


@contextmanager
def running(path: Path) -> Iterator[StateSpender]:
    """Yield a running spender."""
    spender = StateSpender(path, 100_000, SystemClock())
    spender.start()
    try:
        yield spender
    finally:
        spender.stop()


def spend_number(spender: StateSpender, number: int) -> str:
    """Spend a number once within some minutes; each call is a question of its own."""
    spend = Spend(
        kind="number",
        key=b"%d" % number,
        until=Instant(SystemClock().now() + 600),
        refused=Reason.PROOF_REPLAYED,
    )
    return spender.spend((spend,), os.urandom(16), PATIENCE).outcome.value


@contextmanager
def process(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Yield a process that spends the numbers that it is told."""
    command = [sys.executable, "-c", CHILD, str(path)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield child
    finally:
        child.kill()
        child.wait(30)
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()


def pipes_of(child: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    """Return where a process reads and where it writes."""
    assert child.stdin is not None
    assert child.stdout is not None
    return child.stdin, child.stdout


def tell(child: subprocess.Popen[str], numbers: range) -> None:
    """Let a process spend numbers."""
    stdin, _ = pipes_of(child)
    stdin.write("".join(f"{number}\n" for number in numbers))
    stdin.flush()


def read_outcome(child: subprocess.Popen[str]) -> tuple[int, str]:
    """Return a number and what became of it."""
    number, outcome = pipes_of(child)[1].readline().split()
    return int(number), outcome


def test_four_processes_share_what_there_is(tmp_path: Path) -> None:
    """Each number is spent by exactly one of them, whoever comes first."""
    open_store(path := tmp_path / "state.db")
    numbers = range(150)
    with process(path) as a, process(path) as b, process(path) as c, running(path) as here:
        for child in (a, b, c):
            tell(child, numbers)
        outcomes = [(number, spend_number(here, number)) for number in numbers]
        for child in (a, b, c):
            outcomes += [read_outcome(child) for _ in numbers]
    assert sorted(outcomes) == [(number, "done" if at == 0 else "refused") for number in numbers for at in range(4)]


def test_what_was_acknowledged_before_a_crash_stays_spent(tmp_path: Path) -> None:
    """The process is killed in the middle of spending; its successor refuses all that it had said."""
    open_store(path := tmp_path / "state.db")
    with process(path) as child:
        tell(child, range(ENOUGH))
        said = [read_outcome(child) for _ in range(100)]
        child.send_signal(signal.SIGKILL)
        child.wait(30)
        rest = pipes_of(child)[1].read().splitlines()
    whole = [line.split() for line in rest if line.endswith("done")]
    acknowledged = [number for number, _ in said] + [int(number) for number, _ in whole]
    assert {outcome for _, outcome in said} == {"done"}
    assert len(acknowledged) < ENOUGH
    with running(path) as successor:
        assert {spend_number(successor, number) for number in acknowledged} == {"refused"}
        assert spend_number(successor, ENOUGH - 1) == "done"
