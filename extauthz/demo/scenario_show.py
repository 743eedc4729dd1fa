"""`extauthz demo --scenario NN` as a person sees it: a table of who asked for what, and what came out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from extauthz.demo.child import ChildFailedError
from extauthz.demo.scenario import find_situations
from extauthz.demo.scenario_live import play
from extauthz.demo.scenario_stage import NotSwappedError, SituationStage
from extauthz.demo.stage import find_root

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from extauthz.demo.scenario import Situation
    from extauthz.demo.scenario_live import Moment
    from extauthz.demo.scenario_stage import Scene

ALL: Final = "all"
_PLAIN_WIDTH: Final = 132


def show_scenario(wanted: str, folder: Path) -> int:
    """Run one situation, or all of them, and return the exit code: 0 when every answer was as expected.

    Args:
        wanted: two digits, or `all`.
        folder: where logs and decision records go.
    """
    console = Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH, highlight=False)
    try:
        situations = find_situations(find_root())
        chosen = [each for each in situations if wanted in {ALL, each.number}]
        if not chosen:
            numbers = ", ".join(each.number for each in situations)
            console.print(f"There is no situation {wanted}. There are: {numbers}, and `{ALL}`.", style="red")
            return 2
        with SituationStage(find_root(), folder.absolute()) as stage:
            wrong = sum(
                _show(console, situation, list(stage.act(situation))) + _show_steps(console, play(stage, situation))
                for situation in chosen
            )
    except (ChildFailedError, FileNotFoundError, ModuleNotFoundError, NotSwappedError) as failed:
        console.print(str(failed), style="red", markup=False)
        return 1
    return 1 if wrong else 0


def _show(console: Console, situation: Situation, scenes: list[Scene]) -> int:
    """Print a situation; return how many answers were wrong."""
    console.print(f"\n[bold]{situation.number} {situation.title}[/bold]")
    if situation.waiting:
        console.print(f"waiting for its data: {', '.join(situation.waiting)}", style="yellow")
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for heading in ("case", "request", "expected", "answer", ""):
        table.add_column(heading)
    for scene in scenes:
        expect = scene.case.expect
        expected = "allow" if expect.outcome == "allow" else f"deny {expect.reason or ''}".strip()
        answer = scene.answer
        got = scene.obstacle if answer is None else f"{answer.status} {answer.reason}".strip()
        mark = "[dim]policy test[/dim]" if answer is None else "[red]WRONG[/red]" if scene.differences else "ok"
        style = "dim" if answer is None else None
        table.add_row(scene.case.name, scene.case.request, expected, got, mark, style=style)
    console.print(table)
    sent = [scene for scene in scenes if scene.answer is not None]
    wrong = sum(bool(scene.differences) for scene in sent)
    if sent:
        style = "bold red" if wrong else "bold green"
        console.print(f"{len(sent) - wrong} of {len(sent)} answers as expected", style=style)
    return wrong


def _show_steps(console: Console, moments: Iterable[Moment]) -> int:
    """Print what happens over time; return how many steps went wrong."""
    count = wrong = 0
    for moment in moments:
        if not count:
            console.print("\nover time, each caller with the token it has:")
        count += 1
        wrong += bool(moment.wrong)
        for line in _lines_of(moment):
            console.print(Text(line), style="red" if moment.wrong else None, soft_wrap=True)
    if count:
        style = "bold red" if wrong else "bold green"
        console.print(f"{count - wrong} of {count} steps as expected", style=style)
    return wrong


def _lines_of(moment: Moment) -> Iterator[str]:
    if moment.expected:
        mark = "WRONG, expected " + moment.expected if moment.wrong else "ok"
        yield f"    {moment.title:<44} {moment.got[0]:<28} {mark}"
        return
    yield f"  → {moment.title}"
    for line in (*moment.got, *moment.wrong):
        yield f"      {line}"
