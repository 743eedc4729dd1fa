"""What every engine of the state must do, wherever it keeps things; run for each by `test_state_contract.py`.

An engine is a keeper that acknowledges, and views by which others decide: of the same machine, or of another one. What
was acknowledged has to be in every view at its next look; on other machines, once the receipt says so.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from math import nextafter
from typing import TYPE_CHECKING, Any, Protocol

from extauthz.clock import Instant, SystemClock
from extauthz.model.receipt import Action
from extauthz.model.restriction import OPERATOR, Effect, Form, Mark, Restriction
from extauthz.model.state import StateName
from tests.simulators.tokens import ISSUER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extauthz.keeper.keeper import Keeper
    from extauthz.model.receipt import Receipt
    from extauthz.server.stateview import StateView

ANN, BOB = (Mark(Form.SUBJECT, ISSUER, name) for name in ("ann", "bob"))
ACME = Mark(Form.TENANT, ISSUER, "acme")
HOUR = 3600.0
_IDS = count(1)


class Engine(Protocol):
    """An engine under test."""

    @property
    def keeper(self) -> Keeper:
        """Return who is asked to do things."""
        ...

    @property
    def views(self) -> Sequence[StateView]:
        """Return by what others decide, the nearest first."""
        ...

    def reopen(self) -> None:
        """End everything that runs, in an orderly way, and start it again."""
        ...


def now() -> Instant:
    """Return the time."""
    return SystemClock().now()


def action(**changes: Any) -> Action:
    """Return what a person does; `changes` replace fields."""
    fields: dict[str, Any] = {
        "id": f"action-{next(_IDS)}",
        "source": OPERATOR,
        "kind": "revoke",
        "received_at": now(),
        **changes,
    }
    return Action(**fields)


def word(mark: Mark = BOB, **changes: Any) -> Restriction:
    """Return a restriction for an hour from now; `changes` replace fields."""
    at = now()
    fields: dict[str, Any] = {
        "mark": mark,
        "effect": Effect.REVOKED,
        "source": OPERATOR,
        "event_at": at,
        "until": Instant(at + HOUR),
        **changes,
    }
    return Restriction(**fields)


def found(view: StateView, *marks: Mark) -> set[Restriction]:
    """Return what a decision finds now."""
    view.freshen()
    return set(view.find_restrictions(marks, now()))


class StateContract:
    """Inherit it, and have a fixture `engine` that begins empty."""

    def test_what_was_acknowledged_is_in_force_at_the_next_look(self, engine: Engine) -> None:
        """In every view, which saw nothing just before; each has another epoch then."""
        for number in range(25):
            mark = Mark(Form.SUBJECT, ISSUER, f"user {number}")
            before = [found(view, mark) for view in engine.views]
            epochs = [view.epochs["restriction"](mark.name.of) for view in engine.views]
            said = word(mark)
            receipt = engine.keeper.carry_out(action(), [said])
            assert before == [set()] * len(engine.views)
            assert [found(view, mark) for view in engine.views] == [{said}] * len(engine.views)
            assert receipt.workers == receipt.of_workers > 0
            assert receipt.replicas == receipt.of_replicas
            assert receipt.changed == 1
            moved = [view.epochs["restriction"](mark.name.of) for view in engine.views]
            assert all(then != now_ for then, now_ in zip(epochs, moved, strict=True))

    def test_only_epochs_of_targets_that_changed_move(self, engine: Engine) -> None:
        """Else every revocation would cost everybody's kept decisions."""
        for view in engine.views:
            view.freshen()
        before = [view.epochs["restriction"](ANN.name.of) for view in engine.views]
        engine.keeper.carry_out(action(), [word(BOB)])
        for view in engine.views:
            view.freshen()
        assert [view.epochs["restriction"](ANN.name.of) for view in engine.views] == before

    def test_the_same_action_takes_effect_once(self, engine: Engine) -> None:
        """A repetition is acknowledged like the first, and changes nothing."""
        said, done = word(), action()
        first = engine.keeper.carry_out(done, [said])
        again = engine.keeper.carry_out(done, [word(ANN)])
        assert again.number >= first.number
        assert again.changed == 0
        assert [found(view, ANN, BOB) for view in engine.views] == [{said}] * len(engine.views)

    def test_the_latest_event_holds_in_whatever_order_they_come(self, engine: Engine) -> None:
        """By the time of the event; the row is kept as long as the longest asked for."""
        at = now()
        early, late = word(event_at=Instant(at - 60)), word(event_at=Instant(at - 30), until=Instant(at + 60))
        receipts = [engine.keeper.carry_out(action(), [said]) for said in (late, early)]
        assert [receipt.changed for receipt in receipts] == [1, 1]  # the second: how long it is kept
        for view in engine.views:
            (row,) = found(view, BOB)
            assert (row.event_at, row.until) == (late.event_at, early.until)

    def test_lifting_is_in_force_like_everything_else(self, engine: Engine) -> None:
        """What is older does not bring it back; what is newer does."""
        said = word(effect=Effect.QUARANTINED, until=None)
        engine.keeper.carry_out(action(), [said, word(ANN)])
        engine.keeper.lift(action(kind="release"), [BOB])
        assert [found(view, BOB) for view in engine.views] == [set()] * len(engine.views)
        assert [len(found(view, ANN)) for view in engine.views] == [1] * len(engine.views)
        assert engine.keeper.carry_out(action(), [said]).changed == 0
        assert [found(view, BOB) for view in engine.views] == [set()] * len(engine.views)
        again = replace(said, event_at=Instant(nextafter(now(), 1e12)))
        engine.keeper.carry_out(action(), [again])
        assert [found(view, BOB) for view in engine.views] == [{again}] * len(engine.views)

    def test_a_source_lifts_its_own_words_only(self, engine: Engine) -> None:
        """Another stream's restriction on the same target stays."""
        mine, theirs = word(source="stream mine", until=None), word(source="stream theirs", until=None)
        engine.keeper.carry_out(action(), [mine, theirs])
        lifted = replace(mine, in_force=False, event_at=now(), until=Instant(now() + HOUR))
        engine.keeper.carry_out(action(source="stream mine"), [lifted])
        assert [found(view, BOB) for view in engine.views] == [{theirs}] * len(engine.views)

    def test_all_of_an_action_or_none(self, engine: Engine) -> None:
        """Several targets at once; also those of complex subjects come out as they went in."""
        said = [word(ANN, also=(ACME,)), word(BOB), word(ACME, effect=Effect.RISK_HIGH)]
        receipt = engine.keeper.carry_out(action(), said)
        assert receipt.changed == 3
        assert [found(view, ANN, BOB, ACME) for view in engine.views] == [set(said)] * len(engine.views)

    def test_nothing_acknowledged_is_lost_by_ending(self, engine: Engine) -> None:
        """Restrictions, lifts and what is known of actions; numbers go on; no epoch is met again."""
        said, done = word(), action()
        receipt = engine.keeper.carry_out(done, [said, word(ANN)])
        engine.keeper.lift(action(kind="release"), [ANN])
        engine.reopen()
        assert [found(view, ANN, BOB) for view in engine.views] == [{said}] * len(engine.views)
        another = engine.keeper.carry_out(action(), [word(ACME)])
        assert another.number > receipt.number
        again = engine.keeper.carry_out(done, [word(ANN)])
        assert again.number >= receipt.number
        assert again.changed == 0
        assert engine.keeper.carry_out(action(), [word(ACME)]).number > max(again.number, another.number)

    def test_views_are_fresh_while_the_keeper_beats(self, engine: Engine) -> None:
        """And facts that nobody has collected are not known."""
        for view in engine.views:
            view.freshen()
            assert view.is_state_fresh(now())
            assert view.find_state(StateName("posture", "device x"), now()) is None

    def test_receipts_count_what_they_are_about(self, engine: Engine) -> None:
        """An action without effect is acknowledged by its number as well."""
        receipt: Receipt = engine.keeper.carry_out(action(), [])
        assert (receipt.changed, receipt.held) == (0, "")
        assert receipt.workers == receipt.of_workers
