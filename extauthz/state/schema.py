"""The steps that bring a state file from one schema to the next. A step that was ever released is never changed."""

from __future__ import annotations

from typing import Final

from extauthz.state.apikeys import API_KEY_TABLES
from extauthz.state.spends import SPEND_TABLES

_FOUNDATION: Final = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID",
    "INSERT INTO meta VALUES ('incarnation', randomblob(16))",
    "CREATE TABLE changes (kind TEXT PRIMARY KEY, number INTEGER NOT NULL) STRICT, WITHOUT ROWID",
)
"""`incarnation` is drawn when a file is made, so no two files share it. `changes` counts, by kind of fact, the changes
that decisions have to notice; what is written for other reasons (spends, times of use) does not count."""

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = ((*_FOUNDATION, *API_KEY_TABLES, *SPEND_TABLES),)
"""Statements by schema version: the first tuple leads from an empty file to version 1."""
