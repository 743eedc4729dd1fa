"""The tables of what has been used up (`ports.Spender` says what that means).

1. All of an order or none of it, in one transaction with as many other orders as are waiting.
2. A question that is asked again gets the answer that it had: its name, over the question and all of its spends, is
   kept until the last of these can be forgotten.
3. What can be forgotten is: it counts no longer, and is removed a little with every transaction, so that nobody waits
   for a great clean-up.
4. There is room for a stated number of rows. When it is full nothing can be spent: forgetting a spend too early would
   make it possible to spend it again.
5. Where members are counted (`Spend.member`) there is a row for each. To be a member twice is nothing new, so such a
   spend needs no memory of the question.

Names are digests, so whoever reads the file learns nothing that could be presented.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from extauthz.ports import SpendOutcome, Spent
from extauthz.state.transaction import transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from extauthz.clock import Instant
    from extauthz.model.spend import Spend

SPEND_TABLES: Final = (
    "CREATE TABLE spends (name BLOB PRIMARY KEY, used INTEGER NOT NULL, until REAL NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE INDEX spends_until ON spends (until)",
    "CREATE TABLE spent_questions (name BLOB PRIMARY KEY, until REAL NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE INDEX spent_questions_until ON spent_questions (until)",
    "CREATE TABLE spend_rows (number INTEGER NOT NULL) STRICT",
    "INSERT INTO spend_rows VALUES (0)",
    "CREATE TRIGGER spends_in AFTER INSERT ON spends BEGIN UPDATE spend_rows SET number = number + 1; END",
    "CREATE TRIGGER spends_out AFTER DELETE ON spends BEGIN UPDATE spend_rows SET number = number - 1; END",
    "CREATE TRIGGER questions_in AFTER INSERT ON spent_questions BEGIN UPDATE spend_rows SET number = number + 1; END",
    "CREATE TRIGGER questions_out AFTER DELETE ON spent_questions BEGIN UPDATE spend_rows SET number = number - 1; END",
)

MEMBER_TABLES: Final = (
    """CREATE TABLE spend_members (
        name BLOB NOT NULL, member BLOB NOT NULL, until REAL NOT NULL, PRIMARY KEY (name, member)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX spend_members_until ON spend_members (until)",
    "CREATE TRIGGER members_in AFTER INSERT ON spend_members BEGIN UPDATE spend_rows SET number = number + 1; END",
    "CREATE TRIGGER members_out AFTER DELETE ON spend_members BEGIN UPDATE spend_rows SET number = number - 1; END",
)

_FORGOTTEN_AT_LEAST: Final = 64
"""Expired rows that a transaction removes at most; or twice as many as it may add, so that removing keeps pace."""

_REMOVE: Final = (
    "DELETE FROM spends WHERE name IN (SELECT name FROM spends WHERE until <= ? LIMIT ?)",
    "DELETE FROM spent_questions WHERE name IN (SELECT name FROM spent_questions WHERE until <= ? LIMIT ?)",
    """DELETE FROM spend_members WHERE (name, member) IN
        (SELECT name, member FROM spend_members WHERE until <= ? LIMIT ?)""",
)
_USE: Final = (
    "INSERT INTO spends VALUES (?1, 1, ?2) ON CONFLICT (name) DO UPDATE SET"
    " used = CASE WHEN until <= ?3 THEN 1 ELSE used + 1 END,"
    " until = CASE WHEN until <= ?3 THEN ?2 ELSE max(until, ?2) END"
)
_JOIN: Final = (
    "INSERT INTO spend_members VALUES (?1, ?2, ?3) ON CONFLICT (name, member) DO UPDATE SET until = max(until, ?3)"
)
_REMEMBER: Final = "INSERT INTO spent_questions VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET until = ?2"


@dataclass(frozen=True, slots=True)
class Order:
    """What one question wants to spend."""

    spends: tuple[Spend, ...]
    question: bytes


class SpendTables:
    """The tables on one connection; for one thread at a time.

    Args:
        connection: nobody else writes through it.
        capacity: rows that may be there, expired ones included until they are removed.
    """

    def __init__(self, connection: sqlite3.Connection, capacity: int) -> None:
        self._connection = connection
        self._capacity = capacity
        self.rows = 0

    def take(self, orders: Sequence[Order], at: Instant) -> list[Spent]:
        """Take each order or refuse it, the earlier first; when this returns, what is taken stays taken.

        Args:
            orders: what is wanted.
            at: now, by the wall clock.

        Raises:
            sqlite3.Error: nothing is taken, or, when the commit itself failed, that is not known.
        """
        with transaction(self._connection):
            self._forget(at, 2 * sum(len(order.spends) + 1 for order in orders))
            outcomes = [self._take_one(order, at) for order in orders]
            self.rows = self._count_rows()
        return outcomes

    def _take_one(self, order: Order, at: Instant) -> Spent:
        if not order.spends or any(spend.until <= at for spend in order.spends):
            # Too late: nobody would remember it, so it could be spent again and again.
            return Spent(SpendOutcome.UNKNOWN)
        question = name_question(order)
        known = "SELECT 1 FROM spent_questions WHERE name = ? AND until > ?"
        if self._connection.execute(known, (question, at)).fetchone() is not None:
            return Spent(SpendOutcome.DONE)
        wanted: dict[bytes, int] = {}
        joining: dict[bytes, set[bytes]] = {}
        for spend in order.spends:
            if not self._has_room(spend, at, wanted, joining):
                return Spent(SpendOutcome.REFUSED, spend)
        added = len(wanted) + bool(wanted) + sum(len(members) for members in joining.values())
        if added and self._count_rows() + added > self._capacity:
            return Spent(SpendOutcome.UNKNOWN)
        self._write(order, question, at)
        return Spent(SpendOutcome.DONE)

    def _has_room(self, spend: Spend, at: Instant, wanted: dict[bytes, int], joining: dict[bytes, set[bytes]]) -> bool:
        """Return whether there is room for `spend` beside the order's earlier ones, and count it among those."""
        name = name_spend(spend)
        if not spend.member:
            wanted[name] = wanted.get(name, 0) + 1
            return self._used(name, at) + wanted[name] <= spend.limit
        new = joining.setdefault(name, set())
        there = "SELECT 1 FROM spend_members WHERE name = ? AND member = ? AND until > ?"
        if spend.member in new or self._connection.execute(there, (name, spend.member, at)).fetchone() is not None:
            return True
        new.add(spend.member)
        many = "SELECT count(*) FROM spend_members WHERE name = ? AND until > ?"
        return int(self._connection.execute(many, (name, at)).fetchone()[0]) + len(new) <= spend.limit

    def _write(self, order: Order, question: bytes, at: Instant) -> None:
        uses = [spend for spend in order.spends if not spend.member]
        joins = [(name_spend(spend), spend.member, spend.until) for spend in order.spends if spend.member]
        self._connection.executemany(_JOIN, joins)
        if uses:
            self._connection.executemany(_USE, [(name_spend(spend), spend.until, at) for spend in uses])
            self._connection.execute(_REMEMBER, (question, max(spend.until for spend in uses)))

    def _used(self, name: bytes, at: Instant) -> int:
        row = self._connection.execute("SELECT used FROM spends WHERE name = ? AND until > ?", (name, at)).fetchone()
        return int(row[0]) if row is not None else 0

    def _count_rows(self) -> int:
        return int(self._connection.execute("SELECT number FROM spend_rows").fetchone()[0])

    def _forget(self, at: Instant, may_add: int) -> None:
        for statement in _REMOVE:
            self._connection.execute(statement, (at, max(_FORGOTTEN_AT_LEAST, may_add)))


def name_spend(spend: Spend) -> bytes:
    """Return the name of what is spent; no two kinds share one."""
    return sha256(_sized(spend.kind.encode()) + spend.key).digest()


def name_question(order: Order) -> bytes:
    """Return the name of a question and all that it spends, so that it stands for no others."""
    digest = sha256(_sized(order.question))
    for spend in order.spends:
        digest.update(name_spend(spend) + _sized(spend.member))
    return digest.digest()


def _sized(part: bytes) -> bytes:
    return len(part).to_bytes(4, "big") + part
