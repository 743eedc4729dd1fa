"""What was heard: once each, in order, held for people, forgotten in bites; and how streams fare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from extauthz.clock import Instant
from extauthz.model.receipt import Action
from extauthz.model.restriction import OPERATOR
from extauthz.state.signals import (
    StreamHeard,
    collect_signals,
    find_action,
    find_held,
    held,
    hold,
    read_streams,
    remember,
    settle_held,
    stream_heard,
    stream_status,
    tail,
)
from tests.simulators.barestate import BOB, restriction
from tests.simulators.tokens import NOW

if TYPE_CHECKING:
    from tests.simulators.barestate import BareState

END = Instant(NOW + 60)


def action(id_: str = "j1", **changes: Any) -> Action:
    """Return an event; `changes` replace fields."""
    fields: dict[str, Any] = {
        "id": id_,
        "source": "stream idp",
        "kind": "session-revoked",
        "received_at": Instant(NOW),
        "by": "admin",
        "reason": "left",
        **changes,
    }
    return Action(**fields)


def heard(state: BareState, what: Action, until: Instant = END) -> bool:
    """Write an event down."""
    with state.writing() as (connection, _):
        return remember(connection, what, "applied", "one session", "bob", 7, until)


def test_an_event_is_new_once(state: BareState) -> None:
    """By source and id; what was written first stays."""
    assert heard(state, action())
    assert not heard(state, action(kind="other"))
    assert heard(state, action(source=OPERATOR))
    known = find_action(state.query, "stream idp", "j1")
    assert known is not None
    assert (known.action, known.outcome, known.detail, known.subject) == (action(), "applied", "one session", "bob")
    assert known.number == 7
    assert find_action(state.query, "stream idp", "j2") is None


def test_the_tail_goes_on_from_where_one_stood(state: BareState) -> None:
    """The oldest first; without a place, the newest; a repetition is not in it twice."""
    for number in range(5):
        heard(state, action(str(number)))
        heard(state, action(str(number)))
    assert [each.action.id for each in tail(state.query, 0, 9)] == ["0", "1", "2", "3", "4"]
    newest = tail(state.query, None, 2)
    assert [each.action.id for each in newest] == ["3", "4"]
    assert tail(state.query, newest[-1].position, 9) == ()
    assert [each.action.id for each in tail(state.query, newest[0].position, 1)] == ["4"]


def test_positions_are_not_given_again(state: BareState) -> None:
    """Also when the newest was forgotten; what cannot be repeated any more goes in bites."""
    for number in range(3):
        heard(state, action(str(number)))
    last = tail(state.query, None, 1)[0].position
    with state.writing() as (connection, _):
        assert collect_signals(connection, Instant(END - 1), 9) == 0
        assert [collect_signals(connection, END, 2) for _ in range(3)] == [2, 1, 0]
    heard(state, action("new"))
    assert tail(state.query, None, 1)[0].position == last + 1


def test_what_is_held_waits_once_until_it_is_settled(state: BareState) -> None:
    """With what it would put in force; settled, it does not wait again."""
    words = (restriction(), restriction(also=(BOB,), in_force=False, reason="r"))
    with state.writing() as (connection, _):
        assert hold(connection, "h1", action(), "bob", 14_212, words)
        assert not hold(connection, "h1", action("j2"), "eve", 1, ())
        assert hold(connection, "h0", action("j0", received_at=NOW - 1), "eve", 1, ())
    assert [each.id for each in held(state.query)] == ["h0", "h1"]
    found = find_held(state.query, "h1")
    assert found is not None
    assert (found.action, found.subject, found.sessions, found.restrictions) == (action(), "bob", 14_212, words)
    with state.writing() as (connection, _):
        assert settle_held(connection, "h1", "admitted by ann")
        assert not settle_held(connection, "h1", "dismissed by bob")
        assert not settle_held(connection, "h9", "dismissed")
        assert not hold(connection, "h1", action(), "bob", 14_212, words)
    assert find_held(state.query, "h1") is None
    assert [each.id for each in held(state.query)] == ["h0"]


def test_what_was_settled_goes_with_its_event(state: BareState) -> None:
    """What still waits stays, however old."""
    for name in ("settled", "waiting"):
        heard(state, action(name))
        with state.writing() as (connection, _):
            hold(connection, name, action(name), "bob", 1, (restriction(),))
    with state.writing() as (connection, _):
        settle_held(connection, "settled", "dismissed")
        assert collect_signals(connection, END, 9) == 2
    assert state.query("SELECT name FROM held_signals") == [("waiting",)]
    assert find_held(state.query, "waiting") is not None


def test_how_streams_fare(state: BareState) -> None:
    """The newest word of each sort counts, whatever the order in which they come."""
    with state.writing() as (connection, _):
        stream_heard(connection, "idp", Instant(NOW))
        stream_heard(connection, "idp", Instant(NOW - 5))
        stream_status(connection, "idp", "paused", Instant(NOW))
        stream_status(connection, "idp", "enabled", Instant(NOW - 1))
        stream_status(connection, "mdm", "disabled", Instant(NOW))
    assert read_streams(state.query) == {
        "idp": StreamHeard(name="idp", heard_at=Instant(NOW), status="paused", status_at=Instant(NOW)),
        "mdm": StreamHeard(name="mdm", heard_at=None, status="disabled", status_at=Instant(NOW)),
    }
    with state.writing() as (connection, _):
        stream_heard(connection, "mdm", Instant(NOW))
        stream_status(connection, "idp", "enabled", Instant(NOW))
    streams = read_streams(state.query)
    assert (streams["mdm"].heard_at, streams["mdm"].status, streams["idp"].status) == (NOW, "disabled", "enabled")
