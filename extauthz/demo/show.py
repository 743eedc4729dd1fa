"""The demo as a person sees it: heading, what runs where, the tour's table, the verdict, one decision record."""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.json import JSON

from extauthz.clock import SystemClock
from extauthz.demo.child import ChildFailedError, whole_lines
from extauthz.demo.run import find_record, walk
from extauthz.demo.stage import Ports, Script, Stage, find_root
from extauthz.demo.table import to_cast, to_curl_lines, to_differences, to_table
from extauthz.demo.tour import TOUR

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.demo.run import Visit

_PLAIN_WIDTH: Final = 132
"""Columns when the output is no terminal and so has no width of its own."""

_RECORD_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.05


def show(envoy_file: str, folder: Path, *, engine: str = "auto", keep: bool = False) -> int:
    """Run the demo and return the exit code: 0 when every answer was as the tour expects."""
    console = Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH, highlight=False)
    try:
        script = Script(
            root=find_root(),
            folder=folder.absolute(),
            envoy_file=envoy_file,
            engine=engine,
            ports=Ports.friendly() if keep else Ports(),
        )
        with Stage(script) as stage:
            return _tour(console, stage, keep=keep)
    except (ChildFailedError, FileNotFoundError, ModuleNotFoundError) as failed:
        console.print(str(failed), style="red", markup=False)
        return 1


def _tour(console: Console, stage: Stage, *, keep: bool) -> int:
    console.print("\n[bold]extauthz: a real Envoy asks, extauthz decides[/bold]\n")
    console.print(to_cast(stage))
    console.print()
    visits = list(walk(stage, TOUR, hardened=stage.script.envoy_file == "hardened"))
    console.print(to_table(visits))
    differences = to_differences(visits)
    for line in differences:
        console.print(line, style="red", markup=False)
    right = sum(not visit.differences for visit in visits)
    style = "bold green" if right == len(visits) else "bold red"
    console.print(f"\n{right} of {len(visits)} answers as expected", style=style)
    _show_commands(console, visits)
    _show_record(console, stage, visits)
    if keep:
        _keep(console, stage)
    return 1 if differences else 0


def _show_commands(console: Console, visits: list[Visit]) -> None:
    """Print what the operator did between requests, and the receipts."""
    for number, visit in enumerate(visits, 1):
        if visit.ran is not None:
            console.print(f"\nBefore #{number} the operator ran:")
            for line in (f"$ extauthz {visit.ran.typed}", *visit.ran.lines):
                console.print(f"  {line}", soft_wrap=True, markup=False)


def _show_record(console: Console, stage: Stage, visits: list[Visit]) -> None:
    console.print(f"\nEvery decision is one line of {stage.records}, for example:", soft_wrap=True)
    chosen = next((v for v in reversed(visits) if v.answer.reason == "insufficient_scope"), visits[0])
    decision_id = chosen.answer.headers.get("x-extauthz-decision-id", "")
    clock, pause = SystemClock(), threading.Event()
    deadline = clock.monotonic() + _RECORD_SECONDS
    while clock.monotonic() < deadline:
        record = find_record(whole_lines(stage.records), decision_id)
        if record is not None:
            console.print(JSON.from_data(record))
            return
        pause.wait(_POLL_SECONDS)
    console.print("(none was written yet)")


def _keep(console: Console, stage: Stage) -> None:
    console.print("\n[bold]Everything keeps running. Try:[/bold]\n")
    for line in to_curl_lines(stage):
        console.print(line, soft_wrap=True, markup=False, style="dim" if line.startswith("#") else "")
    told = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: told.set())
    console.print("\nCtrl-C ends it.")  # True from here on.
    told.wait()
