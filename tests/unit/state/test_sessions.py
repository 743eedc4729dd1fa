"""The live table of sessions: uses add up, the table stays bounded, and counts are those of marks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from extauthz.clock import Instant
from extauthz.model.restriction import Form, Mark
from extauthz.state.sessions import (
    IDLE_SECONDS,
    MAX_SOURCES,
    SessionSeen,
    count_sessions,
    find_session,
    list_sessions,
    note_sessions,
    total_sessions,
)
from tests.simulators.tokens import ISSUER, NOW

if TYPE_CHECKING:
    from tests.simulators.barestate import BareState

ROOM = 100
OTHER = "https://other.example"


def seen(session: str = "s1", **changes: Any) -> SessionSeen:
    """Return a use of a session; `changes` replace fields."""
    fields: dict[str, Any] = {
        "issuer": ISSUER,
        "session": session,
        "subject": "bob",
        "client": "web",
        "tenant": "acme",
        "workload": "",
        "device": "",
        "source": "192.0.2.1",
        "at": Instant(NOW),
        **changes,
    }
    return SessionSeen(**fields)


def note(state: BareState, *uses: SessionSeen, capacity: int = ROOM) -> None:
    """Write uses down."""
    with state.writing() as (connection, _):
        note_sessions(connection, uses, capacity)


def test_uses_of_a_session_add_up(state: BareState) -> None:
    """In any order; the longest pause is that between two uses in the order in which they came."""
    note(state, seen(), seen(at=NOW + 100, source="192.0.2.2", decisions=4), seen(at=NOW + 50, source=""))
    note(state, seen(at=NOW + 130))
    (live,) = list_sessions(state.query, limit=9)
    assert (live.first_seen, live.last_seen, live.decisions, live.longest_pause) == (NOW, NOW + 130, 7, 100)
    assert live.sources == (("192.0.2.1", NOW + 130), ("192.0.2.2", NOW + 100))
    assert (live.issuer, live.session, live.subject, live.client, live.tenant) == (ISSUER, "s1", "bob", "web", "acme")
    use = find_session(state.query, ISSUER, "s1")
    assert use is not None
    assert (use.started_at, use.seen_at, use.longest_pause) == (NOW, NOW + 130, 100)
    assert use.sources == {"192.0.2.1", "192.0.2.2"}


def test_a_session_is_one_of_its_issuer(state: BareState) -> None:
    """The same name elsewhere is another one, and one that was never seen is not known."""
    note(state, seen(), seen(issuer=OTHER, at=NOW + 1))
    assert total_sessions(state.query) == 2
    assert find_session(state.query, "https://nobody", "s1") is None
    assert find_session(state.query, ISSUER, "s2") is None


def test_the_newest_sources_are_kept(state: BareState) -> None:
    """And no more than that many."""
    uses = [seen(source=f"192.0.2.{number}", at=NOW + number) for number in range(MAX_SOURCES + 3)]
    note(state, *reversed(uses))
    (live,) = list_sessions(state.query, limit=1)
    assert [source for source, _ in live.sources] == [f"192.0.2.{n}" for n in range(MAX_SOURCES + 2, 2, -1)]


def test_those_that_were_not_seen_for_longest_are_left(state: BareState) -> None:
    """Whatever the order in which they are noted."""
    note(state, *(seen(str(number), at=NOW + number % 10) for number in range(20)), capacity=8)
    assert total_sessions(state.query) == 8
    assert {live.last_seen for live in list_sessions(state.query, limit=99)} == {NOW + at for at in (6, 7, 8, 9)}


def test_lists_are_narrowed(state: BareState) -> None:
    """The one that was used last comes first."""
    note(state, seen("a"), seen("b", subject="eve", at=NOW + 1), seen("c", issuer=OTHER, tenant="", at=NOW + 2))

    def listed(**options: Any) -> list[str]:
        return [live.session for live in list_sessions(state.query, **{"limit": 9, **options})]

    assert listed() == ["c", "b", "a"]
    assert listed(limit=1) == ["c"]
    assert listed(issuer=ISSUER) == ["b", "a"]
    assert listed(issuer=ISSUER, subject="eve") == ["b"]
    assert listed(tenant="acme", subject="bob") == ["a"]


COUNTED = [
    ([Mark(Form.SUBJECT, ISSUER, "bob")], [], 2),
    ([Mark(Form.SUBJECT, OTHER, "bob")], [], 1),
    ([Mark(Form.SESSION, ISSUER, "a")], [], 1),
    ([Mark(Form.TOKEN, ISSUER, "c")], [], 1),
    ([Mark(Form.CLIENT, ISSUER, "web")], [], 3),
    ([Mark(Form.TENANT, ISSUER, "acme")], [], 2),
    ([Mark(Form.DEVICE, ISSUER, "laptop")], [], 1),
    ([Mark(Form.WORKLOAD, "", "ci")], [], 1),
    ([Mark(Form.ISSUER, ISSUER)], [], 3),
    ([Mark(Form.EVERYBODY)], [], 4),
    ([Mark(Form.CERTIFICATE, "", "ab")], [], 0),
    ([], [], 0),
    ([Mark(Form.SUBJECT, ISSUER, "bob"), Mark(Form.CLIENT, ISSUER, "web")], [], 3),
    ([Mark(Form.ISSUER, ISSUER)], [Mark(Form.TENANT, ISSUER, "acme")], 3),
    ([Mark(Form.ISSUER, ISSUER)], [Mark(Form.TENANT, ISSUER, "blue")], 1),
    ([Mark(Form.ISSUER, ISSUER)], [Mark(Form.WORKLOAD, "", "x")], 2),
    ([Mark(Form.ISSUER, ISSUER)], [Mark(Form.CERTIFICATE, "", "ab"), Mark(Form.SUBJECT, ISSUER, "bob")], 2),
]


@pytest.mark.parametrize(("marks", "also", "count"), COUNTED)
def test_counts_are_those_of_marks(state: BareState, marks: list[Mark], also: list[Mark], count: int) -> None:
    """Any of `marks`, and each of `also` that the session says something about; nobody who was idle for long."""
    note(
        state,
        seen("a", device="laptop"),
        seen("b", subject="eve"),
        seen("c", tenant="", workload="ci"),
        seen("d", issuer=OTHER),
        seen("idle", at=NOW - IDLE_SECONDS),
    )
    assert count_sessions(state.query, marks, also, Instant(NOW)) == count


@pytest.mark.parametrize("mark", [marks[0] for marks, also, _ in COUNTED if marks and not also][:8])
def test_counting_reads_an_index(state: BareState, mark: Mark) -> None:
    """Not the whole table: it is done before every revocation."""
    plans: list[str] = []

    def explain(statement: str, parameters: tuple[object, ...]) -> list[tuple[Any, ...]]:
        plans.extend(str(row[-1]) for row in state.query("EXPLAIN QUERY PLAN " + statement, parameters))
        return [(0,)]

    count_sessions(explain, [mark], [], Instant(NOW))
    assert [plan for plan in plans if plan.startswith("SEARCH sessions USING")] == plans
