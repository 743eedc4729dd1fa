"""Sessions, restrictions and events of the keeper's answers as tables for people; JSON is printed as it came."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from extauthz.cli.terminal import terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Column = tuple[str, "Callable[[Mapping[str, Any]], str]"]
"""A heading, and the text of its cell."""


def show(rows: Sequence[Mapping[str, Any]], columns: Iterable[Column], *, as_json: bool, nothing: str) -> None:
    """Print one line for each row, or all of them as JSON; `nothing` is what people read when there is none."""
    if as_json:
        typer.echo(json.dumps(list(rows), indent=2))
        return
    if not rows:
        typer.echo(nothing)
        return
    from rich.table import Table  # noqa: PLC0415 — loaded only when something is shown
    from rich.text import Text  # noqa: PLC0415 — see above

    shown = tuple(columns)
    table = Table(box=None, pad_edge=False)
    for heading, _ in shown:
        table.add_column(heading, no_wrap=True)
    for row in rows:
        table.add_row(*(Text(printable(cell(row)) or "-") for _, cell in shown))
    terminal().print(table)


def text(name: str) -> Callable[[Mapping[str, Any]], str]:
    """Return what reads the member `name` of a row."""
    return lambda row: str(row.get(name) or "")


def moment(name: str) -> Callable[[Mapping[str, Any]], str]:
    """Return what reads the member `name` of a row as an instant, in UTC."""
    return lambda row: to_moment(row.get(name))


def to_moment(at: object) -> str:
    """Return an instant in UTC (RFC 3339, whole seconds); empty when it is none."""
    if not isinstance(at, int | float) or isinstance(at, bool):
        return ""
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return "?"


def printable(told: str) -> str:
    """Return what others have written without what a terminal would act on."""
    return told if told.isprintable() else "".join(each if each.isprintable() else "\ufffd" for each in told)
