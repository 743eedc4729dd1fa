"""`extauthz token`: why a token is accepted or refused, step by step. Signatures and secrets are never printed."""

from __future__ import annotations

import json
import sys
from pathlib import Path  # noqa: TC003 — typer reads annotations at run time
from typing import TYPE_CHECKING, Annotated, NoReturn
from urllib.parse import quote

import typer

from extauthz.cli.identities import AtOption, JsonOption, moment_or_exit
from extauthz.cli.problems import EXIT_CONFIG, or_exit

if TYPE_CHECKING:
    from extauthz.tokentools.inspection import Inspection

token_app = typer.Typer(name="token", help="Explain tokens.", no_args_is_help=True)

_SCHEMES = ("bearer ", "dpop ")


@token_app.callback()
def token() -> None:
    """Explain tokens by the code that serves."""


@token_app.command("inspect")
def inspect(  # noqa: PLR0913 — one for each option
    given: Annotated[
        str | None,
        typer.Argument(
            metavar="[TOKEN]", help="The token; better on standard input (`-`), which leaves no trace in the shell."
        ),
    ] = None,
    *,
    config: Annotated[Path, typer.Option("--config", "-c", help="Settings file (YAML).")],
    profile: Annotated[
        str | None, typer.Option(help="Verification profile; needed where several believe the token's issuer.")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Fetch nothing: what needs an issuer's answer is told as not made.")
    ] = False,
    keys: Annotated[
        Path | None, typer.Option(help="File with the JWK set of the token's issuer, instead of the configured place.")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="Client certificate that the token comes with (PEM).")
    ] = None,
    address: Annotated[
        str, typer.Option(help="Address that the request comes from, for networks in the registry.")
    ] = "",
    at: AtOption = None,
    as_json: JsonOption = False,
) -> None:
    """Explain a token: what it says, every check, whom it proves, what the registry adds. Exit with 1 if refused."""
    from extauthz.config.load import load_settings  # noqa: PLC0415 — loaded only when the command runs
    from extauthz.model.request import Source  # noqa: PLC0415 — see above
    from extauthz.request.address import canonical_address  # noqa: PLC0415 — see above
    from extauthz.telemetry.logging import set_up_logging  # noqa: PLC0415 — see above
    from extauthz.tokentools.inspection import inspect_token  # noqa: PLC0415 — see above
    from extauthz.tokentools.means import ProfileUnclear, choose_profile, opened  # noqa: PLC0415 — see above
    from extauthz.tokentools.show import lines_of, to_document  # noqa: PLC0415 — see above

    set_up_logging("error")
    now = moment_or_exit(at)
    text = _read_token(given)
    settings = or_exit(lambda: load_settings(config))
    source = canonical_address(address)
    if address and not source:
        _exit("--address: write an IP address")
    pem = _read(certificate) if certificate is not None else ""
    try:
        chosen = choose_profile(settings, text, profile)
    except ProfileUnclear as unclear:
        _exit(str(unclear))

    def judge() -> Inspection:
        with opened(settings, text, chosen, offline=offline, keys=keys) as means:
            return inspect_token(text, chosen, means, now, Source(address=source, certificate=quote(pem, safe="")))

    found = or_exit(judge)
    typer.echo(json.dumps(to_document(found, now), indent=2) if as_json else "\n".join(lines_of(found, now)))
    if not found.accepted:
        raise typer.Exit(1)


def _read_token(given: str | None) -> str:
    """Return the token without its scheme; exit when there is none."""
    if given in {None, "-"} and sys.stdin.isatty():
        typer.echo("Paste the token and press Ctrl-D.", err=True)
    text = sys.stdin.read() if given is None or given == "-" else given
    text = text.strip()
    for scheme in _SCHEMES:
        if text.lower().startswith(scheme):
            text = text[len(scheme) :].strip()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        _exit("give one token on standard input")
    return text


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except (OSError, ValueError) as error:
        _exit(f"{path}: cannot be read as PEM ({type(error).__name__})")


def _exit(sentence: str) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(EXIT_CONFIG)
