"""The law of merging: any order and any repetition of the same words gives the same table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from extauthz.clock import Instant
from extauthz.model.restriction import OPERATOR, Effect, Form, Mark, Restriction
from extauthz.state import restrictions
from extauthz.state.restrictions import apply_restrictions, find_restrictions, lift
from extauthz.state.seal import open_seal
from extauthz.state.transaction import to_query, transaction
from tests.simulators.barestate import KEY, memory_state
from tests.simulators.tokens import ISSUER, NOW

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from random import Random

    import pytest

MARKS = tuple(Mark(Form.SUBJECT, ISSUER, name) for name in ("ann", "bob"))
INSTANTS = st.integers(0, 3).map(lambda seconds: Instant(NOW + seconds))


@st.composite
def words(draw: st.DrawFn) -> Restriction:
    """Draw what somebody says: few targets, instants and texts, so that many meet."""
    in_force = draw(st.booleans())
    return Restriction(
        mark=draw(st.sampled_from(MARKS)),
        also=tuple(draw(st.permutations(MARKS))[: draw(st.integers(0, 2))]),
        effect=draw(st.sampled_from([Effect.REVOKED, Effect.DISABLED])),
        source=draw(st.sampled_from([OPERATOR, "stream a"])),
        event_at=draw(INSTANTS),
        until=draw(INSTANTS | st.none()) if in_force else draw(INSTANTS),
        in_force=in_force,
        signal=draw(st.sampled_from(["1", "2"])),
        reason=draw(st.sampled_from(["", "x"])),
    )


def say(connection: sqlite3.Connection, *said: Restriction) -> tuple[Restriction, ...]:
    """Merge words, and return what is another than before."""
    with transaction(connection):
        seal = open_seal(to_query(connection), KEY)
        return apply_restrictions(connection, said, seal, own=True).changed


def contents(connection: sqlite3.Connection) -> set[tuple[object, ...]]:
    """Return all rows but for their numbers and MACs, which differ from file to file."""
    columns = "name, effect, source, also, event_at, in_force, force_until, lift_until, signal, by, reason, own"
    return set(to_query(connection)(f"SELECT {columns} FROM restrictions", ()))  # noqa: S608 — columns of this test


@given(st.lists(words(), max_size=8), st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(said: list[Restriction], chance: Random) -> None:
    """In one transaction or in many; a second time, nothing changes."""
    shuffled = [*said, *said[:3]]
    chance.shuffle(shuffled)
    with memory_state() as one, memory_state() as other:
        say(one, *said)
        for word in shuffled:
            say(other, word)
        assert contents(one) == contents(other)
        assert say(other, *shuffled) == ()


@settings(max_examples=50)
@given(st.lists(words(), max_size=5), st.lists(words(), max_size=5))
def test_two_machines_that_exchange_their_tables_agree(here: list[Restriction], there: list[Restriction]) -> None:
    """Whatever each heard before: what they hold is enough."""
    with memory_state() as one, memory_state() as other:
        say(one, *here)
        say(other, *there)
        mine, yours = rows(one), rows(other)
        say(one, *yours)
        say(other, *mine)
        assert verdicts(one) == verdicts(other)


@settings(max_examples=50)
@given(st.lists(words(), max_size=6))
def test_a_lift_by_hand_always_holds(said: list[Restriction]) -> None:
    """And nothing that was said before brings the row back."""
    with memory_state() as connection:
        say(connection, *said)
        for row in rows(connection):
            say(connection, lift(row, Instant(NOW), Instant(NOW + 9)))
        say(connection, *said)
        assert all(not row.in_force for row in rows(connection))


def test_the_law_is_able_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: where the last word holds, order matters."""
    early, late = (
        Restriction(mark=MARKS[0], effect=Effect.REVOKED, source=OPERATOR, event_at=Instant(NOW + at), until=None)
        for at in (0, 1)
    )
    monkeypatch.setattr(restrictions, "_is_later", lambda *_: True)
    with memory_state() as one, memory_state() as other:
        say(one, early, late)
        say(other, late, early)
        assert contents(one) != contents(other)


def rows(connection: sqlite3.Connection) -> Sequence[Restriction]:
    """Return what a table says, lifted rows included."""
    query = to_query(connection)
    return [row.restriction for row in restrictions.read_since(query, 0, 99, open_seal(query, KEY))]


def verdicts(connection: sqlite3.Connection) -> list[set[Restriction]]:
    """Return what decisions find at each instant."""
    query, alarms = to_query(connection), list[str]()
    seal = open_seal(query, KEY)
    found = [set(find_restrictions(query, MARKS, seal, Instant(NOW + at), on_alarm=alarms.append)) for at in range(5)]
    assert alarms == []
    return found
