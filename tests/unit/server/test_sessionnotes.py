"""Notes of sessions: every use that was let through is told once, nothing else is, and nothing grows without bound."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.clock import Instant
from extauthz.errors import LinkError, StateError
from extauthz.ids import DecisionId, RuleId
from extauthz.model.decision import Decision
from extauthz.model.identity import ANONYMOUS, Identity, Principal
from extauthz.model.reason import Reason
from extauthz.model.verdict import Allow, Deny
from extauthz.server.sessionnotes import SessionNotes, session_of
from tests.simulators.policies import make_request
from tests.simulators.tokens import ISSUER, NOW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extauthz.state.sessions import SessionSeen

ALICE = Identity(
    subject=Principal(issuer=ISSUER, subject="alice", client="web"),
    session="s-1",
    tenant="acme",
    workload="w",
    device="laptop",
)


class Told:
    """Takes uses over, or fails when it is told to."""

    def __init__(self) -> None:
        self.seen: list[SessionSeen] = []
        self.fails: Exception | None = None

    def __call__(self, seen: Sequence[SessionSeen]) -> None:
        """Take them."""
        if self.fails is not None:
            raise self.fails
        self.seen.extend(seen)


@pytest.fixture
def told() -> Told:
    """Return somebody to tell."""
    return Told()


def decision(identity: Identity | None = ALICE, *, address: str = "192.0.2.10", **changes: Any) -> Decision:
    """Return an allow."""
    request = make_request()
    request = replace(request, source=replace(request.source, address=address))
    made = Decision(
        decision_id=DecisionId("d-1"),
        at=Instant(NOW),
        verdict=Allow(rule=RuleId("r")),
        request=request,
        identity=identity,
    )
    return replace(made, **changes)


def test_uses_are_added_up(told: Told) -> None:
    """Of one session from one address; the last instant counts."""
    notes = SessionNotes(told)
    for seconds in range(3):
        notes.note(decision(), Instant(NOW + seconds))
    notes.note(decision(address="192.0.2.11"), Instant(NOW + 9))
    notes.flush()
    assert [(use.source, use.at, use.decisions) for use in told.seen] == [
        ("192.0.2.10", NOW + 2, 3),
        ("192.0.2.11", NOW + 9, 1),
    ]
    use = told.seen[0]
    assert (use.issuer, use.session, use.subject, use.client) == (ISSUER, "s-1", "alice", "web")
    assert (use.tenant, use.workload, use.device) == ("acme", "w", "laptop")
    notes.flush()
    assert len(told.seen) == 2


def test_only_what_is_let_through_is_a_use(told: Told) -> None:
    """A session that has ended is not kept alive by being refused; nobody has no session."""
    notes = SessionNotes(told)
    notes.note(decision(verdict=Deny(reason=Reason.SESSION_ENDED)), Instant(NOW))
    notes.note(decision(None), Instant(NOW))
    notes.note(decision(ANONYMOUS), Instant(NOW))
    notes.note(decision(request=None), Instant(NOW))
    notes.flush()
    assert told.seen == []


def test_without_a_session_something_stands_for_it() -> None:
    """Who it is, and by which client."""
    nameless = replace(ALICE, session="")
    assert session_of(ALICE) == "s-1"
    assert session_of(nameless) == "alice web"
    assert session_of(nameless) != session_of(replace(nameless, subject=Principal(issuer=ISSUER, subject="alice")))


@pytest.mark.parametrize("error", [LinkError("gone"), StateError("full")])
def test_what_could_not_be_told_is_told_later(told: Told, error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    """With what came in between."""
    notes = SessionNotes(told)
    told.fails = error
    notes.note(decision(), Instant(NOW))
    notes.note(decision(address="192.0.2.11"), Instant(NOW))
    notes.flush()
    assert "wait" in capsys.readouterr().out
    told.fails = None
    notes.note(decision(), Instant(NOW + 5))
    notes.flush()
    assert [(use.source, use.at, use.decisions) for use in told.seen] == [
        ("192.0.2.10", NOW + 5, 2),
        ("192.0.2.11", NOW, 1),
    ]


def test_what_comes_while_telling_fails_is_added(told: Told) -> None:
    """The newest instant is kept, and room is bounded."""
    notes = SessionNotes(told, capacity=2)

    def meanwhile(_: Sequence[SessionSeen]) -> None:
        notes.note(decision(), Instant(NOW + 7))
        notes.note(decision(address="192.0.2.12"), Instant(NOW + 7))
        message = "gone"
        raise LinkError(message)

    notes._tell = meanwhile
    notes.note(decision(), Instant(NOW))
    notes.note(decision(address="192.0.2.11"), Instant(NOW))
    notes.flush()
    notes._tell = told
    notes.flush()
    assert [(use.source, use.at, use.decisions) for use in told.seen] == [
        ("192.0.2.10", NOW + 7, 2),
        ("192.0.2.12", NOW + 7, 1),
    ]


def test_there_is_room_for_so_many(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    """What is lost is counted; known ones go on."""
    notes = SessionNotes(told, capacity=1)
    for address in ("192.0.2.10", "192.0.2.11", "192.0.2.10"):
        notes.note(decision(address=address), Instant(NOW))
    notes.flush()
    assert [(use.source, use.decisions) for use in told.seen] == [("192.0.2.10", 2)]
    assert "are lost" in capsys.readouterr().out
