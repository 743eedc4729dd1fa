"""Records of several processes on one standard output: whole lines, however long they are and however full the pipe."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack

from extauthz.processes.handover import nameless_file

LETTERS = "abc"
LENGTH = 100_000
"""Bytes of a line: more than a pipe takes at once, so that a writer has to wait in the middle of it."""
LINES = 40
WRITER = f"""\
import os, sys
from extauthz.audit.target import StdoutTarget
letter, turn = sys.argv[1], int(sys.argv[2])
target = StdoutTarget(turn if turn >= 0 else None)
os.close(2)  # Says that it is ready to write.
sys.stdin.read()
for _ in range({LINES}):
    left = memoryview((letter * {LENGTH} + "\\n").encode())
    while left:
        left = left[target.append(left):]
target.close()
"""


def written(*, in_turn: bool) -> list[bytes]:
    """Return the lines that several processes have written to one pipe at once."""
    reading, writing = os.pipe()
    with nameless_file("turn") as turn, open(reading, "rb") as pipe, ExitStack() as undo:  # noqa: PTH123 — a descriptor
        number = str(turn.fileno() if in_turn else -1)
        writers = [
            undo.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", WRITER, letter, number],
                    stdin=subprocess.PIPE,
                    stdout=writing,
                    stderr=subprocess.PIPE,
                    pass_fds=(turn.fileno(),),
                )
            )
            for letter in LETTERS
        ]
        os.close(writing)
        for writer in writers:
            assert writer.stderr is not None
            assert writer.stderr.read() == b""
        for writer in writers:
            assert writer.stdin is not None
            writer.stdin.close()
        text = pipe.read()
    assert [writer.returncode for writer in writers] == [0] * len(LETTERS)
    return text.splitlines()


def mixed(lines: list[bytes]) -> int:
    """Return how many lines are not one writer's."""
    return sum(len(set(line)) != 1 or len(line) != LENGTH for line in lines)


def test_lines_of_several_processes_never_mix() -> None:
    """Each has its turn for as long as its lines take."""
    lines = written(in_turn=True)
    assert (len(lines), mixed(lines)) == (LINES * len(LETTERS), 0)


def test_without_turns_they_would() -> None:
    """The negative control: a pipe takes long lines in pieces."""
    assert mixed(written(in_turn=False)) > 0
