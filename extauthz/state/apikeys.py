"""The table of API keys. Rows are added and changed, never removed: a list of what was valid is part of the record.

A row says who may come in, so it counts only with a MAC that holds (`state/seal.py`); of anything else it is as if the
key were not there, and an alarm is raised. Only when a key was last used is outside of the MAC.

A row holds a salted digest of the key, not the key. Changes that decisions must notice raise the number under `api_key`
in `changes` and put it into the row, in the same transaction; so whoever has seen number n finds what is new by
`changed > n`. Recording when a key was used is no such change.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from extauthz.clock import Instant
from extauthz.errors import StateError
from extauthz.model.identity import Kind
from extauthz.ports import ApiKey
from extauthz.state.seal import count_sealed

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from extauthz.state.follower import Query
    from extauthz.state.seal import Alarm, Seal, Sealed

API_KEY_KINDS: Final = (Kind.SERVICE, Kind.WORKLOAD, Kind.CI, Kind.AGENT, Kind.THIRD_PARTY)
"""Who can hold a key. People sign in; a key that stood for one could never be asked for a second factor."""

API_KEY_TABLES: Final = (
    """CREATE TABLE api_keys (
        key_id TEXT PRIMARY KEY, salt BLOB NOT NULL, digest BLOB NOT NULL, subject TEXT NOT NULL, kind TEXT NOT NULL,
        tenant TEXT NOT NULL, scopes TEXT NOT NULL, roles TEXT NOT NULL, networks TEXT NOT NULL,
        created_at REAL NOT NULL, expires_at REAL NOT NULL, revoked_at REAL, replaced_by TEXT, used_at REAL,
        changed INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX api_keys_changed ON api_keys (changed)",
    "INSERT INTO changes VALUES ('api_key', 0)",
)

API_KEY_SEALS: Final = ("ALTER TABLE api_keys ADD COLUMN mac BLOB",)

_KIND: Final = "api_key"
_SEALED: Final = (
    "key_id, salt, digest, subject, kind, tenant, scopes, roles, networks, created_at, expires_at,"
    " revoked_at, replaced_by"
)
_ALL: Final = f"SELECT {_SEALED}, used_at, mac FROM api_keys"  # noqa: S608 — constants of this module
_FIND: Final = f"SELECT {_SEALED}, mac FROM api_keys WHERE key_id = ?"  # noqa: S608 — likewise
_INSERT: Final = f"INSERT INTO api_keys ({_SEALED}, changed, mac) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"  # noqa: S608 — likewise
_RAISE: Final = "UPDATE changes SET number = number + 1 WHERE kind = 'api_key' RETURNING number"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredApiKey:
    """A key and what only its keepers want to know.

    Attributes:
        key: as decisions see it.
        revoked_at: when it was revoked; None while it was not.
        replaced_by: id of the key that took its place; empty for none.
        used_at: when it last proved a caller, give or take a few minutes; None when it never did.
        sealed: whether its row was written by us; else it proves nobody.
    """

    key: ApiKey
    revoked_at: Instant | None = None
    replaced_by: str = ""
    used_at: Instant | None = None
    sealed: bool = True


@dataclass(frozen=True, slots=True)
class Changes:
    """What is new in the table.

    Attributes:
        number: the newest change that is contained.
        keys: those that changed, by id; None for a row that was not written by us.
    """

    number: int
    keys: Mapping[str, ApiKey | None]


def insert_api_key(connection: sqlite3.Connection, key: ApiKey, seal: Seal) -> None:
    """Add a key; inside a transaction."""
    (number,) = connection.execute(_RAISE).fetchone()
    values = (
        key.key_id,
        key.salt,
        key.digest,
        key.subject,
        key.kind.value,
        key.tenant,
        json.dumps(sorted(key.scopes)),
        json.dumps(sorted(key.roles)),
        json.dumps(key.networks),
        float(key.created_at),
        float(key.expires_at),
        float(key.created_at) if key.revoked else None,
        None,
    )
    connection.execute(_INSERT, (*values, number, seal.seal(_KIND, *values)))


def revoke_api_key(connection: sqlite3.Connection, key_id: str, at: Instant, seal: Seal) -> None:
    """Revoke a key, from the next decision on; inside a transaction. One that is revoked already stays as it is."""
    _change(connection, key_id, "revoked_at = ? WHERE key_id = ? AND revoked_at IS NULL", (at,), seal)


def replace_api_key(connection: sqlite3.Connection, key_id: str, by: ApiKey, until: Instant, seal: Seal) -> None:
    """Add `by` in the place of a key, which goes on until `until`, or until its own end; inside a transaction."""
    insert_api_key(connection, by, seal)
    change = "expires_at = min(expires_at, ?), replaced_by = ? WHERE key_id = ?"
    _change(connection, key_id, change, (until, by.key_id), seal)


def seal_api_keys(connection: sqlite3.Connection, seal: Seal) -> int:
    """Seal all rows as they are, inside a transaction; return how many there are."""
    rows = connection.execute(f"SELECT {_SEALED} FROM api_keys").fetchall()  # noqa: S608 — constants of this module
    connection.executemany(
        "UPDATE api_keys SET mac = ? WHERE key_id = ?", [(seal.seal(_KIND, *row), row[0]) for row in rows]
    )
    return len(rows)


def count_sealed_api_keys(query: Query, seal: Seal) -> Sealed:
    """Return how many rows are ours."""
    return count_sealed(seal.holds(mac, _KIND, *row) for *row, mac in query(f"SELECT {_SEALED}, mac FROM api_keys", ()))  # noqa: S608 — constants of this module


def reseal_api_keys(connection: sqlite3.Connection, old: Seal, new: Seal) -> None:
    """Seal rows again that `old` holds for, inside a transaction; others stay as they are, and prove nobody."""
    rows = connection.execute(f"SELECT {_SEALED}, mac FROM api_keys").fetchall()  # noqa: S608 — constants of this module
    ours = [(new.seal(_KIND, *row), row[0]) for *row, mac in rows if old.holds(mac, _KIND, *row)]
    connection.executemany("UPDATE api_keys SET mac = ? WHERE key_id = ?", ours)


def list_api_keys(connection: sqlite3.Connection, seal: Seal) -> list[StoredApiKey]:
    """Return all keys, the oldest first.

    Raises:
        StateError: a row says nothing that we can use.
    """
    return [_stored(row, seal) for row in connection.execute(_ALL + " ORDER BY created_at, key_id")]


def find_stored_api_key(connection: sqlite3.Connection, key_id: str, seal: Seal) -> StoredApiKey | None:
    """Return one key.

    Raises:
        StateError: its row says nothing that we can use.
    """
    row = connection.execute(_ALL + " WHERE key_id = ?", (key_id,)).fetchone()
    return _stored(row, seal) if row is not None else None


def read_api_keys(query: Query, since: int, seal: Seal, *, on_alarm: Alarm) -> Changes:
    """Return the keys that changed after change number `since`; 0 for all.

    Raises:
        StateError: the table cannot be read.
    """
    # The number first: what is committed in between is in the rows, and is read once more the next time.
    ((number,),) = query("SELECT number FROM changes WHERE kind = 'api_key'", ())
    if number == since:
        return Changes(number, {})
    rows = query(_ALL + " WHERE changed > ?", (since if number > since else 0,))
    return Changes(number, {row[0]: _usable(row, seal, on_alarm) for row in rows})


def note_uses(connection: sqlite3.Connection, uses: Mapping[str, Instant]) -> None:
    """Write down when keys were last used; inside a transaction."""
    connection.executemany(
        "UPDATE api_keys SET used_at = max(coalesce(used_at, 0), ?) WHERE key_id = ?",
        [(at, key_id) for key_id, at in uses.items()],
    )


def _change(connection: sqlite3.Connection, key_id: str, change: str, values: tuple[object, ...], seal: Seal) -> None:
    """Change a row and seal it anew, if it was sealed by us before: what was forged stays forged."""
    row = connection.execute(_FIND, (key_id,)).fetchone()
    ours = row is not None and seal.holds(row[-1], _KIND, *row[:-1])
    (number,) = connection.execute(_RAISE).fetchone()
    connection.execute(f"UPDATE api_keys SET changed = ?, {change}", (number, *values, key_id))  # noqa: S608 — constants of this module
    if ours:
        *fields, _ = connection.execute(_FIND, (key_id,)).fetchone()
        connection.execute("UPDATE api_keys SET mac = ? WHERE key_id = ?", (seal.seal(_KIND, *fields), key_id))


def _usable(row: tuple[Any, ...], seal: Seal, on_alarm: Alarm) -> ApiKey | None:
    try:
        stored = _stored(row, seal)
    except StateError as error:
        on_alarm(str(error))
        return None
    if not stored.sealed:
        on_alarm(f"the row of API key {row[0]!r} was not written by us: its MAC does not hold")
        return None
    return stored.key


def _stored(row: tuple[Any, ...], seal: Seal) -> StoredApiKey:
    *fields, used, mac = row
    key_id, salt, digest, subject, kind, tenant, scopes, roles, networks, created, expires, revoked, by = fields
    if kind not in API_KEY_KINDS:
        message = f"the row of API key {key_id!r} was not written by us: kind"
        raise StateError(message)
    return StoredApiKey(
        key=ApiKey(
            key_id=key_id,
            salt=salt,
            digest=digest,
            subject=subject,
            kind=Kind(kind),
            tenant=tenant,
            scopes=frozenset(_texts(key_id, scopes)),
            roles=frozenset(_texts(key_id, roles)),
            networks=_texts(key_id, networks),
            created_at=Instant(created),
            expires_at=Instant(expires),
            revoked=revoked is not None,
        ),
        revoked_at=Instant(revoked) if revoked is not None else None,
        replaced_by=by or "",
        used_at=Instant(used) if used is not None else None,
        sealed=seal.holds(mac, _KIND, *fields),
    )


def _texts(key_id: str, written: str) -> tuple[str, ...]:
    try:
        texts = json.loads(written)
    except ValueError:
        texts = None
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        message = f"the row of API key {key_id!r} was not written by us: lists"
        raise StateError(message)
    return tuple(texts)
