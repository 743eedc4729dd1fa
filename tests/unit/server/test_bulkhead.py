"""Waiting slots."""

from __future__ import annotations

import pytest

from extauthz.server.bulkhead import Bulkhead


def test_slots_are_taken_without_waiting_and_given_back() -> None:
    """The third of two gets none, and one when another has left."""
    bulkhead = Bulkhead(2)
    with bulkhead.enter() as first, bulkhead.enter() as second, bulkhead.enter() as third:
        assert (first, second, third) == (True, True, False)
    with bulkhead.enter() as again:
        assert again


def test_leaving_without_a_slot_gives_none_back() -> None:
    """Who got none must not add one."""
    bulkhead = Bulkhead(1)
    with bulkhead.enter():
        with bulkhead.enter() as second:
            assert not second
        with bulkhead.enter() as third:
            assert not third


def test_a_slot_is_given_back_after_a_failure() -> None:
    """Otherwise failures would use the slots up."""
    bulkhead = Bulkhead(1)
    with pytest.raises(RuntimeError), bulkhead.enter():
        raise RuntimeError
    with bulkhead.enter() as again:
        assert again
