"""`extauthz state`: back the state file up, and look it over, also while servers run on it.

Exit codes: 0 done and all is well, 1 something is wrong with the file, 2 wrong options, settings, or no state file.
"""

from __future__ import annotations

import json
from contextlib import closing, contextmanager
from pathlib import Path  # noqa: TC003 — typer reads annotations at run time
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

from extauthz.cli.options import ConfigOption  # noqa: TC001 — typer reads annotations at run time
from extauthz.cli.problems import EXIT_CONFIG, or_exit
from extauthz.clock import SystemClock
from extauthz.config.load import load_settings
from extauthz.errors import StateError
from extauthz.state.backup import back_up
from extauthz.state.checkup import look_over
from extauthz.state.seal import default_key_file, read_key
from extauthz.state.store import connect, told, verify_ours

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from extauthz.clock import Instant
    from extauthz.config.state import StateSettings
    from extauthz.state.checkup import CheckUp

_LOCK_SECONDS: Final = 10.0
_EXIT_WRONG: Final = 1

state_app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="The state file: backups, and whether it is well."
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@state_app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; a new file.")], *, config: ConfigOption = None
) -> None:
    """Copy the state, as it is at one moment, to a new file. The key file is not in it: keep that elsewhere."""
    state, path = _state(config)
    with _open(path) as connection:
        back_up(connection, file)
    typer.echo(f"{file}: a backup of {path}, checked", err=True)
    typer.echo(
        f"It is of use only with {_key_file(state, path)}, which is not in it: keep that in another place.", err=True
    )


@state_app.command()
def check(*, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Look the state file over: whole, of our schema, sealed by us, kept up to date, and what is in it."""
    state, path = _state(config)
    now = SystemClock().now()
    with _open(path) as connection:
        found = look_over(connection, read_key(_key_file(state, path)))
    wrong = _wrong(found)
    if as_json:
        typer.echo(json.dumps({"path": str(path), **_document(found, now), "wrong": wrong}, indent=2))
    else:
        for line in _lines(path, found, now):
            typer.echo(line)
    for line in wrong:
        typer.echo(line, err=True)
    if wrong:
        raise typer.Exit(_EXIT_WRONG)


def _state(config: Path | None) -> tuple[StateSettings, Path]:
    state = or_exit(lambda: load_settings(config)).state
    if state is None or state.path is None:
        _fail("there is no state file in the settings; set `state: {path: FILE}`")
    return state, state.path


def _key_file(state: StateSettings, path: Path) -> Path:
    return state.key_file if state.key_file is not None else default_key_file(path)


@contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection to the state file; nothing is made or brought up. What is wrong with it ends the command."""
    try:
        with told(path):
            path.stat()
        with closing(connect(path, wait=_LOCK_SECONDS)) as connection, told(path):
            verify_ours(path, connection)
            yield connection
    except StateError as error:
        _fail(str(error))


def _wrong(found: CheckUp) -> list[str]:
    """Return what is wrong, each with the fix."""
    wrong = [f"damaged: {fault}; restore a backup" for fault in found.faults]
    if found.right_key is False:
        wrong.append("the key file is not the one that its records are sealed with; restore that one")
    for sort, sealed in found.sealed.items():
        if sealed.forged:
            wrong.append(
                f"{sealed.forged} {sort} were not written by us, and do not count; find out who can write the file, "
                "and restore a backup from before"
            )
    return wrong


def _lines(path: Path, found: CheckUp, now: Instant) -> Iterator[str]:
    older = "" if found.schema == found.newest_schema else f", ours is {found.newest_schema}: a start brings it up"
    yield f"{path}: incarnation {found.incarnation}, schema {found.schema}{older}"
    if found.copy:
        yield "a backup: the next start begins anew with it"
    age = found.beat_age(now)
    yield "no heart-beat yet" if age is None else f"heart-beat {age:.1f} s ago"
    for sort, sealed in found.sealed.items():
        yield f"{sort}: {sealed.ours} sealed by us, {sealed.forged} not"
    for table, rows in found.rows.items():
        yield f"{rows:>10} {table}"


def _document(found: CheckUp, now: Instant) -> dict[str, Any]:
    return {
        "incarnation": found.incarnation,
        "schema": found.schema,
        "newest_schema": found.newest_schema,
        "copy": found.copy,
        "faults": list(found.faults),
        "right_key": found.right_key,
        "sealed": {sort: sealed._asdict() for sort, sealed in found.sealed.items()},
        "beat_age": found.beat_age(now),
        "numbers": dict(found.numbers),
        "rows": dict(found.rows),
    }


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(EXIT_CONFIG)
