"""What travels through Redis, and what is believed of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extauthz.clock import Instant
from extauthz.keeper.redis_rows import (
    FUTURE_SECONDS,
    MAX_ROW_BYTES,
    UNVERIFIED,
    Trust,
    read_row,
    shared_seal,
    write_row,
)
from extauthz.model.restriction import Effect, Form, Mark, Restriction
from tests.simulators.tokens import NOW

KEY = b"k" * 32
OTHER = b"o" * 32
LIFE = "0123abcd"
KEEP = 1000.0

_text = st.text(st.characters(codec="utf-8"), max_size=40)
_marks = st.builds(Mark, st.sampled_from(Form), _text.filter(lambda text: " " not in text), _text)
_instants = st.floats(-1e12, 1e12).map(Instant)
restrictions = st.builds(
    Restriction,
    mark=_marks,
    also=st.lists(_marks, max_size=3).map(lambda marks: tuple(sorted(marks, key=lambda mark: mark.name.of))),
    effect=st.sampled_from(Effect),
    source=_text,
    event_at=_instants,
    until=_instants,
    in_force=st.booleans(),
    signal=_text,
    by=_text,
    reason=_text,
)


def plain(**changes: Any) -> Restriction:
    """Return a restriction of NOW; `changes` replace fields."""
    fields: dict[str, Any] = {
        "mark": Mark(Form.SUBJECT, "https://issuer.test", "bob"),
        "effect": Effect.REVOKED,
        "source": "operator",
        "event_at": Instant(NOW),
        "until": Instant(NOW + 60),
        **changes,
    }
    return Restriction(**fields)


def read(text: object, key: bytes = KEY, life: str = LIFE, at: float = NOW) -> tuple[Trust, Restriction | None]:
    """Return what is believed at NOW."""
    return tuple(read_row(text, shared_seal(key, life), life, Instant(at), KEEP))  # type: ignore[return-value]  # two fields


def written(restriction: Restriction, key: bytes = KEY, life: str = LIFE) -> bytes:
    """Return the text of a row."""
    return write_row(restriction, shared_seal(key, life), life).text


@given(restrictions)
def test_what_is_written_is_read(restriction: Restriction) -> None:
    """All of it, and it is ours."""
    assert read(written(restriction)) == (Trust.OURS, restriction)


@given(restrictions, st.integers(0), st.integers(1, 255))
def test_a_changed_byte_widens_nothing(restriction: Restriction, place: int, flip: int) -> None:
    """Whatever byte it is: at most it narrows, under a source that is none of ours."""
    text = bytearray(written(restriction))
    text[place % len(text)] ^= flip
    trust, found = read(bytes(text))
    if trust is Trust.OURS:
        # Another way to write the same: a digit of the MAC in capitals, a number, a space.
        assert found == restriction
    elif trust is Trust.NARROWS:
        assert found is not None
        assert found.in_force
        assert found.source.startswith(UNVERIFIED)
    else:
        assert found is None or not found.in_force


@given(st.binary(max_size=300) | st.integers() | st.none() | st.text())
def test_nonsense_is_forged(text: object) -> None:
    """And never an exception."""
    assert read(text) == (Trust.FORGED, None)


def test_the_same_row_on_every_machine() -> None:
    """However the further targets are ordered, so that what is there already is not written again."""
    marks = tuple(Mark(Form.CLIENT, "i", name) for name in "ab")
    assert written(plain(also=marks)) == written(plain(also=marks[::-1]))


def test_a_row_is_filed_by_what_it_is_about_and_whether_it_widens() -> None:
    """The two never take each other's place."""
    seal = shared_seal(KEY, LIFE)
    narrow, wide = (write_row(plain(in_force=force), seal, LIFE).field for force in (True, False))
    assert (narrow[:-1], narrow[-1], wide[-1]) == (wide[:-1], "n", "w")
    assert write_row(plain(source="stream s"), seal, LIFE).field[:-1] != narrow[:-1]


def test_long_words_for_people_are_cut() -> None:
    """Nothing else is, or the row would be about something else."""
    found = read(written(plain(reason="r" * 99_999, by="b" * 99_999)))[1]
    assert found == plain(reason="r" * 1024, by="b" * 1024)


class TestWithoutTheKey:
    def test_what_widens_is_forged(self) -> None:
        """Or old, where it is of an earlier incarnation."""
        lifted = plain(in_force=False)
        assert read(written(lifted, key=OTHER))[0] is Trust.FORGED
        assert read(written(lifted, life="before"))[0] is Trust.OLD
        assert read(written(lifted, key=OTHER, life="before"))[0] is Trust.OLD
        assert read(written(lifted))[0] is Trust.OURS

    def test_what_narrows_is_believed_a_little(self) -> None:
        """It ends, and stands apart; twice written it stands no further apart."""
        for text in (written(plain(), key=OTHER), written(plain(), life="before")):
            assert read(text) == (Trust.NARROWS, plain(source="unverified operator"))
        for until in (None, Instant(NOW + 9 * KEEP)):
            found = read(written(plain(until=until, source="unverified x"), key=OTHER))[1]
            assert found == plain(source="unverified x", until=NOW + KEEP)

    def test_it_may_not_speak_of_the_future(self) -> None:
        """Later words of ours would be older than it."""
        for ahead, trust in ((FUTURE_SECONDS, Trust.NARROWS), (FUTURE_SECONDS + 1, Trust.FORGED)):
            assert read(written(plain(event_at=Instant(NOW + ahead)), key=OTHER))[0] is trust
            assert read(written(plain(event_at=Instant(NOW + ahead))))[0] is Trust.OURS


@pytest.mark.parametrize(
    "change",
    [
        {"form": "planet"},
        {"effect": "praised"},
        {"issuer": "two words"},
        {"also": [["client", "two words", "x"]]},
        {"also": [["client", "i"]]},
        {"also": [["client", "i", 1]]},
        {"also": ["client"]},
        {"also": "client"},
        {"also": [["client", "i", "x"]] * 17},
        {"event_at": 1},
        {"event_at": "soon"},
        {"event_at": None},
        {"until": "soon"},
        {"until": None, "in_force": False},
        {"in_force": 1},
        {"in_force": None},
        {"reason": None},
        {"reason": 5},
        {"extra": ""},
    ],
    ids=str,
)
def test_what_says_nothing_that_we_can_use_is_forged(change: dict[str, object]) -> None:
    """Also with a MAC: it is of what was there before."""
    of, at, mac, body = written(plain()).split(b" ", 3)
    members = {**json.loads(body), **change}
    assert read(b" ".join((of, at, mac, json.dumps(members).encode()))) == (Trust.FORGED, None)
    assert read(b" ".join((of, at, mac, json.dumps(json.loads(body)).encode())))[0] is Trust.OURS


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"a b c",
        b"a b c d",
        b"a b zz {}",
        b"a 1.0 00 []",
        b"\xff 1.0 00 {}",
        b"a 1.0 \xff {}",
        b"x" * (MAX_ROW_BYTES + 1),
    ],
)
def test_other_texts_are_forged(text: bytes) -> None:
    """Whatever is missing."""
    assert read(text) == (Trust.FORGED, None)


def test_a_row_says_what_its_restriction_is_not_what_it_was() -> None:
    """A MAC of a row in force does not hold for the same row lifted."""
    of, at, mac, body = written(plain()).split(b" ", 3)
    lifted = json.dumps({**json.loads(body), "in_force": False}).encode()
    assert read(b" ".join((of, at, mac, lifted))) == (Trust.FORGED, replace(plain(), in_force=False))
