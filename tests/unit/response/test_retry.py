"""`Retry-After`: in whole seconds, never zero, and only where waiting helps."""

from __future__ import annotations

import pytest

from extauthz.clock import Instant
from extauthz.model.reason import Reason
from extauthz.model.verdict import (
    BeginTask,
    Deny,
    PresentTicket,
    Remedy,
    ReportPosture,
    SeekApproval,
    WaitUntil,
    to_moment,
    to_published,
)
from extauthz.response.challenge import find_retry_header

AT = Instant(1_800_000_000.0)


@pytest.mark.parametrize(("after", "header"), [(60.0, "60"), (0.2, "1"), (59.1, "60"), (-5.0, "1")])
def test_it_is_rounded_up(after: float, header: str) -> None:
    """Who comes then does not come too early; who decided late is not told to come at once."""
    deny = Deny(reason=Reason.OUTSIDE_CHANGE_WINDOW, remedies=(WaitUntil(Instant(AT + after)),))
    assert find_retry_header(deny, AT) == header


def test_nothing_is_said_where_waiting_does_not_help() -> None:
    """Other remedies have no instant."""
    assert find_retry_header(Deny(reason=Reason.TASK_MISSING, remedies=(BeginTask(),)), AT) is None


@pytest.mark.parametrize(
    ("remedy", "published"),
    [
        (WaitUntil(Instant(AT + 0.5)), {"kind": "window", "opens_at": "2027-01-15T08:00:01Z"}),
        (SeekApproval("ab"), {"kind": "approval", "id": "ab"}),
        (
            PresentTicket("change", "implement", ("project",)),
            {"kind": "ticket", "attribute": "change", "state": "implement", "names": ["project"]},
        ),
        (ReportPosture("device", 60), {"kind": "posture", "of": "device", "max_age": 60}),
        (BeginTask(), {"kind": "task"}),
    ],
)
def test_remedies_have_a_published_form(remedy: Remedy, published: dict[str, object]) -> None:
    """In answers and records alike."""
    assert to_published(remedy) == published


def test_instants_are_rounded_up() -> None:
    """What opens in the middle of a second is not said to be open at its beginning."""
    assert to_moment(AT) == "2027-01-15T08:00:00Z"
