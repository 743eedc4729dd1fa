"""Looking a state file over without changing anything: whole, ours, sealed by us, kept up to date."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from extauthz.state.apikeys import count_sealed_api_keys
from extauthz.state.backup import find_faults, is_copy
from extauthz.state.beat import read_beat
from extauthz.state.facts import count_sealed_facts
from extauthz.state.restrictions import count_sealed_lifts
from extauthz.state.schema import MIGRATIONS
from extauthz.state.seal import KEY_KIND, open_seal
from extauthz.state.store import schema_of
from extauthz.state.transaction import to_query

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from extauthz.clock import Instant
    from extauthz.state.beat import Beat
    from extauthz.state.follower import Query
    from extauthz.state.seal import Sealed


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckUp:
    """What was found.

    Attributes:
        faults: of the file itself, in SQLite's words; empty when it is whole.
        schema: its schema.
        newest_schema: ours.
        incarnation: by which it is known, in hexadecimal.
        copy: whether it is a backup that nobody has opened yet.
        rows: by table; empty unless the file is whole.
        numbers: of the newest changes, by kind.
        right_key: whether the key is the one that its records are sealed with; None for a schema without seals.
        sealed: by sort of record; empty unless the file is whole and the key right.
        beat: the newest heart-beat; None for none.
    """

    faults: tuple[str, ...]
    schema: int
    newest_schema: int
    incarnation: str
    copy: bool
    rows: Mapping[str, int]
    numbers: Mapping[str, int]
    right_key: bool | None
    sealed: Mapping[str, Sealed]
    beat: Beat | None

    def beat_age(self, now: Instant) -> float | None:
        """Return how many seconds ago the heart-beat was; None for none."""
        return None if self.beat is None else now - self.beat.wall


def look_over(connection: sqlite3.Connection, key: bytes) -> CheckUp:
    """Return what is found in a state file of ours.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    query = to_query(connection)
    faults = find_faults(connection)
    tables = [row[0] for row in query("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name", ())]
    ((incarnation,),) = query("SELECT hex(value) FROM meta WHERE name = 'incarnation'", ())
    mark = query("SELECT value FROM meta WHERE name = 'seal'", ())
    seal = open_seal(query, key)
    right_key = seal.holds(mark[0][0], KEY_KIND) if mark else None
    return CheckUp(
        faults=faults,
        schema=schema_of(connection),
        newest_schema=len(MIGRATIONS),
        incarnation=incarnation.lower(),
        copy=is_copy(connection),
        rows={table: _count(query, table) for table in tables if not faults and not table.startswith("sqlite_")},
        numbers=dict(query("SELECT kind, number FROM changes ORDER BY kind", ())),
        right_key=right_key,
        sealed={
            "API keys": count_sealed_api_keys(query, seal),
            "lifted restrictions": count_sealed_lifts(query, seal),
            "facts": count_sealed_facts(query, seal),
        }
        if right_key and not faults
        else {},
        beat=read_beat(query) if right_key is not None else None,
    )


def _count(query: Query, table: str) -> int:
    ((rows,),) = query(f'SELECT count(*) FROM "{table}"', ())  # noqa: S608 — names of our own tables
    return int(rows)
