"""The table of restrictions: what is found, what is merged, what is lifted, what is forgotten."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.clock import Instant
from extauthz.model.restriction import Effect, Form, Mark, Restriction
from extauthz.state.changes import read_numbers
from extauthz.state.restriction_rows import is_sealed, seal_restriction
from extauthz.state.restrictions import (
    FORGET_AFTER,
    collect,
    count_in_force,
    count_restrictions,
    lift,
    list_restrictions,
    read_changed_marks,
    read_since,
)
from extauthz.state.seal import Seal
from tests.simulators.barestate import BOB, HOUR, restriction
from tests.simulators.tokens import ISSUER, NOW

if TYPE_CHECKING:
    from tests.simulators.barestate import BareState

EVE = Mark(Form.SUBJECT, ISSUER, "eve o'hara \N{SNOWMAN}")
ACME = Mark(Form.TENANT, ISSUER, "acme")
LAPTOP = Mark(Form.DEVICE, ISSUER, "laptop")
LATER = Instant(NOW + HOUR)


def unlifted(state: BareState, row: Restriction, at: float = NOW + 1) -> Restriction:
    """Return the word that lifts a restriction, after applying it."""
    word = lift(row, Instant(at), LATER, signal="a2", by="ann", reason="found")
    state.apply(word)
    return word


def test_what_is_applied_is_found_by_its_target(state: BareState) -> None:
    """Every field, on that target and no other; several on one target are all found."""
    one = restriction(also=(LAPTOP, ACME), source="stream idp", by="ann", reason="why")
    two = restriction(effect=Effect.QUARANTINED, until=None)
    applied = state.apply(one, two, restriction(EVE))
    ordered = replace(one, also=tuple(sorted(one.also, key=lambda mark: mark.name.of)))
    assert applied.number == 3
    assert applied.changed == (ordered, two, restriction(EVE))
    assert set(state.find(BOB)) == {ordered, two}
    assert state.find(ACME, LAPTOP, Mark(Form.CLIENT, ISSUER, "bob"), Mark(Form.SUBJECT, "https://b", "bob")) == ()
    assert len(state.find(BOB, EVE, ACME)) == 3
    assert state.find() == ()


def test_the_same_again_changes_nothing(state: BareState) -> None:
    """And gives the number that contains it."""
    first = state.apply(restriction())
    again = state.apply(restriction(), restriction())
    assert (again.number, again.changed) == (first.number, ())


def test_what_is_older_changes_nothing_and_what_is_later_holds(state: BareState) -> None:
    """By the time of the event, not of its arrival."""
    state.apply(restriction(event_at=NOW + 5))
    assert state.apply(restriction(event_at=NOW)).changed == ()
    assert [row.event_at for row in state.find(BOB)] == [NOW + 5]
    assert state.apply(restriction(event_at=NOW + 9)).changed != ()
    assert [row.event_at for row in state.find(BOB)] == [NOW + 9]
    assert count_restrictions(state.query) == 1


def test_a_shorter_life_does_not_end_what_was_there(state: BareState) -> None:
    """Else a forged repetition, which needs no MAC, could end a restriction."""
    state.apply(restriction(until=None))
    state.apply(restriction(event_at=NOW + 1, until=NOW + 2))
    (row,) = state.find(BOB, at=NOW + 10 * HOUR)
    assert (row.event_at, row.until) == (NOW + 1, None)


def test_what_is_over_is_not_found(state: BareState) -> None:
    """From its end on."""
    state.apply(restriction())
    assert state.find(BOB, at=LATER - 0.001) != ()
    assert state.find(BOB, at=LATER) == ()


def test_lifting_ends_it_and_nothing_older_brings_it_back(state: BareState) -> None:
    """The row stays, as one that is lifted; a later word puts it in force again."""
    state.apply(restriction(until=None))
    word = unlifted(state, restriction())
    assert state.find(BOB) == ()
    assert state.apply(restriction(event_at=NOW + 0.5)).changed == ()
    assert list_restrictions(state.query, state.seal, limit=9) == ()
    assert list_restrictions(state.query, state.seal, limit=9, in_force_only=False) == (word,)
    state.apply(restriction(event_at=NOW + 2))
    assert len(state.find(BOB)) == 1


def test_of_two_words_at_one_instant_the_narrower_holds(state: BareState) -> None:
    """Whichever came first."""
    released = restriction(in_force=False)
    state.apply(released)
    state.apply(restriction())
    assert len(state.find(BOB)) == 1
    assert state.apply(released).changed == ()


def test_lifting_is_later_than_an_event_that_lies_in_the_future(state: BareState) -> None:
    """So that a person can release what a wrong or forged clock has brought."""
    state.apply(restriction(event_at=NOW + 10 * HOUR))
    (row,) = state.find(BOB)
    word = lift(row, Instant(NOW), LATER)
    assert word.event_at > NOW + 10 * HOUR
    state.apply(word)
    assert state.find(BOB) == ()
    assert state.alarms == []


@pytest.mark.parametrize(
    "change",
    [
        {"event_at": inf},
        {"event_at": nan},
        {"until": nan},
        {"until": inf},
        {"until": -inf},
        {"until": None, "in_force": False},
        {"reason": "\ud800"},
    ],
)
def test_what_cannot_be_kept_is_refused_whole(state: BareState, change: dict[str, Any]) -> None:
    """Nothing of the transaction is written."""
    with pytest.raises(ValueError, match=r"finite|surrogates"):
        state.apply(restriction(EVE), restriction(**change))
    assert count_restrictions(state.query) == 0
    assert read_numbers(state.query)["restriction"] == 0
    state.apply(restriction())


def test_a_row_that_was_lifted_by_somebody_else_is_in_force(state: BareState) -> None:
    """Until a person releases it, and it raises an alarm at every look; the next word in force mends the row."""
    state.apply(restriction())
    assert state.forge("restrictions", "in_force = 0, lift_until = 9e12") == 1
    (row,) = state.find(BOB, at=NOW + 10 * HOUR)
    assert (row.in_force, row.until) == (True, None)
    assert len(state.alarms) == 1
    assert "lifted, but not by us" in state.alarms[0]
    (numbered,) = read_since(state.query, 0, 9, state.seal)
    assert (numbered.sealed, numbered.restriction.in_force) == (False, True)
    state.apply(restriction(event_at=NOW + 1))
    assert state.query("SELECT in_force FROM restrictions") == [(1,)]
    unlifted(state, row, NOW + 2)
    assert state.find(BOB) == ()


@pytest.mark.parametrize(
    "forged",
    ["mac = NULL", "mac = zeroblob(32)", "event_at = event_at + 1", "source = 'stream x'", "effect = 'disabled'"],
)
def test_a_seal_is_of_all_that_a_row_says(state: BareState, forged: str) -> None:
    """So a lifted row cannot be made one about something else."""
    state.apply(restriction())
    unlifted(state, restriction())
    assert state.find(BOB) == ()
    state.forge("restrictions", forged)
    assert len(state.find(BOB)) == 1


def test_a_seal_of_another_target_does_not_hold(state: BareState) -> None:
    """A lifted row that is copied to another target lifts nothing."""
    state.apply(restriction(), restriction(EVE))
    unlifted(state, restriction())
    ((mac, event_at),) = state.query("SELECT mac, event_at FROM restrictions WHERE name = ?", (BOB.name.of,))
    change = "in_force = 0, lift_until = ?, mac = ?, event_at = ?, signal = 'a2', by = 'ann', reason = 'found'"
    assert state.forge("restrictions", change + " WHERE name = ?", LATER, mac, event_at, EVE.name.of) == 1
    assert len(state.find(EVE)) == 1


def test_without_comparing_seals_forged_rows_would_count(state: BareState, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control of the forgeries above."""
    monkeypatch.setattr(Seal, "holds", lambda *_: True)
    state.apply(restriction())
    state.forge("restrictions", "in_force = 0, lift_until = 9e12")
    assert state.find(BOB) == ()


@pytest.mark.parametrize(
    "forged", ["effect = 'nothing'", "also = '['", "also = '7'", "also = '[\"x\"]'", "also = '[7]'", "in_force = 7"]
)
def test_a_row_that_says_nothing_usable_shuts_its_target_out(state: BareState, forged: str) -> None:
    """What was there cannot be made ineffective by making it unreadable."""
    state.apply(restriction())
    state.forge("restrictions", forged)
    (row,) = state.find(BOB)
    assert row.mark == BOB
    assert row.in_force


def test_a_row_about_nobody_is_listed_and_does_no_harm(state: BareState) -> None:
    """It is found by no caller's marks; lists say that it is there."""
    state.apply(restriction())
    state.forge("restrictions", "name = 'bob'")
    assert state.find(BOB) == ()
    (row,) = list_restrictions(state.query, state.seal, limit=9)
    assert (row.mark, row.effect) == (Mark(Form.EVERYBODY), Effect.QUARANTINED)


def test_changes_name_their_targets(state: BareState) -> None:
    """The oldest first; what has changed twice is named once, as the newest."""
    state.apply(restriction(), restriction(EVE), restriction(ACME))
    assert read_changed_marks(state.query, 0, 9) == (3, (BOB.name.of, EVE.name.of, ACME.name.of))
    state.apply(restriction(event_at=NOW + 1))
    assert read_changed_marks(state.query, 1, 9) == (4, (EVE.name.of, ACME.name.of, BOB.name.of))
    assert read_changed_marks(state.query, 4, 9) == (4, ())
    assert read_changed_marks(state.query, 1, 2) == (4, None)
    assert read_changed_marks(state.query, 5, 9) == (4, None)


def test_the_target_of_a_mark_is_the_rest_of_its_name(state: BareState) -> None:
    """Values may contain anything, also spaces."""
    for number, mark in enumerate((Mark(Form.EVERYBODY), Mark(Form.WORKLOAD, "", "a b  c"), Mark(Form.ISSUER, ISSUER))):
        state.apply(restriction(mark))
        assert [row.mark for row in state.find(mark)] == [mark], number


def test_what_can_be_forgotten_goes_in_bites_and_is_noted(state: BareState) -> None:
    """A while later than it could; rows without an end stay, lifted ones go; numbers are never given again."""
    marks = [Mark(Form.SUBJECT, ISSUER, str(number)) for number in range(5)]
    state.apply(*(restriction(mark) for mark in marks), restriction(EVE, until=None))
    unlifted(state, restriction())
    at = Instant(LATER + FORGET_AFTER)

    def collected(at: float, limit: int) -> int:
        with state.writing() as (connection, _):
            return collect(connection, Instant(at), limit)

    assert collected(at, 9) == 0
    assert collected(at + 1, 4) == 4
    assert read_changed_marks(state.query, 3, 9) == (7, None)
    assert read_changed_marks(state.query, 4, 9).names is not None
    assert [collected(at + 1, 4) for _ in range(2)] == [2, 0]
    assert count_restrictions(state.query) == 1
    assert read_changed_marks(state.query, 6, 9) == (7, None)
    assert read_changed_marks(state.query, 7, 9) == (7, ())
    assert state.apply(restriction()).number == 8


def test_what_is_in_force_is_counted_by_form_and_effect(state: BareState) -> None:
    """Neither what is lifted nor what is over."""
    state.apply(restriction(), restriction(EVE), restriction(ACME, until=None), restriction(LAPTOP))
    unlifted(state, restriction(EVE))
    assert count_in_force(state.query, Instant(NOW)) == {
        ("subject", "revoked"): 1,
        ("tenant", "revoked"): 1,
        ("device", "revoked"): 1,
    }
    assert count_in_force(state.query, LATER) == {("tenant", "revoked"): 1}


def test_lists_are_narrowed_and_bounded(state: BareState) -> None:
    """The newest first; what is left out does not use up the limit."""
    stream = restriction(effect=Effect.DISABLED, source="stream idp", until=None)
    state.apply(restriction(), stream, restriction(EVE), restriction(ACME, until=NOW + 5 * HOUR))
    unlifted(state, restriction(EVE))

    def listed(**options: object) -> list[Mark]:
        rows = list_restrictions(state.query, state.seal, **options)  # type: ignore[arg-type]  # each is one of its own
        return [row.mark for row in rows]

    assert listed(limit=9) == [ACME, BOB, BOB]
    assert listed(limit=9, in_force_only=False) == [EVE, ACME, BOB, BOB]
    assert listed(limit=1) == [ACME]
    assert listed(limit=2) == [ACME, BOB]
    assert listed(limit=9, mark=BOB) == [BOB, BOB]
    assert listed(limit=9, mark=BOB, source="stream idp") == [BOB]
    assert listed(limit=9, source="stream nobody") == []
    assert listed(limit=9, at=LATER) == [ACME, BOB]


def test_rows_are_read_in_the_order_of_their_changes(state: BareState) -> None:
    """With whose they are: once heard here, a row stays our own."""
    state.apply(restriction(), own=False)
    state.apply(restriction(EVE))
    assert [(row.number, row.own) for row in read_since(state.query, 0, 9, state.seal)] == [(1, False), (2, True)]
    assert state.apply(restriction()).number == 3
    assert [(row.number, row.own) for row in read_since(state.query, 1, 9, state.seal)] == [(2, True), (3, True)]
    assert state.apply(restriction(), own=False).changed == ()
    assert len(read_since(state.query, 0, 1, state.seal)) == 1


def test_a_restriction_can_be_sealed_for_a_journey() -> None:
    """With the seal that machines share; in whatever order `also` is."""
    shared, other = Seal(b"k", b"shared:1"), Seal(b"k", b"shared:2")
    mac = seal_restriction(shared, restriction(also=(ACME, LAPTOP), in_force=False))
    assert is_sealed(shared, restriction(also=(LAPTOP, ACME), in_force=False), mac)
    assert not is_sealed(shared, restriction(also=(LAPTOP, ACME)), mac)
    assert not is_sealed(other, restriction(also=(LAPTOP, ACME), in_force=False), mac)
