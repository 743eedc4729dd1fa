"""The numbers of changes, by kind, which decisions have to notice; and what has changed since one of them.

Every changed row gets a number of its own, the next of its kind, so rows in the order of their numbers are in the order
of their changes, and a number is never given twice. Rows that were forgotten leave a note of the newest number among
them: whoever had not seen that number cannot tell what has changed, and is told so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import sqlite3

    from extauthz.state.follower import Query

RESTRICTION: Final = "restriction"
FACT: Final = "fact"
_FORGOTTEN: Final = "_forgotten"

CHANGE_ROWS: Final = (
    "INSERT INTO changes VALUES ('restriction', 0), ('restriction_forgotten', 0)",
    "INSERT INTO changes VALUES ('fact', 0), ('fact_forgotten', 0)",
)


class ChangedNames(NamedTuple):
    """What has changed in a table.

    Attributes:
        number: the newest change that is contained.
        names: of what has changed, the oldest change first; None when it cannot be said, or is too much to say: then
            anything may have changed.
    """

    number: int
    names: tuple[str, ...] | None


def next_number(connection: sqlite3.Connection, kind: str) -> int:
    """Return the number of a new change; inside a transaction."""
    row = connection.execute("UPDATE changes SET number = number + 1 WHERE kind = ? RETURNING number", (kind,))
    return int(row.fetchone()[0])


def newest_number(connection: sqlite3.Connection, kind: str) -> int:
    """Return the number of the newest change."""
    return int(connection.execute("SELECT number FROM changes WHERE kind = ?", (kind,)).fetchone()[0])


def note_forgotten(connection: sqlite3.Connection, kind: str, number: int) -> None:
    """Note that rows up to change `number` may have been removed; inside a transaction."""
    connection.execute("UPDATE changes SET number = max(number, ?) WHERE kind = ?", (number, kind + _FORGOTTEN))


def read_numbers(query: Query) -> dict[str, int]:
    """Return the newest number of every kind."""
    return dict(query("SELECT kind, number FROM changes", ()))


def read_changed(query: Query, kind: str, statement: str, since: int, limit: int) -> ChangedNames:
    """Return what has changed since change `since`.

    Args:
        query: reads the state.
        kind: of changes.
        statement: selects names where `changed` is greater than the first parameter, in its order, as many as the
            second.
        since: the newest change that is known; 0 for none.
        limit: how many names are worth saying.
    """
    # The numbers first: what is committed in between is in the rows, and is read once more the next time.
    numbers = read_numbers(query)
    number, forgotten = numbers.get(kind, 0), numbers.get(kind + _FORGOTTEN, 0)
    if number == since:
        return ChangedNames(number, ())
    if number < since or since < forgotten:
        return ChangedNames(number, None)
    rows = query(statement, (since, limit + 1))
    names = tuple(row[0] for row in rows) if len(rows) <= limit else None
    return ChangedNames(number, names)
