"""`extauthz policy diff` and `extauthz policy replay`: what a policy would change, by its effect."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer

from extauthz.cli.policy_inputs import ConfigFileOption, load_ruleset, opened_log, refuse_usage
from extauthz.cli.problems import or_exit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rich.console import Console
    from rich.table import Table

    from extauthz.policytools.changes import Tally

LogsArgument = Annotated[list[Path], typer.Argument(help="Decision logs, also packed ones (.gz).")]
NewOption = Annotated[list[Path], typer.Option("--policy", "-p", help="The policy to try: files or folders.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
ExitOption = Annotated[bool, typer.Option("--exit-code", help="Exit with 1 when a decision would change.")]
BeforeArgument = Annotated[Path, typer.Argument(help="A policy file or folder.")]
AfterArgument = Annotated[Path, typer.Argument(help="Another.")]
TestsOption = Annotated[
    list[Path] | None, typer.Option("--tests", help="Compare on the requests of these test files or folders.")
]
LogOption = Annotated[list[Path] | None, typer.Option("--log", help="Compare on the requests in these decision logs.")]


def replay(
    logs: LogsArgument,
    *,
    policy: NewOption,
    config: ConfigFileOption = None,
    as_json: JsonOption = False,
    exit_code: ExitOption = False,
) -> None:
    """Decide again what decision logs record, under another policy, and show what would change."""
    from extauthz.policytools.replay import replay as run  # noqa: PLC0415 — loaded only when the command runs

    ruleset = load_ruleset(policy, config)
    tally = _over_logs(logs, lambda lines, progress, tally: run(lines, ruleset, tally, progress))
    _finish(tally, as_json=as_json, exit_code=exit_code)


def diff(  # noqa: PLR0913 — one for each option
    before: BeforeArgument,
    after: AfterArgument,
    *,
    tests: TestsOption = None,
    log: LogOption = None,
    config: ConfigFileOption = None,
    as_json: JsonOption = False,
    exit_code: ExitOption = False,
) -> None:
    """Show which requests two policies answer differently: those of test files, of decision logs, or of both."""
    from extauthz.policytools.replay import compare_cases, compare_policies  # noqa: PLC0415 — see above
    from extauthz.policytools.suite import find_case_files, load_case_file  # noqa: PLC0415 — see above

    if not tests and not log:
        refuse_usage("Name what to compare on: test files with --tests, decision logs with --log, or both.")
    first, second = load_ruleset([before], config), load_ruleset([after], config)
    tally = _over_logs(
        log or [],
        lambda lines, progress, tally: compare_policies(lines, first, second, tally, progress),
    )
    for file in or_exit(lambda: [load_case_file(path) for path in find_case_files(tests or [])]):
        compare_cases(file.cases, first, second, tally)
    _finish(tally, as_json=as_json, exit_code=exit_code)


def _over_logs(logs: Sequence[Path], run: Callable[[Iterable[bytes], Callable[[int], object], Tally], object]) -> Tally:
    """Count over logs, one after another, with a progress bar where somebody watches."""
    from extauthz.cli.terminal import terminal  # noqa: PLC0415 — see above
    from extauthz.policytools.changes import Tally  # noqa: PLC0415 — see above

    tally = Tally()
    if not logs:
        return tally
    screen = terminal(errors=True)
    started = time.monotonic()
    over_lines(logs, lambda lines, progress: run(lines, progress, tally))
    seconds = max(time.monotonic() - started, 1e-6)
    seen = tally.total + tally.unreadable
    screen.print(f"{seen:,} records in {seconds:.1f} s ({seen / seconds:,.0f} a second)")
    return tally


def over_lines(logs: Sequence[Path], run: Callable[[Iterable[bytes], Callable[[int], object]], object]) -> None:
    """Give the lines of logs to `run`, one log after another, with a progress bar where somebody watches."""
    from extauthz.cli.terminal import terminal  # noqa: PLC0415 — see above

    with _Bar(terminal(errors=True)) as bar:
        for path in logs:
            with opened_log(path) as lines:
                bar.begin(path)
                run(lines, bar.step)


class _Bar:
    """A progress bar by bytes, drawn anew every few hundred records; nothing is drawn where nobody watches."""

    _EVERY = 250

    def __init__(self, screen: Console) -> None:
        from rich.progress import (  # noqa: PLC0415 — see above
            BarColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal)
        self._name = ""
        self._records = self._bytes = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, path: Path) -> None:
        """Show the next file."""
        known = path.suffix != ".gz" and path.is_file()  # What a packed file unpacks to is not known beforehand.
        self._task = self._progress.add_task(path.name, total=path.stat().st_size if known else None)
        self._name = path.name
        self._records = self._bytes = 0

    def step(self, size: int) -> None:
        """Count a record of so many bytes."""
        self._records += 1
        self._bytes += size
        if self._records % self._EVERY == 0:
            text = f"{self._name}  {self._records:,} records"
            self._progress.update(self._task, completed=self._bytes, description=text)


def _finish(tally: Tally, *, as_json: bool, exit_code: bool) -> None:
    """Show what was counted, and exit."""
    if as_json:
        typer.echo(json.dumps(tally.to_json(), indent=2))
    else:
        _show(tally)
    if exit_code and (tally.changed or tally.untold_count):
        raise typer.Exit(1)


def _show(tally: Tally) -> None:
    from extauthz.cli.terminal import terminal  # noqa: PLC0415 — see above
    from extauthz.policytools.sentences import counted  # noqa: PLC0415 — see above

    screen = terminal()
    if tally.groups:
        screen.print(_changes_table(tally))
    if tally.untold:
        screen.print(_untold_table(tally))
    if tally.beyond:
        screen.print(f"and {counted(tally.beyond, 'change')} in further groups")
    if tally.unreadable:
        screen.print(f"{counted(tally.unreadable, 'line')} without a decision record")
    opened, closed, other = (tally.count_of(change) for change in ("opened", "closed", "reason"))
    style = "green" if not tally.changed else "yellow"
    screen.print(
        f"{counted(tally.total, 'decision')}: {tally.same:,} the same, [{style}]{tally.changed:,} changed[/]"
        f" ({opened:,} deny → allow, {closed:,} allow → deny, {other:,} other reason),"
        f" {tally.untold_count:,} cannot be told"
    )


def _changes_table(tally: Tally) -> Table:
    from rich.markup import escape  # noqa: PLC0415 — see above
    from rich.table import Table  # noqa: PLC0415 — see above

    colours = {"opened": "red", "closed": "yellow", "reason": "cyan"}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("count", "resource.action", "kind", "client", "before → after", "for example"):
        table.add_column(title, justify="right" if title == "count" else "left", overflow="fold")
    for group, found in tally.ordered():
        change = f"[{colours[group.change]}]{group.before} → {group.after}[/]"
        example = escape(found.examples[0]) if found.examples else ""
        table.add_row(
            f"{found.count:,}",
            escape(group.target or "-"),
            group.kind or "-",
            escape(group.client or "-"),
            change,
            example,
        )
    return table


def _untold_table(tally: Tally) -> Table:
    from rich.markup import escape  # noqa: PLC0415 — see above
    from rich.table import Table  # noqa: PLC0415 — see above

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("count", "cannot be told without", "for example"):
        table.add_column(title, justify="right" if title == "count" else "left", overflow="fold")
    for missing, found in sorted(tally.untold.items(), key=lambda entry: -entry[1].count):
        table.add_row(f"{found.count:,}", escape(missing), escape(found.examples[0]))
    return table
