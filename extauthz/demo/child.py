"""Child processes of the demo: started with a log file, watched until they are ready, always ended."""

from __future__ import annotations

import subprocess
from typing import IO, TYPE_CHECKING, Final

from extauthz.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_POLL_SECONDS: Final = 0.02
_STOP_SECONDS: Final = 30.0
_LOG_TAIL: Final = 4000


def whole_lines(path: Path) -> list[str]:
    """Return the lines of a file that another process writes, without one that is not complete yet."""
    text = path.read_text("utf-8", "replace") if path.exists() else ""
    return text[: text.rfind("\n") + 1].splitlines()


class ChildFailedError(Exception):
    """A child process ended or did not become ready; the message quotes the end of its log."""


class Child:
    """One process that we own.

    Args:
        name: for messages.
        command: program and arguments.
        log: file that takes what it prints.
        environment: its whole environment.
        folder: where it runs; None for here.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        *,
        folder: Path | None = None,
    ) -> None:
        self._folder = folder
        self.name = name
        self.log = log
        self._command = list(command)
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._sink: IO[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the process id.

        Raises:
            ChildFailedError: it was not started.
        """
        return self._running().pid

    def start(self, ready: Callable[[], bool], within: float) -> None:
        """Start the process and wait until `ready` says yes.

        Args:
            ready: asked again and again; it must answer quickly and raise nothing.
            within: seconds until we give up.

        Raises:
            ChildFailedError: it ended or did not become ready; it has been ended then.
        """
        self._sink = self.log.open("ab")
        self._process = subprocess.Popen(  # noqa: S603 — the command is the demo's own
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=self._sink,
            stderr=subprocess.STDOUT,
            env=self._environment,
            cwd=self._folder,
        )
        clock = SystemClock()
        deadline = clock.monotonic() + within
        while not ready():
            ended = self._ended_within(_POLL_SECONDS)
            if ended or clock.monotonic() > deadline:
                self.stop()
                what = "ended at once" if ended else f"was not ready within {within:g} s"
                message = f"{self.name} {what}; the end of {self.log}:\n{self.read_log()[-_LOG_TAIL:]}"
                raise ChildFailedError(message)

    def stop(self) -> int | None:
        """Ask the process to end, insist after a while, and return its exit code (None when it never ran)."""
        if self._process is None:
            return None
        self._process.terminate()
        if not self._ended_within(_STOP_SECONDS):
            self._process.kill()
        code = self._process.wait()
        if self._sink is not None:
            self._sink.close()
        return code

    def read_log(self) -> str:
        """Return what the process printed so far."""
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            message = f"{self.name} was not started"
            raise ChildFailedError(message)
        return self._process

    def _ended_within(self, seconds: float) -> bool:
        try:
            self._running().wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True
