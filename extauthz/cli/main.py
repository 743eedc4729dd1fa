"""`extauthz`: the command line. A sub-command is imported when it is asked for, so that `--help` is quick."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from extauthz import __version__

_COMMANDS: Final = {
    "serve": ("extauthz.cli.serve:serve_app", "Answer Envoy's questions until told to stop."),
    "config": ("extauthz.cli.config:config_app", "Print the settings in force."),
    "policy": ("extauthz.cli.policy:policy_app", "Check, test, explain and compare policies."),
    "identities": ("extauthz.cli.identities:identities_app", "Show the registry: identities, roles, what is overdue."),
    "token": ("extauthz.cli.token:token_app", "Explain a token."),
    "keys": ("extauthz.cli.keys:keys_app", "Make, list, replace and revoke API keys."),
    "revoke": ("extauthz.cli.revoke:revoke_app", "Refuse what was issued up to now, with a receipt."),
    "quarantine": ("extauthz.cli.revoke:quarantine_app", "Refuse somebody until released."),
    "release": ("extauthz.cli.revoke:release_app", "Lift what holds against somebody."),
    "restrictions": ("extauthz.cli.sessions:restrictions_app", "List what holds against whom."),
    "sessions": ("extauthz.cli.sessions:sessions_app", "List live sessions."),
    "signals": ("extauthz.cli.signals:signals_app", "Security events: what arrived, what waits for a person."),
    "state": ("extauthz.cli.state:state_app", "Back the state file up, and look it over."),
    "health": ("extauthz.cli.health:health_app", "Ask a running server whether it serves."),
    "demo": ("extauthz.cli.demo:demo_app", "See it work behind a real Envoy."),
}
"""Name → where its typer app is, and its line in `--help`."""

_GROUPS: Final = frozenset({"keys", "policy", "demo", "identities", "signals", "state", "token"})
"""Commands with commands of their own; typer would flatten a group of one into that one."""


class LazyGroup(TyperGroup):
    """A group that imports a sub-command only in order to run it; `--help` needs the table alone."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = {name: TyperCommand(name, help=summary) for name, (_, summary) in _COMMANDS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the named command, imported now, with the arguments that are left for it."""
        name, stub, rest = super().resolve_command(ctx, args)
        return name, _load_command(name) if name else stub, rest


def _load_command(name: str) -> Any:
    module, _, attribute = _COMMANDS[name][0].partition(":")
    application: typer.Typer = getattr(import_module(module), attribute)
    return typer.main.get_group(application) if name in _GROUPS else typer.main.get_command(application)


app = typer.Typer(
    name="extauthz",
    cls=LazyGroup,
    help="Continuous authorization for Envoy.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 — typer calls it with the option's value
    if wanted:
        typer.echo(f"extauthz {__version__}")
        raise typer.Exit


@app.callback()
def main(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Continuous authorization for Envoy: every request is decided at the point of use."""
    del version
