"""The steps that bring a state file from one schema to the next. A step that was ever released is never changed."""

from __future__ import annotations

from typing import Final

from extauthz.state.apikeys import API_KEY_SEALS, API_KEY_TABLES
from extauthz.state.beat import BEAT_TABLES
from extauthz.state.changes import CHANGE_ROWS
from extauthz.state.facts import FACT_TABLES
from extauthz.state.restrictions import RESTRICTION_TABLES
from extauthz.state.sessions import SESSION_TABLES
from extauthz.state.signals import SIGNAL_TABLES
from extauthz.state.spends import MEMBER_TABLES, SPEND_TABLES

APPLICATION_ID: Final = 0x78617A31
"""`xaz1` in ASCII, in the header of the file."""

COPY_ID: Final = 0x78617A62
"""`xazb` in ASCII, instead, in a backup that nobody has opened yet. No server decides by such a file."""

_FOUNDATION: Final = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID",
    "INSERT INTO meta VALUES ('incarnation', randomblob(16))",
    "CREATE TABLE changes (kind TEXT PRIMARY KEY, number INTEGER NOT NULL) STRICT, WITHOUT ROWID",
)
"""`incarnation` is drawn when a file is made, so no two files share it. `changes` counts, by kind of fact, the changes
that decisions have to notice; what is written for other reasons (spends, times of use) does not count."""

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (*_FOUNDATION, *API_KEY_TABLES, *SPEND_TABLES),
    (
        *API_KEY_SEALS,
        *CHANGE_ROWS,
        *RESTRICTION_TABLES,
        *FACT_TABLES,
        *SIGNAL_TABLES,
        *SESSION_TABLES,
        *BEAT_TABLES,
        *MEMBER_TABLES,
    ),
)

SEALED_SINCE: Final = 2
"""The schema that brought MACs: rows of an older file are sealed as they are when it is brought up."""
"""Statements by schema version: the first tuple leads from an empty file to version 1."""
