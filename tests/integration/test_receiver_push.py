"""Events that are pushed to a whole server: every promise, and what is special about pushing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.integration.signal_promises import PROMISES, an_unknown_critical_member_discards_the_event
from tests.integration.signalled import ALLOWED, REVOKED, Scene, seconds_of_patience, signalled
from tests.simulators.transmitter import push

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Run one server for all promises; each is about people of its own."""
    with signalled(tmp_path_factory.mktemp("push"), pushes=True) as running:
        yield running


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_promise(scene: Scene, promise: Callable[[Scene], None]) -> None:
    """Whatever arrives by push."""
    promise(scene)


def test_the_wrong_authorization_changes_nothing(scene: Scene) -> None:
    """However good the event is."""
    token, event = scene.mint("intruder"), scene.revoke("intruder")
    for given in ("Bearer wrong", None):
        answer = push(scene.receiver, event, authorization=given)
        assert (answer.status, answer.err) == (400, "authentication_failed")
    assert scene.outcome(token) == ALLOWED
    assert push(scene.receiver, event).status == 202
    assert scene.outcome(token) == REVOKED


def test_an_unknown_critical_member_by_metadata(tmp_path: Path) -> None:
    """They were read when the server started."""
    with signalled(tmp_path, pushes=True, alg="RS256", critical_subject_members=["org_unit"]) as scene:
        an_unknown_critical_member_discards_the_event(scene)


def test_what_would_end_too_many_sessions_waits_for_a_person(tmp_path: Path) -> None:
    """From the event to the operator, who is told how many, and back to the next decision."""
    with signalled(tmp_path, pushes=True, hold_above=2) as scene:
        tokens = [scene.mint("many", sid=f"s-{number}") for number in range(3)]
        for few, outcome in ((True, REVOKED), (False, ALLOWED)):
            somebody = [scene.mint("few", sid="s")] if few else tokens
            assert [scene.outcome(token) for token in somebody] == [ALLOWED] * len(somebody)
            told = ["sessions", "--subject", "few" if few else "many", "--json"]
            seconds_of_patience(lambda: len(json.loads(scene.command(*told))) == len(somebody))  # noqa: B023 — called at once
            assert scene.send(scene.revoke("few" if few else "many")) == "accepted"
            assert [scene.outcome(token) for token in somebody] == [outcome] * len(somebody)
        assert "3 sessions" in scene.command("signals", "held")
        (held,) = json.loads(scene.command("signals", "held", "--json"))
        assert "in force on 1/1 workers" in scene.command("signals", "admit", held["id"])
        assert [scene.outcome(token) for token in tokens] == [REVOKED] * 3


def test_a_stream_that_falls_silent_refuses_its_issuers_callers(tmp_path: Path) -> None:
    """`max_silence`; the next event that proves that it is alive lets them through again."""
    with signalled(tmp_path, pushes=True, max_silence=4.0, verify_every=None) as scene:
        token = scene.mint("quiet")

        def is_heard() -> bool:
            assert scene.send(scene.revoke("somebody")) == "accepted"
            return scene.outcome(token) == ALLOWED

        seconds_of_patience(is_heard)
        seconds_of_patience(lambda: scene.outcome(token) == (503, "signals_stale"))
        seconds_of_patience(is_heard)
