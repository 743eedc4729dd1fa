"""`extauthz signals tail|held|admit|dismiss`: what was reported to us, and what waits for a person.

`extauthz/cli/signals.py` puts these under `extauthz signals`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from extauthz.cli.keeperlink import ask, leave, settings_or_exit, who
from extauthz.cli.options import ConfigOption  # noqa: TC001 — typer reads annotations at run time
from extauthz.cli.receipts import exit_code_of, lines_of, read_receipt, to_answer
from extauthz.cli.statetable import moment, printable, show, text, to_moment
from extauthz.policytools.sentences import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
HeldId = Annotated[str, typer.Argument(metavar="ID", help="From `extauthz signals held`.")]

TAIL_EXAMPLES: Final = """Examples:

    extauthz signals tail

    extauthz signals tail --follow --json | jq .subject
"""

_WAIT: Final = 20.0
"""Seconds that the keeper is asked to wait for something new at a time."""


def tail(
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on printing what arrives.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, max=1000, help="Of what arrived before.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    config: ConfigOption = None,
) -> None:
    """Print what arrived: when, from whom, what about whom, what became of it, how old it was when it took effect."""
    settings = settings_or_exit(config)
    answer = ask(settings, {"op": "tail", "after": None, "limit": lines})
    _print(answer.get("events", []), as_json=as_json)
    try:
        while follow:
            answer = ask(settings, {"op": "tail", "after": answer["last"], "limit": 1000, "wait": _WAIT}, wait=_WAIT)
            _print(answer.get("events", []), as_json=as_json)
    except KeyboardInterrupt:
        raise typer.Exit from None


def held(*, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """List the events that would end so many sessions that a person has to say whether they are meant."""
    answer = ask(settings_or_exit(config), {"op": "held"})
    columns = (
        ("id", text("id")),
        ("arrived", moment("received_at")),
        ("source", text("source")),
        ("kind", text("kind")),
        ("about", text("subject")),
        ("would end", lambda row: counted(int(row.get("sessions") or 0), "session")),
    )
    show(answer.get("held", []), columns, as_json=as_json, nothing="nothing waits for a person")
    if answer.get("more"):
        typer.echo(f"and {answer['more']} more, which are listed when these are settled", err=True)


def admit(event: HeldId, *, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Let a held event take effect now."""
    try:
        receipt = read_receipt(ask(settings_or_exit(config), {"op": "admit", "id": event, "by": who()}))
    except ValueError as error:
        leave(f"{error}; are the command and the server of the same version?")
    if as_json:
        typer.echo(json.dumps({"action": "admit", "id": event, "receipt": to_answer(receipt)}, indent=2))
    else:
        typer.echo("\n".join((f"admitted {event}", *lines_of(receipt))))
    raise typer.Exit(exit_code_of(receipt))


def dismiss(event: HeldId, *, config: ConfigOption = None) -> None:
    """Do away with a held event; it never takes effect, also when it is sent again."""
    ask(settings_or_exit(config), {"op": "dismiss", "id": event, "by": who()})
    typer.echo(f"dismissed {event}")


def _print(events: Iterable[Mapping[str, Any]], *, as_json: bool) -> None:
    for event in events:
        typer.echo(json.dumps(event) if as_json else line_of(event))


def line_of(event: Mapping[str, Any]) -> str:
    """Return an event in one line."""
    parts = [to_moment(event.get("received_at")), str(event.get("source", "")), str(event.get("kind", ""))]
    parts += [str(event.get("subject") or "-"), str(event.get("outcome", ""))]
    parts += [f"({event[name]})" for name in ("detail", "reason") if event.get(name)]
    if event.get("by"):
        parts.append(f"by {event['by']}")
    return printable("  ".join(parts))
