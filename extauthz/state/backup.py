"""Copies of a state file, taken while servers run on it; and what a copy has to become before it is used.

A copy that is put in the place of its file goes back in time: what was revoked since is not in it, and numbers of
changes that were given since would be given again. So a copy carries a note that it is one. Whoever opens it first
draws a new incarnation, seals again whatever was sealed by the old one, and goes on numbering far beyond; and until
then nobody decides by it.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Final

from extauthz.errors import StateError
from extauthz.ids import new_random_bytes
from extauthz.state.apikeys import reseal_api_keys
from extauthz.state.facts import reseal_facts
from extauthz.state.restrictions import reseal_restrictions
from extauthz.state.schema import APPLICATION_ID, COPY_ID
from extauthz.state.seal import KEY_KIND, open_seal
from extauthz.state.transaction import to_query, transaction

if TYPE_CHECKING:
    from pathlib import Path

_PAGES: Final = 1024
"""Pages that are copied at a time; in between, others may write."""

_NUMBERS: Final = 1_000_000_000
"""How far a restored file goes on with its numbers: more changes than are made between two backups."""

_MOST_FAULTS: Final = 20
_INCARNATION_BYTES: Final = 16


def back_up(connection: sqlite3.Connection, target: Path) -> None:
    """Copy the state, as it is at one moment, into a new file that only its owner can read.

    Raises:
        StateError: there is something at `target` already, or it cannot be written, or what was written is damaged.
        sqlite3.Error: the state cannot be read.
    """
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        message = f"{target}: {error.strerror}; a backup is written to a new file, in a folder that is there"
        raise StateError(message) from error
    with ExitStack() as undo:
        for name in (target, *_beside(target)):
            undo.callback(name.unlink, missing_ok=True)
        _copy(connection, target)
        undo.pop_all()


def is_copy(connection: sqlite3.Connection) -> bool:
    """Return whether this is a copy that nobody has opened yet as a state file."""
    return bool(connection.execute("PRAGMA application_id").fetchone() == (COPY_ID,))


def find_faults(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Return what is damaged in a database, in SQLite's words; nothing when it is whole."""
    try:
        verdicts = tuple(row[0] for row in connection.execute(f"PRAGMA integrity_check({_MOST_FAULTS})").fetchall())
    except sqlite3.OperationalError:  # It is locked, or cannot be read: that says nothing about it.
        raise
    except sqlite3.DatabaseError as error:
        return (str(error),)
    return () if verdicts == ("ok",) else verdicts


def begin_anew(connection: sqlite3.Connection, key: bytes) -> None:
    """Make a copy a state file of its own; one that is one already stays as it is. The key must be the right one."""
    with transaction(connection):
        if not is_copy(connection):
            return
        old = open_seal(to_query(connection), key)
        incarnation = new_random_bytes(_INCARNATION_BYTES)
        connection.execute("UPDATE meta SET value = ? WHERE name = 'incarnation'", (incarnation,))
        new = open_seal(to_query(connection), key)
        reseal_api_keys(connection, old, new)
        reseal_restrictions(connection, old, new)
        reseal_facts(connection, old, new)
        connection.execute("UPDATE meta SET value = ? WHERE name = 'seal'", (new.seal(KEY_KIND),))
        connection.execute("UPDATE changes SET number = number + ?", (_NUMBERS,))
        connection.execute("DELETE FROM beat")
        # How far others had come with the file that it was copied from says nothing about this one.
        connection.execute("DELETE FROM meta WHERE name LIKE 'place %'")
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")


def _copy(connection: sqlite3.Connection, target: Path) -> None:
    with closing(sqlite3.connect(target, isolation_level=None)) as copy:
        connection.backup(copy, pages=_PAGES)
        copy.execute("PRAGMA journal_mode=DELETE")  # One file, which can be carried elsewhere.
        copy.execute("PRAGMA synchronous=FULL")
        copy.execute(f"PRAGMA application_id={COPY_ID}")
        faults = find_faults(copy)
    if faults:
        message = f"{target}: the copy is damaged ({faults[0]}); check the state file with `extauthz state check`"
        raise StateError(message)


def _beside(target: Path) -> list[Path]:
    """Return what SQLite may leave beside a file."""
    return [target.with_name(target.name + end) for end in ("-wal", "-shm", "-journal")]
