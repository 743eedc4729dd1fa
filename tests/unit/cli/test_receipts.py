"""What a receipt says: in words, as an exit code, as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extauthz.cli.receipts import EXIT_HELD, EXIT_UNCONFIRMED, exit_code_of, lines_of, read_receipt, to_answer
from extauthz.cli.statetable import printable, to_moment
from extauthz.clock import Instant
from extauthz.model.receipt import Receipt, from_document, to_document

DONE = Receipt(
    id="a1",
    at=Instant(1_900_000_000.0),
    number=7,
    changed=1,
    workers=4,
    of_workers=4,
    replicas=2,
    of_replicas=2,
    seconds=0.0031,
    sessions=12,
    streams=("feed", "chat"),
)


def test_it_is_in_force_everywhere() -> None:
    """One line, with everything that somebody asks in the night."""
    (line,) = lines_of(DONE)
    assert line == (
        "in force on 4/4 workers, 2/2 replicas after 3.1 ms; 12 live sessions; "
        "long-lived streams that may still be open: feed, chat"
    )
    assert exit_code_of(DONE) == 0
    assert to_answer(DONE)["in_force_everywhere"] is True


@pytest.mark.parametrize(
    "receipt",
    [
        replace(DONE, workers=3),
        replace(DONE, replicas=1),
        replace(DONE, workers=0, of_workers=0),
    ],
    ids=["a worker is silent", "a machine is silent", "nobody was asked"],
)
def test_whoever_has_not_said_so_does_not_count(receipt: Receipt) -> None:
    """Less than everybody is told as such, and nobody at all is not everybody."""
    assert exit_code_of(receipt) == EXIT_UNCONFIRMED
    assert "NOT confirmed" in list(lines_of(receipt))[1]
    assert to_answer(receipt)["in_force_everywhere"] is False


def test_what_is_held_is_not_in_force() -> None:
    """The line says whom it would end and how to decide."""
    receipt = replace(DONE, held="e1", sessions=14_212, workers=0)
    (line,) = lines_of(receipt)
    assert "14,212 live sessions" in line
    assert "extauthz signals admit e1" in line
    assert exit_code_of(receipt) == EXIT_HELD
    assert not replace(DONE, held="e1").is_everywhere


@pytest.mark.parametrize(("seconds", "told"), [(0.0005, "0.5 ms"), (2.5, "2.5 s"), (150.0, "2.5 min")])
def test_how_long_it_took(seconds: float, told: str) -> None:
    """In a unit that people read."""
    line = next(iter(lines_of(replace(DONE, seconds=seconds, of_replicas=0, streams=()))))
    assert line == f"in force on 4/4 workers after {told}; 12 live sessions"


@given(
    st.builds(
        Receipt,
        id=st.text(),
        at=st.floats(0, 4e9).map(Instant),
        number=st.integers(),
        changed=st.integers(),
        workers=st.integers(),
        of_workers=st.integers(),
        replicas=st.integers(),
        of_replicas=st.integers(),
        seconds=st.floats(0, 1e6),
        sessions=st.integers(),
        streams=st.lists(st.text()).map(tuple),
        held=st.text(),
    )
)
def test_the_wire_keeps_it(receipt: Receipt) -> None:
    """What is read is what was written; members of later versions are left out."""
    document = json.loads(json.dumps(to_document(receipt)))
    assert from_document({**document, "later": 1}) == receipt


@pytest.mark.parametrize(
    "answer", [{}, {"receipt": None}, {"receipt": {"id": "a"}}, {"receipt": {**to_document(DONE), "number": "7"}}]
)
def test_what_is_no_receipt(answer: dict[str, object]) -> None:
    """It is never taken for one that says yes."""
    with pytest.raises(ValueError, match="a receipt"):
        read_receipt(answer)


def test_tables_tell_time_and_hide_control_characters() -> None:
    """Instants that are none, and text that would act on a terminal."""
    assert [to_moment(at) for at in (0, None, True, 1e20)] == ["1970-01-01T00:00:00Z", "", "", "?"]
    assert printable("a\x1b[2Jb") == "a\ufffd[2Jb"
