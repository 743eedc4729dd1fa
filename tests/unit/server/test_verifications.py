"""States of verification events: known again by what is in them, on every machine that has our key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extauthz.server.verifications import ACCEPTED_SECONDS, Verifications
from extauthz.state.seal import Seal
from tests.simulators.clock import ManualClock

KEY = b"k" * 32


def test_a_state_is_known_on_every_machine_of_ours_and_after_a_restart() -> None:
    """Without anything that is remembered; one of another key, another stream or somebody's own is not."""
    clock = ManualClock()
    state = Verifications(KEY, clock).ask("idp")
    elsewhere = Verifications(KEY, clock)
    assert elsewhere.knows("idp", state)
    assert elsewhere.knows("idp", state)
    assert not elsewhere.knows("mdm", state)
    assert not Verifications(b"o" * 32, clock).knows("idp", state)
    assert elsewhere.ask("idp") != elsewhere.ask("idp")


@pytest.mark.parametrize(
    ("passed", "known"),
    [
        (0, True),
        (ACCEPTED_SECONDS, True),
        (ACCEPTED_SECONDS + 1, False),
        (-ACCEPTED_SECONDS, True),
        (-ACCEPTED_SECONDS - 1, False),
    ],
)
def test_a_state_counts_for_a_while(passed: float, *, known: bool) -> None:
    """Also where the clock of the machine that asked is ahead."""
    clock = ManualClock(float(int(ManualClock().now())))
    verifications = Verifications(KEY, clock)
    state = verifications.ask("idp")
    clock.advance(passed)
    assert verifications.knows("idp", state) is known


def test_a_state_that_was_touched_is_not_known() -> None:
    """Neither in its time nor anywhere else."""
    verifications = Verifications(KEY, ManualClock())
    state = verifications.ask("idp")
    for at, digit in enumerate(state):
        assert not verifications.knows("idp", state[:at] + ("0" if digit != "0" else "1") + state[at + 1 :])
    for other in (state.upper(), state[:-1], state + "0", state + " ", "", state[:34]):
        assert not verifications.knows("idp", other)
    assert verifications.knows("idp", state)


def test_a_mac_made_for_another_purpose_is_none() -> None:
    """Of the same key and the same fields."""
    verifications = Verifications(KEY, ManualClock())
    told = verifications.ask("idp")[:34]
    for incarnation, known in ((b"", False), (b"shared:abc", False), (b"verification states", True)):
        state = told + Seal(KEY, incarnation).seal("state", "idp", told)[:16].hex()
        assert verifications.knows("idp", state) is known


@given(st.text())
def test_what_somebody_makes_up_is_not_known(state: str) -> None:
    """And never an error."""
    assert not Verifications(KEY, ManualClock()).knows("idp", state)


def test_a_lone_surrogate_is_not_known() -> None:
    """JSON can say one, and no encoding has it."""
    assert not Verifications(KEY, ManualClock()).knows("idp", "\ud800" * 70)
