"""Events that a whole server fetches: every promise, and what is special about polling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.signal_promises import PROMISES, an_unknown_critical_member_discards_the_event
from tests.integration.signalled import ACCEPTED, ALLOWED, REVOKED, Scene, seconds_of_patience, signalled
from tests.simulators.transmitter import Mood, jti_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Run one server for all promises; each is about people of its own."""
    with signalled(tmp_path_factory.mktemp("poll"), pushes=False) as running:
        yield running


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_promise(scene: Scene, promise: Callable[[Scene], None]) -> None:
    """Whatever arrives by poll."""
    promise(scene)


def test_good_ones_are_acknowledged_and_the_bad_one_is_reported(scene: Scene) -> None:
    """In one batch, and more than one poll brings is followed at once."""
    people = [f"batch-{number}" for number in range(7)]
    tokens = [scene.mint(person) for person in people]
    good = [scene.revoke(person, happened=1) for person in people]
    bad = scene.revoke("batch-bad", aud="https://others.example")
    scene.transmitter.offer(*good[:3], bad, *good[3:])
    seconds_of_patience(lambda: not scene.transmitter.pending)
    assert [scene.outcome(token) for token in tokens] == [REVOKED] * 7
    assert {jti_of(event) for event in good} <= set(scene.transmitter.acked)
    assert scene.transmitter.errors[jti_of(bad)]["err"] == "invalid_audience"


def test_a_transmitter_that_was_away_loses_nothing(scene: Scene) -> None:
    """What was reported meanwhile takes effect when it is back, without a restart."""
    token = scene.mint("patient")
    scene.transmitter.feel(Mood.ERROR)
    scene.transmitter.offer(scene.revoke("patient", happened=1))
    assert scene.outcome(token) == ALLOWED
    scene.transmitter.feel(Mood.HONEST)
    seconds_of_patience(lambda: scene.outcome(token) == REVOKED)


def test_a_transmitter_that_forgets_acknowledgements_changes_nothing(scene: Scene) -> None:
    """The same event again and again is one event."""
    event = scene.revoke("forgotten", happened=5)
    scene.transmitter.feel(Mood.DROPS_ACKS)
    scene.transmitter.offer(event)
    seconds_of_patience(lambda: scene.transmitter.acked.count(jti_of(event)) > 2)
    first = scene.applied(event)
    assert len(first) == 1
    scene.transmitter.feel(Mood.HONEST)
    seconds_of_patience(lambda: not scene.transmitter.pending)
    assert scene.applied(event) == first


def test_an_unknown_critical_member_by_metadata(tmp_path: Path) -> None:
    """As the settings say, or the metadata."""
    with signalled(tmp_path, pushes=False, alg="RS256", critical_subject_members=["org_unit"]) as scene:
        an_unknown_critical_member_discards_the_event(scene)


def test_a_restart_takes_up_where_it_was(tmp_path: Path) -> None:
    """What was in force is in force; what was not acknowledged comes again and is known."""
    with signalled(tmp_path, pushes=False) as scene:
        event = scene.revoke("restarted", happened=30)
        assert scene.send(event) == ACCEPTED
    with signalled(tmp_path, pushes=False) as scene:
        assert scene.outcome(scene.mint("restarted")) == REVOKED
