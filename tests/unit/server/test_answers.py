"""Answers are bounded, found without a lock, and their epochs are never used twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from extauthz.server.answers import Answers


def test_what_is_kept_is_found_until_it_is_forgotten() -> None:
    """Under its own name."""
    answers: Answers[str] = Answers(2)
    answers.keep("a", "1")
    assert (answers.find("a"), answers.find("b")) == ("1", None)
    answers.forget("a")
    answers.forget("a")
    assert answers.find("a") is None
    assert len(answers) == 0


def test_a_new_value_has_a_new_epoch_unless_it_is_the_same() -> None:
    """Nothing has a negative one; something that was forgotten never has its old one again."""
    answers: Answers[str] = Answers(9)
    assert answers.epoch("a") == -1
    answers.keep("a", "1")
    first = answers.epoch("a")
    answers.keep("a", "1", same=True)
    assert answers.epoch("a") == first
    answers.keep("a", "2")
    second = answers.epoch("a")
    answers.forget("a")
    assert answers.epoch("a") == -1
    answers.keep("a", "2", same=True)
    assert len({first, second, answers.epoch("a"), -1}) == 4


def test_what_is_asked_for_stays_when_others_come() -> None:
    """A flood of new names drives out those nobody asks for."""
    answers: Answers[int] = Answers(10)
    answers.keep("known", 0)
    for number in range(1000):
        assert answers.find("known") == 0
        answers.keep(f"flood {number}", number)
    assert len(answers) == 10


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 7), st.booleans()), max_size=60))
def test_it_never_holds_more_than_its_capacity_or_one_value(steps: list[tuple[int, int, bool]]) -> None:
    """In the unit of its sizes, whatever is kept, replaced, found and forgotten."""
    answers: Answers[int] = Answers(10, lambda value: value)
    for name, value, forget in steps:
        if forget:
            answers.forget(str(name))
        else:
            answers.keep(str(name), value)
            assert answers.find(str(name)) == value
        held = [answers.find(str(each)) or 0 for each in range(6)]
        assert sum(held) <= 10
        assert sum(held) == answers._used
