"""What the policy commands take: settings, policies and logs, or an exit with what is wrong."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from extauthz.cli.problems import EXIT_CONFIG, or_exit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from extauthz.policy.compile import PolicyContext
    from extauthz.policy.ruleset import Ruleset

ConfigFileOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Settings file: names of profiles, the `acr` table, and the policy."),
]


def refuse_usage(sentence: str) -> NoReturn:
    """Say what to write instead, and exit as for any wrong command line.

    Raises:
        Exit: always.
    """
    typer.echo(sentence, err=True)
    raise typer.Exit(EXIT_CONFIG)


def context_from(config: Path) -> PolicyContext:
    """Return what the settings in a file say that policies may refer to.

    Raises:
        ConfigError: the settings are wrong.
    """
    from extauthz.config.load import load_settings  # noqa: PLC0415 — loaded only when it is needed
    from extauthz.server.policyfaces import policy_context  # noqa: PLC0415 — see above

    return policy_context(load_settings(config))


def load_ruleset(policy: Sequence[Path], config: Path | None) -> Ruleset:
    """Return the policy in files, or the one that settings name; exit when there is none, or it is wrong."""
    from extauthz.config.policyfiles import load_policy_files  # noqa: PLC0415 — see above
    from extauthz.policy.compile import compile_policy  # noqa: PLC0415 — see above

    paths, context = policy_and_context(policy, config)
    return or_exit(lambda: compile_policy(load_policy_files(paths), context))


def policy_and_context(policy: Sequence[Path], config: Path | None) -> tuple[list[Path], PolicyContext]:
    """Return the policy files that are given, or those that settings name; exit when there are none."""
    from extauthz.config.load import load_settings  # noqa: PLC0415 — see above
    from extauthz.policy.compile import PolicyContext  # noqa: PLC0415 — see above

    context, paths = PolicyContext(), list(policy)
    if config is not None:
        context = or_exit(lambda: context_from(config))
        paths = paths or list(or_exit(lambda: load_settings(config)).policy)
    if not paths:
        refuse_usage("Name policy files or folders, or a settings file with --config.")
    return paths, context


@contextmanager
def opened_log(path: Path) -> Iterator[Iterator[bytes]]:
    """Give the lines of a decision log; exit when it cannot be read."""
    from extauthz.policytools.records import lines_of, open_log  # noqa: PLC0415 — see above

    try:
        with open_log(path) as log:
            yield lines_of(log)
    except (OSError, EOFError) as error:
        refuse_usage(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}")
