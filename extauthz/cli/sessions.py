"""`extauthz sessions` and `extauthz restrictions`: who was seen lately, and what holds against whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from extauthz.cli.keeperlink import ask, settings_or_exit
from extauthz.cli.options import ConfigOption  # noqa: TC001 — typer reads annotations at run time
from extauthz.cli.statetable import moment, show, text
from extauthz.cli.targets import as_typed
from extauthz.model.restriction import Form, Mark

if TYPE_CHECKING:
    from collections.abc import Mapping

sessions_app = typer.Typer(add_completion=False)
restrictions_app = typer.Typer(add_completion=False)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
IssuerOption = Annotated[str | None, typer.Option(help="Only of this issuer.")]
LimitOption = Annotated[int, typer.Option(min=1, max=1000, help="How many at most, the newest first.")]

_SESSIONS: Final = """Examples:

    extauthz sessions --subject alice

    extauthz sessions --tenant acme --json
"""
_RESTRICTIONS: Final = """Examples:

    extauthz restrictions

    extauthz restrictions --form client --all
"""


@sessions_app.command(epilog=_SESSIONS)
def sessions(  # noqa: PLR0913 — each is an option of its own
    *,
    subject: Annotated[str | None, typer.Option(help="Only of this subject.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
    issuer: IssuerOption = None,
    limit: LimitOption = 100,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List live sessions: whose, since when, last seen when, from how many addresses, how many decisions."""
    settings = settings_or_exit(config)
    asked = {"issuer": issuer, "subject": subject, "tenant": tenant}
    question = {"op": "sessions", "limit": limit, **{name: value for name, value in asked.items() if value}}
    answer = ask(settings, question)
    rows = answer.get("sessions", [])
    columns = (
        ("session", text("session")),
        ("subject", text("subject")),
        ("client", text("client")),
        ("tenant", text("tenant")),
        ("issuer", text("issuer")),
        ("first seen", moment("first_seen")),
        ("last seen", moment("last_seen")),
        ("sources", lambda row: str(len(row.get("sources") or ()))),
        ("decisions", text("decisions")),
    )
    show(rows, columns, as_json=as_json, nothing="no live session; those idle for more than 12 hours are not counted")
    _tell_of_more(len(rows), answer.get("total"), as_json=as_json)


@restrictions_app.command(epilog=_RESTRICTIONS)
def restrictions(  # noqa: PLR0913 — each is an option of its own
    *,
    form: Annotated[Form | None, typer.Option(help="Only this sort of target.")] = None,
    name: Annotated[str | None, typer.Option(help="Only on this target; with --form.")] = None,
    issuer: IssuerOption = None,
    source: Annotated[str | None, typer.Option(help="Only what this one says: `operator`, or `stream NAME`.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also what was lifted, or is over.")] = False,
    limit: LimitOption = 100,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List what holds against whom: since when, by whom, why, and until when."""
    settings = settings_or_exit(config)
    if name is not None and form is None:
        message = "goes with --form"
        raise typer.BadParameter(message, param_hint="--name")
    asked = {"form": form.value if form is not None else None, "value": name, "issuer": issuer, "source": source}
    question = {"op": "restrictions", "limit": limit, **{key: value for key, value in asked.items() if value}}
    answer = ask(settings, {**question, "all": True} if everything else question)
    rows = answer.get("restrictions", [])
    columns = (
        ("effect", text("effect")),
        ("target", _target),
        ("since", moment("event_at")),
        ("until", lambda row: "lifted" if row.get("in_force") is False else moment("until")(row) or "released"),
        ("source", text("source")),
        ("by", text("by")),
        ("reason", text("reason")),
    )
    show(rows, columns, as_json=as_json, nothing="nothing holds against anybody")
    _tell_of_more(len(rows), answer.get("total"), as_json=as_json)


def _target(row: Mapping[str, Any]) -> str:
    named = [row, *(row.get("also") or ())]
    return " and ".join(
        as_typed(Mark(Form(each["form"]), str(each.get("issuer", "")), str(each.get("value", "")))) for each in named
    )


def _tell_of_more(shown: int, total: object, *, as_json: bool) -> None:
    if not as_json and isinstance(total, int) and total > shown:
        typer.echo(f"{shown:,} of {total:,}; --limit shows more", err=True)
