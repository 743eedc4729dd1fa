"""Whom a restriction concerns: everybody involved, and all that it names besides."""

from __future__ import annotations

from dataclasses import replace

import pytest

from extauthz.model.reason import Reason
from extauthz.model.restriction import Effect, Form, Mark
from tests.simulators.tokens import ISSUER
from tests.unit.identity.test_restrictions import ALICE, BOT, CI, MARKS, OTHER, RUNNER, reason_of, taken


def test_everybody_involved_counts() -> None:
    """An agent that is revoked acts for nobody; for a person who is revoked nobody acts, until the next sign-in."""
    delegated = replace(ALICE, actor=BOT)
    assert reason_of(delegated, taken(Mark(Form.SUBJECT, OTHER, "bot"), Effect.REVOKED, ago=999)) is (
        Reason.IDENTITY_QUARANTINED
    )
    assert reason_of(delegated, taken(MARKS[Form.SUBJECT], Effect.REVOKED)) is Reason.SESSION_REVOKED
    assert reason_of(delegated, taken(MARKS[Form.SUBJECT], Effect.REVOKED, ago=101)) is None
    assert reason_of(delegated, taken(Mark(Form.SUBJECT, ISSUER, "bot"), Effect.QUARANTINED)) is None


ALSO = [
    pytest.param((MARKS[Form.SESSION],), True, id="all that it names"),
    pytest.param((MARKS[Form.SESSION], MARKS[Form.DEVICE]), True, id="each of them"),
    pytest.param((Mark(Form.SESSION, ISSUER, "s-2"),), False, id="another session"),
    pytest.param((MARKS[Form.SESSION], Mark(Form.DEVICE, ISSUER, "d-2")), False, id="one of them another"),
    pytest.param((Mark(Form.SESSION, OTHER, "s-2"),), True, id="a session where the caller says nothing of any"),
    pytest.param((Mark(Form.SUBJECT, ISSUER, "bob"),), False, id="another subject"),
]


@pytest.mark.parametrize(("also", "concerned"), ALSO)
def test_all_that_is_named_has_to_be_met_or_not_said(also: tuple[Mark, ...], concerned: bool) -> None:
    """Complex subjects: a member that is missing on either side matches anything."""
    tenant = taken(MARKS[Form.TENANT], Effect.QUARANTINED, also=also)
    assert (reason_of(ALICE, tenant) is not None) is concerned


def test_a_caller_that_says_nothing_of_a_device_is_not_spared_by_that() -> None:
    """Nobody can show that another device is meant."""
    on_device = taken(MARKS[Form.SUBJECT], Effect.QUARANTINED, also=(Mark(Form.DEVICE, ISSUER, "d-2"),))
    assert reason_of(ALICE, on_device) is None
    assert reason_of(replace(ALICE, device=""), on_device) is Reason.IDENTITY_QUARANTINED


@pytest.mark.parametrize(
    ("mark", "also"),
    [
        (MARKS[Form.CLIENT], (MARKS[Form.SUBJECT],)),
        (MARKS[Form.SUBJECT], (MARKS[Form.CLIENT],)),
        (MARKS[Form.WORKLOAD], (MARKS[Form.SESSION],)),
    ],
)
def test_a_person_at_an_app_comes_back_by_signing_in(mark: Mark, also: tuple[Mark, ...]) -> None:
    """It is about the person, or about one session, and not about the software."""
    assert reason_of(ALICE, taken(mark, Effect.REVOKED, also=also)) is Reason.SESSION_REVOKED
    assert reason_of(ALICE, taken(mark, Effect.REVOKED, ago=101, also=also)) is None


def test_one_session_of_a_machine_is_not_the_machine() -> None:
    """Its new sessions go on."""
    session = taken(RUNNER[Form.SUBJECT], Effect.REVOKED, ago=101, also=(RUNNER[Form.SESSION],))
    assert reason_of(CI, session) is None
    assert reason_of(CI, replace(session, also=())) is Reason.IDENTITY_QUARANTINED
