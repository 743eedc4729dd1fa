"""Opening the state file: made private, recognised, brought to our schema, or refused with a reason.

1. The file is ours by its `application_id`; another program's database is never touched.
2. Its schema is `user_version`. An older one is brought up in one transaction; a newer one is refused, since we cannot
   know what it means.
3. It is in WAL mode, so readers never wait for a writer, and written with `synchronous=FULL`: what is acknowledged is
   on disk. File systems that cannot do that (most network ones) are refused.
4. Owner and group may read and write it, nobody else. Whoever can write it can make keys.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import ExitStack, closing, contextmanager, suppress
from stat import S_IMODE
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from extauthz.errors import StateError
from extauthz.state.apikeys import seal_api_keys
from extauthz.state.backup import begin_anew, is_copy
from extauthz.state.schema import APPLICATION_ID, COPY_ID, MIGRATIONS, SEALED_SINCE
from extauthz.state.seal import KEY_KIND, default_key_file, ensure_key, open_seal, read_key
from extauthz.state.transaction import to_query, transaction

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OPENING_SECONDS: Final = 5.0
"""How long opening waits for another process that brings the schema up."""

_PRIVATE: Final = 0o600
_OTHERS: Final = 0o007

_SENTENCES: Final = {
    sqlite3.SQLITE_BUSY: "another program holds it locked; end that program",
    sqlite3.SQLITE_LOCKED: "another program holds it locked; end that program",
    sqlite3.SQLITE_NOTADB: "it is no state file; name another path",
    sqlite3.SQLITE_CORRUPT: "it is damaged; restore a backup",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check path and rights, also those of its folder",
    sqlite3.SQLITE_READONLY: "it cannot be written; check its rights and those of its folder",
    sqlite3.SQLITE_FULL: "the disk is full; make room",
}
_PRIMARY: Final = 0xFF
"""Extended result codes carry the primary one in their lowest byte."""


def open_store(path: Path, key_file: Path | None = None) -> bytes:
    """Make the state file and its key when there are none, bring it to our schema, and return the key.

    Args:
        path: of the state file.
        key_file: of the key; None for beside the state file.

    Raises:
        StateError: it is locked, damaged, newer than we are, another program's, or open to everybody; or the key is
            not there, or not the one that its records are sealed with.
    """
    key_file = default_key_file(path) if key_file is None else key_file
    _make_private(path)
    with closing(connect(path, wait=OPENING_SECONDS)) as connection, told(path):
        verify_ours(path, connection)
        copy = is_copy(connection)
        if not copy:
            _use_log(path, connection)
        # A file that was sealed has a key somewhere: a new one would only make its records worthless.
        key = read_key(key_file) if schema_of(connection) >= SEALED_SINCE else ensure_key(key_file)
        migrate(connection, key)
        _verify_key(path, key_file, connection, key)
        if copy:
            # Before there is a log, so that a log beside a copy is always that of another file.
            begin_anew(connection, key)
            _use_log(path, connection)
    return key


def connect(path: Path, *, wait: float) -> sqlite3.Connection:
    """Return a connection to a state file that exists, for any thread, one at a time; the caller closes it.

    Every statement is a transaction of its own unless the caller begins one (`transaction`).

    Args:
        path: of the file.
        wait: seconds to wait for a lock.

    Raises:
        StateError: it cannot be opened, or beside it lies the log of another file.
    """
    with told(path):
        _refuse_foreign_log(path)
        connection = sqlite3.connect(
            f"file:{quote(str(path.absolute()))}?mode=rw",
            uri=True,
            timeout=wait,
            isolation_level=None,
            check_same_thread=False,
        )
        with ExitStack() as undo:
            undo.callback(connection.close)
            _prepare(connection)
            undo.pop_all()
    return connection


def verify_current(path: Path, connection: sqlite3.Connection) -> None:
    """Verify that a file that took the place of another has our schema.

    Raises:
        StateError: it has not; only a start brings schemas up.
    """
    with told(path):
        verify_ours(path, connection)
        if schema_of(connection) != len(MIGRATIONS):
            message = f"{path}: it was replaced by one of an older version; restart to bring it up"
            raise StateError(message)
        if is_copy(connection):
            message = f"{path}: it was replaced by a backup; restart to begin anew with that"
            raise StateError(message)


def migrate(connection: sqlite3.Connection, key: bytes) -> None:
    """Bring the schema up in one transaction; of several processes that try at once, one does."""
    if schema_of(connection) == len(MIGRATIONS):
        return
    with transaction(connection):
        before = schema_of(connection)
        for step in MIGRATIONS[before:]:
            for statement in step:
                connection.execute(statement)
        if before < SEALED_SINCE:
            seal = open_seal(to_query(connection), key)
            seal_api_keys(connection, seal)
            connection.execute("INSERT INTO meta VALUES ('seal', ?)", (seal.seal(KEY_KIND),))
        connection.execute(f"PRAGMA user_version={len(MIGRATIONS)}")
        if before == 0:
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what SQLite and the file system say into a `StateError` for the operator."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise to_state_error(path, error) from error


def to_state_error(path: Path, error: sqlite3.Error | OSError) -> StateError:
    """Return what is wrong with the file, and the fix."""
    if isinstance(error, OSError):
        return StateError(f"{path}: {error.strerror}; check path and rights")
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
    return StateError(f"{path}: {_SENTENCES.get(code, 'it cannot be used: ' + type(error).__name__)}")


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA trusted_schema=OFF")


def schema_of(connection: sqlite3.Connection) -> int:
    """Return the number of the schema that a file has."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def verify_ours(path: Path, connection: sqlite3.Connection) -> None:
    """Verify that it is a state file of ours, of this version or an older one.

    Raises:
        StateError: it is not.
        sqlite3.Error: it cannot be read.
    """
    connection.execute("BEGIN")  # One view of both: another process may be making the tables just now.
    try:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
    finally:
        connection.execute("ROLLBACK")
    if application not in {APPLICATION_ID, COPY_ID} and (application or tables):
        message = f"{path}: it is another program's database; name another path"
        raise StateError(message)
    if schema_of(connection) > len(MIGRATIONS):
        message = f"{path}: it was written by a newer version of extauthz; run that one, or restore an older backup"
        raise StateError(message)


def _use_log(path: Path, connection: sqlite3.Connection) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        message = f"{path}: its file system cannot hold it; put it on a local disk"
        raise StateError(message)


def _refuse_foreign_log(path: Path) -> None:
    """Refuse to mix a backup with what was logged to the file whose place it took; SQLite would.

    SQLite itself looks at the file without the log (`immutable`). Nothing else may open it: whoever closes a descriptor
    of a file gives up all locks that this process has on it (POSIX), those of SQLite's other connections included.
    """
    log = path.with_name(path.name + "-wal")
    if not log.exists():
        return
    copy = False
    with (
        closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1", uri=True)) as alone,
        suppress(sqlite3.DatabaseError),  # It may be written to at this moment; a backup that was put in place is not.
    ):
        copy = is_copy(alone)
    if copy:
        message = (
            f"{log}: it belongs to the file that was here before; stop all servers, remove it and "
            f"{path.name}-shm, and start again"
        )
        raise StateError(message)


def _verify_key(path: Path, key_file: Path, connection: sqlite3.Connection, key: bytes) -> None:
    row = connection.execute("SELECT value FROM meta WHERE name = 'seal'").fetchone()
    if row is None or not open_seal(to_query(connection), key).holds(row[0], KEY_KIND):
        message = f"{key_file}: it is not the key that the records of {path} are sealed with; restore that one"
        raise StateError(message)


def _make_private(path: Path) -> None:
    """Make an empty file that only its owner can read, unless there is one; SQLite's side files follow its rights."""
    with told(path):
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, _PRIVATE))
        except FileExistsError:
            if S_IMODE(path.stat().st_mode) & _OTHERS:
                message = f"{path}: everybody on this machine may open it; run `chmod o= {path}`"
                raise StateError(message) from None
