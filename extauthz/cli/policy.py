"""`extauthz policy`: tools for people who write policy."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 — typer reads annotations at run time
from typing import Annotated

import typer

from extauthz.cli.policy_compare import diff, replay
from extauthz.cli.policy_explain import explain
from extauthz.cli.policy_inputs import policy_and_context
from extauthz.cli.policy_propose import propose
from extauthz.cli.policy_testing import run_tests
from extauthz.errors import PolicyError

policy_app = typer.Typer(name="policy", help="Check, test, explain and compare policies.", no_args_is_help=True)
policy_app.command("test")(run_tests)
policy_app.command()(explain)
policy_app.command()(diff)
policy_app.command()(replay)
policy_app.command()(propose)


@policy_app.callback()
def policy() -> None:
    """Work with policy files."""


@policy_app.command()
def check(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Policy files, or directories of *.yaml files.", show_default=False)
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="Settings file: checks the names of its profiles, and its policy where no path is given."),
    ] = None,
) -> None:
    """Report every problem in policy files by file, line and fix; exit with 1 when there is one."""
    # Imported here so that `extauthz --help` stays quick.
    from extauthz.config.policyfiles import load_policy_files  # noqa: PLC0415 — loaded only when the command runs
    from extauthz.policy.compile import compile_policy  # noqa: PLC0415 — see above

    paths, context = policy_and_context(paths or [], config)
    try:
        ruleset = compile_policy(load_policy_files(paths), context)
    except PolicyError as error:
        for problem in error.problems:
            typer.echo(str(problem), err=True)
        count = len(error.problems)
        typer.echo(f"{count} problem{'' if count == 1 else 's'}; nothing of this policy would be used.", err=True)
        raise typer.Exit(1) from error
    for warning in ruleset.warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(f"ok: {ruleset.counts}; revision {ruleset.revision}")
