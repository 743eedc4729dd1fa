"""A desk in another process: what comes back through the socket, and what is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from extauthz.errors import LinkError
from extauthz.receiver.desk import ERRORS, DistantDesk, Said, word_of

if TYPE_CHECKING:
    from collections.abc import Mapping


class Line:
    """The other end of the socket."""

    def __init__(self, answer: Mapping[str, Any] | Exception) -> None:
        self.answer = answer
        self.asked: list[Mapping[str, Any]] = []

    def ask(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer."""
        self.asked.append(question)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_an_event_is_handed_over_as_it_came() -> None:
    """By the operation that the keeper knows."""
    line = Line({"status": "accepted"})
    assert word_of(DistantDesk(line.ask), "idp", "a.b.c").status == "accepted"
    assert line.asked == [{"op": "event", "stream": "idp", "token": "a.b.c"}]


@pytest.mark.parametrize("err", sorted(ERRORS))
def test_a_refusal_comes_through(err: str) -> None:
    """With its code and sentence."""
    line = Line({"status": "refused", "err": err, "description": "Not so."})
    assert word_of(DistantDesk(line.ask), "idp", "a.b.c") == Said("refused", err, "Not so.")


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"error": "no such operation"},
        {"status": "fine"},
        {"status": 1},
        {"status": None},
        {"status": "refused"},
        {"status": "refused", "err": "nonsense"},
        {"status": "unavailable"},
        LinkError("nobody is there"),
        OSError("not foreseen"),
    ],
)
def test_anything_else_confirms_nothing(answer: Mapping[str, Any] | Exception) -> None:
    """It comes again."""
    assert word_of(DistantDesk(Line(answer).ask), "idp", "a.b.c") == Said("unavailable")
