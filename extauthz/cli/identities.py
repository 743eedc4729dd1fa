"""`extauthz identities`: the registry as people and programs read it. It never changes anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from extauthz.cli.problems import EXIT_CONFIG, or_exit
from extauthz.cli.registrytable import lines_of, print_table, to_document
from extauthz.clock import Instant, SystemClock

if TYPE_CHECKING:
    from extauthz.config.settings import Settings
    from extauthz.registry.index import Registry

identities_app = typer.Typer(name="identities", help="Show declared identities.", no_args_is_help=True)

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="Settings file (YAML), which names the registry.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AtOption = Annotated[
    str | None, typer.Option("--at", help="Show it as of this day or instant (2030-01-31T18:00:00Z) instead of now.")
]


@identities_app.callback()
def identities() -> None:
    """Show declared identities, the roles bound to them, and what somebody should look at."""


@identities_app.command("list")
def list_identities(config: ConfigOption, *, as_json: JsonOption = False, at: AtOption = None) -> None:
    """Print one line for each entry; warnings go to standard error."""
    now = moment_or_exit(at)
    settings, registry = _load(config)
    documents = [to_document(registry, name, now) for name in registry.matches]
    if as_json:
        typer.echo(json.dumps(documents, indent=2))
    else:
        from extauthz.cli.terminal import terminal  # noqa: PLC0415 — loaded only when the command runs

        print_table(documents, terminal())
    for document in documents:
        for warning in document["warnings"]:
            typer.echo(f"warning: {document['name']}: {warning}", err=True)
    _warn_of_doubts(settings, registry)


@identities_app.command("show")
def show_identity(
    name: Annotated[str, typer.Argument(help="Name of the entry.")],
    config: ConfigOption,
    *,
    as_json: JsonOption = False,
    at: AtOption = None,
) -> None:
    """Print one entry; exit with 1 when there is none of that name."""
    from extauthz.validation import did_you_mean  # noqa: PLC0415 — loaded only when the command runs

    now = moment_or_exit(at)
    _, registry = _load(config)
    if name not in registry.matches:
        typer.echo(f"there is no identity `{name}` — {did_you_mean(name, registry.matches)}", err=True)
        raise typer.Exit(1)
    document = to_document(registry, name, now)
    typer.echo(json.dumps(document, indent=2) if as_json else "\n".join(lines_of(document)))


def moment_or_exit(text: str | None) -> Instant:
    """Return the instant that an option names, or now; exit when it names none."""
    from extauthz.registry.moments import parse_moment  # noqa: PLC0415 — loaded only when the command runs

    if text is None:
        return SystemClock().now()
    try:
        return parse_moment(text)
    except ValueError:
        typer.echo("--at: write a day or an instant, for example 2030-01-31T18:00:00Z", err=True)
        raise typer.Exit(EXIT_CONFIG) from None


def _load(config: Path) -> tuple[Settings, Registry]:
    from extauthz.config.load import load_settings  # noqa: PLC0415 — loaded only when the command runs
    from extauthz.config.registry import load_registry_files  # noqa: PLC0415 — see above
    from extauthz.registry.build import build_registry  # noqa: PLC0415 — see above

    settings = or_exit(lambda: load_settings(config))
    if not settings.registry.paths:
        typer.echo(f"{config}: there is no registry — name its files under `registry.paths`", err=True)
        raise typer.Exit(EXIT_CONFIG)
    return settings, or_exit(lambda: build_registry(load_registry_files(settings.registry.paths)))


def _warn_of_doubts(settings: Settings, registry: Registry) -> None:
    """Tell what leads nowhere by the settings, and by the policy where that can be read."""
    from extauthz.config.policyfiles import load_policy_files  # noqa: PLC0415 — loaded only when the command runs
    from extauthz.errors import FileError  # noqa: PLC0415 — see above
    from extauthz.policy.compile import compile_policy  # noqa: PLC0415 — see above
    from extauthz.registry.doubts import find_doubts  # noqa: PLC0415 — see above
    from extauthz.server.policyfaces import policy_context  # noqa: PLC0415 — see above

    attributes = None
    try:
        attributes = compile_policy(load_policy_files(settings.policy), policy_context(settings)).attributes
    except FileError:
        typer.echo("note: the policy cannot be read, so the places of bindings are not held against it", err=True)
    for doubt in find_doubts(registry, {issuer.issuer for issuer in settings.issuers}, attributes):
        typer.echo(f"warning: {doubt}", err=True)
