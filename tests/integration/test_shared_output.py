"""Records of several processes on one standard output: whole lines, however long they are and however full the pipe."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from extauthz.processes.handover import nameless_file

if TYPE_CHECKING:
    from collections.abc import Sequence

LETTERS = "abc"
LENGTH = 100_000
"""Bytes of a line: more than a pipe takes at once, so that a writer has to wait in the middle of it."""
LINES = 40
WRITER = """\
import sys
from extauthz.audit.target import StdoutTarget
letter, turn = sys.argv[1], int(sys.argv[2])
target = StdoutTarget(turn if turn >= 0 else None)
for _ in range({lines}):
    left = memoryview((letter * {length} + "\\n").encode())
    while left:
        left = left[target.append(left):]
target.close()
""".format(lines=LINES, length=LENGTH)


def written(*, in_turn: bool) -> Sequence[bytes]:
    """Return the lines that several processes have written to one pipe at once."""
    with nameless_file("turn") as turn:
        number = str(turn.fileno() if in_turn else -1)
        writers = [
            # The others write to the pipe of the first.
            subprocess.Popen(
                [sys.executable, "-c", WRITER, letter, number], stdout=subprocess.PIPE, pass_fds=(turn.fileno(),)
            )
            for letter in LETTERS[:1]
        ]
        first = writers[0].stdout
        assert first is not None
        with open_for_writing(first.fileno()) as shared:
            writers += [
                subprocess.Popen(
                    [sys.executable, "-c", WRITER, letter, number], stdout=shared, pass_fds=(turn.fileno(),)
                )
                for letter in LETTERS[1:]
            ]
        with first:
            text = first.read()
        for writer in writers:
            assert writer.wait(30) == 0
    return text.splitlines()
