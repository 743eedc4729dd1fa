"""A machine as a process, to be killed at any instant: revokes without pause, and says what it acknowledged.

`python -m tests.simulators.machine_process FOLDER PORT`. Lines on standard input: `revoke PREFIX` begins, `rest` ends
it, `find NAME…` asks. Lines on standard error: `ready`, `done NAME` for each receipt, `rested`, `found N`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from extauthz.keeper import receipts
from tests.simulators.machines import Machine
from tests.simulators.redis import RedisServer

PATIENCE = 30.0


@dataclass
class MachineProcess:
    """One machine; `start` it, `kill` it, `start` it again.

    Attributes:
        folder: of its file.
        server: the Redis that it shares.
        done: everything that it has acknowledged.
    """

    folder: Path
    server: RedisServer
    done: list[str] = field(default_factory=list)

    def start(self) -> None:
        """Start it, and return when it keeps its state."""
        self._answers: list[str] = []
        self._heard = threading.Condition()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.simulators.machine_process", str(self.folder), str(self.server.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._await("ready")

    def revoke(self, prefix: str) -> None:
        """Let it revoke `PREFIX-0`, `PREFIX-1` and so on until it rests or dies."""
        self._tell(f"revoke {prefix}")

    def rest(self) -> None:
        """Let it revoke no more."""
        self._tell("rest")
        self._await("rested")

    def count(self, names: list[str]) -> int:
        """Return how many of these subjects its workers refuse."""
        self._answers.clear()
        self._tell(f"find {' '.join(names)}")
        return int(self._await("found").split()[1])

    def kill(self) -> None:
        """End it as a loss of power would; what it has said before counts."""
        self._process.kill()
        self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        for pipe in (self._process.stdin, self._process.stderr):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            with self._heard:
                if line.startswith("done ") and line.endswith("\n"):
                    self.done.append(line.split()[1])
                else:
                    self._answers.append(line)
                self._heard.notify_all()

    def _await(self, word: str) -> str:
        with self._heard:
            assert self._heard.wait_for(lambda: any(line.startswith(word) for line in self._answers), PATIENCE)
            return next(line for line in self._answers if line.startswith(word))


def _say(line: str) -> None:
    os.write(2, f"{line}\n".encode())  # One write, so that nothing gets in between.


def _main() -> None:
    folder, port = sys.argv[1:]
    server = RedisServer(Path(folder).parent / "redis", port=int(port))
    machine = Machine(Path(folder), server)
    receipts.REPLICA_SECONDS = 0.2  # type: ignore[misc]  # of a killed machine nobody need wait for long
    machine.start()
    resting = threading.Event()

    def revoke(prefix: str) -> None:
        number = 0
        while not resting.is_set():
            receipt = machine.revoke(f"{prefix}-{number}")
            assert receipt.workers == receipt.of_workers
            _say(f"done {prefix}-{number}")
            number += 1

    _say("ready")
    thread = None
    for line in sys.stdin:
        word, *names = line.split()
        if word == "revoke":
            resting.clear()
            thread = threading.Thread(target=revoke, args=(names[0],), daemon=True)
            thread.start()
        elif word == "rest":
            resting.set()
            if thread is not None:
                thread.join()
            _say("rested")
        else:
            _say(f"found {sum(1 for name in names if machine.found(name))}")


if __name__ == "__main__":
    _main()
