"""`extauthz revoke`, `quarantine` and `release`: take something away from somebody now, and give it back.

The keeper of the running server carries it out, and its answer is the receipt: where it is in force, and after how
long. Exit codes: 0 in force everywhere, 1 no keeper answers or it could not, 2 wrong usage, 3 durable but not
confirmed everywhere, 4 held for a person.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from extauthz.cli.keeperlink import ask, leave, settings_or_exit, who
from extauthz.cli.options import ConfigOption  # noqa: TC001 — typer reads annotations at run time
from extauthz.cli.problems import EXIT_CONFIG
from extauthz.cli.receipts import exit_code_of, lines_of, read_receipt, to_answer
from extauthz.cli.targets import FORMS, WIDE, as_typed, describe, mark_of, mark_of_token, read_token
from extauthz.ids import new_random_bytes
from extauthz.limits import MAX_CLAIM_STRING_BYTES
from extauthz.model.restriction import Effect, Form
from extauthz.policytools.sentences import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from extauthz.config.settings import Settings
    from extauthz.model.receipt import Receipt
    from extauthz.model.restriction import Mark

MOST_UNASKED: Final = 100
"""Live sessions that a program may end without `--yes`."""

_ID_BYTES: Final = 16

_EXAMPLES: Final = {
    "revoke": """Examples:

    extauthz revoke session 7f3c --reason "laptop stolen"

    extauthz revoke token --token-file - --reason "seen in a log"   (the token on standard input)

    extauthz revoke client billing --issuer https://login.example --reason "secret leaked" --yes
""",
    "quarantine": """Examples:

    extauthz quarantine subject agent-7 --reason "reads what it never read"

    extauthz quarantine workload "repo:acme/web@deploy" --reason "under investigation"
""",
    "release": """Examples:

    extauthz release client billing --reason "secret was rotated"

    extauthz release subject agent-7 --effect quarantined --reason "reviewed"
""",
}

FormArgument = Annotated[Form, typer.Argument(metavar="FORM", show_choices=False, help=f"What sort: {FORMS}.")]
NameArgument = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="Its name at its issuer, as decision records show it.")
]
IssuerOption = Annotated[str | None, typer.Option(help="Who named it; may be left out where one issuer is configured.")]
ReasonOption = Annotated[str, typer.Option(help="Why, for whoever asks later; kept with the action.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
TokenOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file", help="File with the token itself, `-` for standard input; never give it on the command line."
    ),
]
OutputOption = Annotated[Literal["text", "json"], typer.Option("--output", "-o", help="Form of the answer.")]
OfflineOption = Annotated[
    bool,
    typer.Option("--offline", help="No server runs: write into the state file; in force when one starts."),
]

revoke_app = typer.Typer(add_completion=False)
quarantine_app = typer.Typer(add_completion=False)
release_app = typer.Typer(add_completion=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What somebody wants done.

    Attributes:
        kind: of the action.
        mark: whom it is about.
        effect: what it does; None lifts every effect.
        reason: why.
        assured: whether it was said beforehand that it is meant.
        output: `text` or `json`.
        offline: whether the state file is written without a keeper.
    """

    kind: Literal["revoke", "quarantine", "release"]
    mark: Mark
    effect: Effect | None
    reason: str
    assured: bool
    output: Literal["text", "json"]
    offline: bool = False

    @property
    def op(self) -> str:
        """Return what the keeper calls it."""
        return "lift" if self.kind == "release" else "restrict"


@revoke_app.command(epilog=_EXAMPLES["revoke"])
def revoke(  # noqa: PLR0913 — each is an option of its own
    form: FormArgument,
    name: NameArgument = None,
    *,
    reason: ReasonOption,
    issuer: IssuerOption = None,
    token_file: TokenOption = None,
    yes: YesOption = False,
    offline: OfflineOption = False,
    output: OutputOption = "text",
    config: ConfigOption = None,
) -> None:
    """Refuse what was issued up to now, from the next decision on, kept decisions included.

    People get in again by signing in anew. Clients, workloads and machines as subjects stay refused until they are
    released: whoever stole a machine's secret can have new tokens made.
    """
    settings = settings_or_exit(config)
    issuers = tuple(each.issuer for each in settings.issuers)
    if token_file is not None:
        if form is not Form.TOKEN or name is not None:
            message = "goes with `revoke token`, in place of NAME"
            raise typer.BadParameter(message, param_hint="--token-file")
        mark = mark_of_token(read_token(token_file), (issuer,) if issuer in issuers else issuers)
    else:
        mark = mark_of(form, name, issuer, issuers)
    _carry_out(
        settings,
        Order(
            kind="revoke",
            mark=mark,
            effect=Effect.REVOKED,
            reason=_line("--reason", reason),
            assured=yes,
            output=output,
            offline=offline,
        ),
    )


@quarantine_app.command(epilog=_EXAMPLES["quarantine"])
def quarantine(  # noqa: PLR0913 — each is an option of its own
    form: FormArgument,
    name: NameArgument = None,
    *,
    reason: ReasonOption,
    issuer: IssuerOption = None,
    yes: YesOption = False,
    offline: OfflineOption = False,
    output: OutputOption = "text",
    config: ConfigOption = None,
) -> None:
    """Refuse somebody from the next decision on, whatever they come with, until they are released."""
    settings = settings_or_exit(config)
    mark = mark_of(form, name, issuer, tuple(each.issuer for each in settings.issuers))
    _carry_out(
        settings,
        Order(
            kind="quarantine",
            mark=mark,
            effect=Effect.QUARANTINED,
            reason=_line("--reason", reason),
            assured=yes,
            output=output,
            offline=offline,
        ),
    )


@release_app.command(epilog=_EXAMPLES["release"])
def release(  # noqa: PLR0913 — each is an option of its own
    form: FormArgument,
    name: NameArgument = None,
    *,
    reason: ReasonOption,
    issuer: IssuerOption = None,
    effect: Annotated[Effect | None, typer.Option(help="Lift only this; everything unless given.")] = None,
    output: OutputOption = "text",
    config: ConfigOption = None,
) -> None:
    """Lift what holds against somebody, whoever said it: a person's revocation and a signal's alike."""
    settings = settings_or_exit(config)
    mark = mark_of(form, name, issuer, tuple(each.issuer for each in settings.issuers))
    _carry_out(
        settings,
        Order(
            kind="release",
            mark=mark,
            effect=effect,
            reason=_line("--reason", reason),
            assured=True,
            output=output,
        ),
    )


def _carry_out(settings: Settings, order: Order) -> None:
    """Do it, tell what came of it, and exit."""
    if order.op == "restrict" and not order.offline:
        _confirm(order, _count(settings, order.mark))
    effects = {} if order.effect is None else {"effects": [order.effect.value]}
    question = {
        "op": order.op,
        "id": new_random_bytes(_ID_BYTES).hex(),
        "marks": [_named(order.mark)],
        "by": who(),
        "reason": order.reason,
        **({"kind": order.kind, "effect": _required(order.effect).value} if order.op == "restrict" else effects),
    }
    try:
        receipt = read_receipt(_answer(settings, order, question))
    except ValueError as error:
        leave(f"{error}; are the command and the server of the same version?")
    if order.output == "json":
        document = {"action": order.kind, "target": _named(order.mark), "receipt": to_answer(receipt)}
        typer.echo(json.dumps(document, indent=2))
    else:
        typer.echo("\n".join(_told(order, receipt)))
    raise typer.Exit(0 if order.offline else exit_code_of(receipt))


def _answer(settings: Settings, order: Order, question: Mapping[str, Any]) -> Mapping[str, Any]:
    if not order.offline:
        return ask(settings, question)
    from extauthz.cli.offline import ask_offline  # noqa: PLC0415 — loaded only when no server runs

    return ask_offline(settings, question)


def _told(order: Order, receipt: Receipt) -> Iterator[str]:
    what = describe(order.mark)
    if order.op == "lift" and receipt.changed == 0 and not receipt.held:
        yield f"nothing held against {what}; `extauthz restrictions` lists what does"
        return
    done = {"revoke": "revoked", "quarantine": "quarantined", "release": "released"}[order.kind]
    yield f"{done} {what}" + (f" ({counted(receipt.changed, 'restriction')} lifted)" if order.op == "lift" else "")
    if order.offline:
        yield "it is on disk, and in force from the first decision of the server that is started next"
    else:
        yield from lines_of(receipt)
    if order.op == "restrict" and not receipt.held:
        yield from _afterwards(order)


def _afterwards(order: Order) -> Iterator[str]:
    """Yield how it ends."""
    undo = f"`extauthz release {as_typed(order.mark)} --reason …`"
    form = order.mark.form
    if order.kind == "quarantine":
        yield f"refused until {undo}"
    elif form in {Form.CLIENT, Form.WORKLOAD}:
        yield f"stays quarantined until {undo}: whoever has its secret can get new tokens"
    elif form is Form.SESSION:
        yield "refreshed tokens of it stay refused; a new sign-in begins it anew"
    elif form is Form.SUBJECT:
        yield f"a person gets in again by signing in anew; a machine stays quarantined until {undo}"


def _count(settings: Settings, mark: Mark) -> int:
    return int(ask(settings, {"op": "count", "marks": [_named(mark)]})["sessions"])


def _named(mark: Mark) -> dict[str, str]:
    return {"form": mark.form.value, "issuer": mark.issuer, "value": mark.value}


def _confirm(order: Order, sessions: int) -> None:
    """Say how many it is about, and go on only when it is meant."""
    about = f"{order.kind} {describe(order.mark)}: {counted(sessions, 'live session')}"
    if sessions == 0 and order.mark.form not in {Form.ISSUER, Form.EVERYBODY}:
        about += " (none of that name was seen lately; is it spelt as in decision records?)"
    typer.echo(about, err=True)
    if order.assured:
        return
    if sys.stdin.isatty():
        if not typer.confirm("Go on?", err=True):
            leave("nothing was done", EXIT_CONFIG)
    elif order.mark.form in WIDE or sessions > MOST_UNASKED:
        limit = "everybody there" if order.mark.form in WIDE else f"more than {MOST_UNASKED} live sessions"
        leave(f"nothing was done: about {limit}; add --yes if that is meant", EXIT_CONFIG)


def _required(effect: Effect | None) -> Effect:
    if effect is None:
        message = "a restriction has an effect"
        raise ValueError(message)
    return effect


def _line(option: str, text: str) -> str:
    if not text.strip() or not text.isprintable() or len(text.encode()) > MAX_CLAIM_STRING_BYTES:
        message = f"must be 1 to {MAX_CLAIM_STRING_BYTES} bytes of text on one line"
        raise typer.BadParameter(message, param_hint=option)
    return text
