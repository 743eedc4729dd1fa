"""How streams fare, as rows for Redis: whose rows count, and what is told how often."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extauthz.clock import Instant
from extauthz.keeper.hearing import OwnHearing
from extauthz.keeper.redis_journal import Life
from extauthz.keeper.redis_rows import Trust, read_row, shared_seal
from extauthz.keeper.redis_streams import Told, read_stream, write_stream
from extauthz.state.signals import StreamHeard
from tests.simulators.tokens import NOW

SEAL = shared_seal(b"k" * 32, "abc")
LIFE = Life("abc", "run")


def later(seconds: float) -> Instant:
    """Return an instant after now."""
    return Instant(NOW + seconds)


def heard(seconds: float, status: str = "", said: float | None = None, name: str = "idp") -> StreamHeard:
    """Return how a stream fares."""
    status_at = None if said is None else later(said)
    return StreamHeard(name=name, heard_at=later(seconds), status=status, status_at=status_at)


@pytest.mark.parametrize("status", [None, "paused", ""])
def test_a_row_is_read_as_it_was_written(status: str | None) -> None:
    """By who has the key, and only in its incarnation."""
    row = write_stream("idp", status, later(-5), SEAL, "abc")
    wanted = (
        StreamHeard(name="idp", heard_at=later(-5))
        if status is None
        else StreamHeard(name="idp", heard_at=None, status=status, status_at=later(-5))
    )
    assert read_stream(row.text, SEAL, "abc", NOW) == (Trust.OURS, wanted)
    assert read_stream(row.text, shared_seal(b"o" * 32, "abc"), "abc", NOW) == (Trust.FORGED, None)
    assert read_stream(row.text, shared_seal(b"k" * 32, "def"), "def", NOW) == (Trust.OLD, None)
    assert read_row(row.text, SEAL, "abc", NOW, 60.0).trust is Trust.FORGED


def test_nobody_is_heard_in_the_future() -> None:
    """By our clock; it would count for too long."""
    row = write_stream("idp", None, later(500), SEAL, "abc")
    assert read_stream(row.text, SEAL, "abc", NOW) == (Trust.OURS, StreamHeard(name="idp", heard_at=NOW))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "mdm"},
        {"name": 5},
        {"status": "enabled"},
        {"status": 1},
        {"at": NOW + 1},
        {"at": int(NOW)},
        {"at": None},
        {"more": 1},
    ],
    ids=str,
)
def test_a_row_that_says_something_else_is_forged(changes: dict[str, Any]) -> None:
    """The MAC is over all that it says."""
    of, at, mac, text = write_stream("idp", None, NOW, SEAL, "abc").text.split(b" ", 3)
    body = json.dumps({**json.loads(text), **changes}).encode()
    assert read_stream(b" ".join((of, at, mac, body)), SEAL, "abc", NOW) == (Trust.FORGED, None)


@given(st.binary() | st.none() | st.binary().map(lambda tail: b"abc 1.0 00 " + tail))
def test_nonsense_is_forged(text: bytes | None) -> None:
    """And never an error."""
    assert read_stream(text, SEAL, "abc", NOW) == (Trust.FORGED, None)


class TestTold:
    """What is told how often."""

    def test_not_every_event_is_told(self) -> None:
        """A tenth of the silence that is allowed, at least a second; a status always."""
        told = Told({"idp": 300.0, "quick": 2.0})

        def tell(*streams: StreamHeard, life: Life = LIFE) -> int:
            rows = told.news(streams, life, SEAL)
            told.note(rows)
            return len(rows)

        assert [tell(heard(at)) for at in (0, 0, 29, 30, 31, 60)] == [1, 0, 0, 1, 0, 1]
        assert [tell(heard(at, name="quick")) for at in (0, 0.5, 1)] == [1, 0, 1]
        assert [tell(heard(at, name="endless")) for at in (0, 59, 60)] == [1, 0, 1]
        statuses = [("paused", 1), ("paused", 1), ("enabled", 1), ("enabled", 2)]
        assert [tell(heard(60, status, said)) for status, said in statuses] == [1, 0, 1, 1]
        assert tell(heard(61, "enabled", 2), life=Life("abc", "other run")) == 2

    def test_what_was_not_taken_is_told_again(self) -> None:
        """Nothing is told until that is noted."""
        told = Told({})
        assert len(told.news([heard(0)], LIFE, SEAL)) == len(told.news([heard(0)], LIFE, SEAL)) == 1


def test_what_was_heard_here_is_the_latest() -> None:
    """An earlier instant, or an older word, changes nothing."""
    hearing = OwnHearing()
    assert hearing.read() == ()
    hearing.told("idp", "paused", later(2))
    hearing.heard("idp", later(5))
    hearing.heard("idp", later(4))
    hearing.told("idp", "enabled", later(1))
    hearing.heard("mdm", later(1))
    assert set(hearing.read()) == {heard(5, "paused", 2), heard(1, name="mdm")}
