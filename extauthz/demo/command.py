"""Commands of `extauthz`, as an operator of the demo types them."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from extauthz.demo.stage import Stage

_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Ran:
    """A command and what came of it.

    Attributes:
        typed: without `extauthz` before it.
        lines: what it printed.
        problem: its exit code and what it said, where that is not 0; else empty.
    """

    typed: str
    lines: tuple[str, ...]
    problem: str


def run_command(stage: Stage, typed: str) -> Ran:
    """Run a command with the settings of the running server.

    Args:
        stage: whose server.
        typed: without `extauthz` before it.
    """
    command = [sys.executable, "-m", "extauthz", *shlex.split(typed), "--config", str(stage.folder / "settings.yaml")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EXTAUTHZ_")}
    done = subprocess.run(  # noqa: S603 — the commands are the demo's own
        command,
        cwd=stage.script.root,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    problem = f"exit code {done.returncode}: {done.stderr.strip()}" if done.returncode else ""
    return Ran(typed, tuple(done.stdout.splitlines()), problem)
