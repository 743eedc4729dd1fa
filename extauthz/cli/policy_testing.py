"""`extauthz policy test`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from extauthz.cli.problems import or_exit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from extauthz.policytools.strength import Deletion, Tried
    from extauthz.policytools.suite import Result, Suite

PathsArgument = Annotated[
    list[Path] | None, typer.Argument(help="Test files, or folders of *_test.yaml files; `.` where none is given.")
]
PolicyOption = Annotated[
    list[Path] | None, typer.Option("--policy", help="Test these policy files instead of those that the tests name.")
]
ConfigFileOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="Settings file, instead of those that the tests name.")
]
JunitOption = Annotated[Path | None, typer.Option("--junit", help="Write the results as JUnit XML to this file.")]
StrengthOption = Annotated[
    bool, typer.Option("--strength", help="Also delete each rule and requirement in turn; a test must fail each time.")
]


def run_tests(  # noqa: PLR0913 — one for each option
    paths: PathsArgument = None,
    *,
    policy: PolicyOption = None,
    config: ConfigFileOption = None,
    junit: JunitOption = None,
    strength: StrengthOption = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of test files, and do no more.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show failures and the summary only.")] = False,
) -> None:
    """Run policy tests; exit with 1 when one fails, or with --strength when a deletion goes unnoticed."""
    from extauthz.cli.policy_inputs import context_from  # noqa: PLC0415 — see above

    if schema:
        from extauthz.policytools.caseform import schema_text  # noqa: PLC0415 — loaded only when the command runs

        typer.echo(schema_text(), nl=False)
        return
    from extauthz.cli.terminal import terminal  # noqa: PLC0415 — loaded only when the command runs
    from extauthz.policytools.suite import find_case_files, load_suite  # noqa: PLC0415 — see above

    def load() -> list[Suite]:
        context = context_from(config) if config is not None else None
        return [load_suite(path, context_from, policy or (), context) for path in find_case_files(paths or [Path()])]

    suites = or_exit(load)
    screen = terminal()
    results = {suite.file.name: _run(suite, screen, quiet=quiet) for suite in suites}
    if junit is not None:
        _write_junit(junit, results)
    passed = _summed_up(results, screen)
    if strength and passed:
        passed = _is_strong(suites, screen)
    if not passed:
        raise typer.Exit(1)


def _run(suite: Suite, screen: Console, *, quiet: bool) -> list[Result]:
    from extauthz.policytools.sentences import failure_lines  # noqa: PLC0415 — see above

    results = []
    for result in suite.run():
        results.append(result)
        if result.passed:
            if not quiet:
                screen.print(f"[green]pass[/] {suite.file.name}: ", end="")
                screen.print(result.case.name, markup=False)
            continue
        screen.print(f"[red]FAIL[/] {suite.file.name}: ", end="")
        screen.print(result.case.name, markup=False, style="bold")
        for line in failure_lines(result):
            style = "red" if line.startswith("  - ") else "green" if line.startswith("  + ") else ""
            screen.print(f"  {line}", markup=False, style=style)
    return results


def _summed_up(results: dict[str, list[Result]], screen: Console) -> bool:
    """Print the summary; return whether all passed."""
    from extauthz.policytools.sentences import counted  # noqa: PLC0415 — see above

    total = sum(len(each) for each in results.values())
    failed = sum(not result.passed for each in results.values() for result in each)
    files = counted(len(results), "file")
    if failed:
        screen.print(f"[red]{failed} of {counted(total, 'test')} failed[/] in {files}")
    else:
        screen.print(f"[green]{counted(total, 'test')} passed[/] in {files}")
    return not failed


def _is_strong(suites: Sequence[Suite], screen: Console) -> bool:
    """Print what could be deleted unnoticed; return whether nothing could."""
    from rich.progress import track  # noqa: PLC0415 — see above

    from extauthz.policytools.sentences import counted  # noqa: PLC0415 — see above
    from extauthz.policytools.strength import find_deletions, try_deletions  # noqa: PLC0415 — see above

    groups: dict[tuple[object, ...], list[Suite]] = {}
    for suite in suites:
        groups.setdefault((tuple(suite.sources), repr(suite.context)), []).append(suite)
    survivors: list[Deletion] = []
    total = 0
    for group in groups.values():
        deletions = find_deletions(group[0].sources)
        tried: Iterable[Tried] = try_deletions(group, deletions)
        if screen.is_terminal:
            tried = track(tried, "deleting", total=len(deletions), console=screen, transient=True)
        outcomes = [each for each in tried if each.possible]
        total += len(outcomes)
        survivors.extend(each.deletion for each in outcomes if each.survived)
    for deletion in survivors:
        screen.print(
            f"{deletion.file}:{deletion.line}: {deletion.what} can be deleted and every test still passes"
            " — add a test that needs it, or delete it",
            markup=False,
        )
    if survivors:
        screen.print(f"[red]{len(survivors)} of {counted(total, 'deletion')} went unnoticed[/]")
    else:
        screen.print(f"[green]strong: each of {counted(total, 'deletion')} fails a test[/]")
    return not survivors


def _write_junit(path: Path, results: dict[str, list[Result]]) -> None:
    from extauthz.policytools.junit import to_junit  # noqa: PLC0415 — see above
    from extauthz.policytools.sentences import failure_lines  # noqa: PLC0415 — see above

    said = {
        id(result): "\n".join(failure_lines(result))
        for each in results.values()
        for result in each
        if not result.passed
    }
    try:
        path.write_bytes(to_junit(results, said))
    except OSError as error:
        typer.echo(f"{path}: cannot be written: {error.strerror}", err=True)
        raise typer.Exit(2) from error
