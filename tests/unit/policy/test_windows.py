"""Change windows: when they open and close, on days when clocks change too, and which rules are refused."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from extauthz.clock import Instant
from extauthz.errors import PolicyError
from extauthz.policy.document import WindowPart
from extauthz.policy.windows import Look, Window, compile_window
from extauthz.policy.written import Written
from extauthz.yamlfile import read_yaml
from tests.simulators.policies import only_problem

VIENNA = "Europe/Vienna"
HOUR = 3600.0


def window(rule: str | list[str], starts: str = "2026-01-01T09:00", lasts: str = "4h", **fields: Any) -> Window:
    """Return a window in UTC that opens by one rule or several."""
    file = read_yaml("p.yaml", b"windows: {w: {}}")
    said = {"rules": rule, "starts": starts, "lasts": lasts, "zone": "UTC", **fields}
    return compile_window("w", WindowPart.model_validate(said), Written(file, ("windows", "w")))


def at(text: str) -> Instant:
    """Return an instant written in UTC."""
    return Instant(datetime.fromisoformat(f"{text}+00:00").timestamp())


def test_a_window_opens_and_closes_to_the_second() -> None:
    """The first instant belongs to it, the last one does not."""
    weekly = window("FREQ=WEEKLY;BYDAY=TU,TH")
    opens, closes, next_one = at("2026-01-06T09:00"), at("2026-01-06T13:00"), at("2026-01-08T09:00")
    assert weekly.look(Instant(opens - 1)) == Look(open=False, changes_at=opens, opens_at=opens)
    assert weekly.look(opens) == Look(open=True, changes_at=closes)
    assert weekly.look(Instant(closes - 0.5)) == Look(open=True, changes_at=closes)
    assert weekly.look(closes) == Look(open=False, changes_at=next_one, opens_at=next_one)


def test_nothing_is_open_before_it_starts() -> None:
    """The first opening is the first that the rule gives from `starts` on."""
    daily = window("FREQ=DAILY", starts="2026-06-01T09:00")
    assert daily.look(at("2026-05-31T09:30")).opens_at == at("2026-06-01T09:00")
    assert daily.look(at("1999-06-01T09:30")).opens_at is None


def test_a_window_does_not_last_beyond_its_rule() -> None:
    """After the last opening there is none to wait for, and the answer is looked up again when a year is over."""
    for last in ("COUNT=2", "UNTIL=20260102T235959"):
        look = window(f"FREQ=DAILY;{last}").look(at("2026-01-02T13:00"))
        assert look == Look(open=False, changes_at=at("2028-01-01T00:00"))


@pytest.mark.parametrize("rule", ["FREQ=DAILY;INTERVAL=3", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR;WKST=SU"])
def test_rules_keep_their_step_over_the_years(rule: str) -> None:
    """What begins a few years ago is not begun anew; counting from the first opening finds the same."""
    assert window(rule).look(at("2033-05-05T00:00")) == window(f"{rule};COUNT=1000").look(at("2033-05-05T00:00"))


def test_a_time_that_a_clock_change_leaves_out_is_read_by_the_offset_before_it() -> None:
    """In Vienna 2026-03-29 has no 02:30: it is 01:30 in UTC, which clocks there call 03:30."""
    nightly = window("FREQ=DAILY", starts="2026-03-01T02:30", lasts="1h", zone=VIENNA)
    assert nightly.look(at("2026-03-28T01:29:59")).opens_at == at("2026-03-28T01:30")
    assert nightly.look(at("2026-03-29T01:29:59")).opens_at == at("2026-03-29T01:30")
    assert nightly.look(at("2026-03-30T00:00:00")).opens_at == at("2026-03-30T00:30")


def test_a_time_that_occurs_twice_is_its_first_occurrence() -> None:
    """In Vienna 2026-10-25 has 02:30 twice, 00:30 and 01:30 in UTC."""
    nightly = window("FREQ=DAILY", starts="2026-10-01T02:30", lasts="30m", zone=VIENNA)
    assert nightly.look(at("2026-10-25T00:00")).opens_at == at("2026-10-25T00:30")
    assert not nightly.look(at("2026-10-25T01:30")).open
    assert nightly.look(at("2026-10-26T00:00")).opens_at == at("2026-10-26T01:30")


def test_an_opening_is_as_long_on_days_when_clocks_change() -> None:
    """Four hours that pass, not four on the clock."""
    nightly = window("FREQ=DAILY", starts="2026-03-01T00:00", zone=VIENNA)
    opens = at("2026-03-28T23:00")
    assert nightly.look(opens).changes_at == opens + 4 * HOUR


def test_overlapping_openings_are_one() -> None:
    """Of one rule or of two."""
    both = window(["FREQ=DAILY", "FREQ=DAILY;BYHOUR=12"])
    assert both.look(at("2026-02-01T12:30")) == Look(open=True, changes_at=at("2026-02-01T16:00"))
    always = window("FREQ=DAILY", lasts="25h")
    assert always.look(at("2026-06-01T00:00")).changes_at > at("2027-12-31T00:00")


def test_an_opening_reaches_over_the_end_of_a_year() -> None:
    """Also when its beginning is further back than that."""
    yearly = window("FREQ=YEARLY", starts="2025-12-20T00:00", lasts="31d")
    assert yearly.look(at("2026-01-19T23:59")) == Look(open=True, changes_at=at("2026-01-20T00:00"))


def test_some_days_are_left_out() -> None:
    """By their local date."""
    skipped: dict[str, Any] = {"except": ["2026-02-01"]}
    daily = window("FREQ=DAILY", **skipped)
    assert daily.look(at("2026-02-01T10:00")).opens_at == at("2026-02-02T09:00")


def test_a_freeze_wins() -> None:
    """It cuts what is open, from both sides or in two, and says why."""
    frozen = {"from": "2026-02-01T10:00", "to": "2026-02-01T11:00", "why": "Audit."}
    daily = window("FREQ=DAILY", freezes=[frozen, {"from": "2026-02-03", "to": "2026-02-03", "why": "Holiday."}])
    assert daily.look(at("2026-02-01T09:30")) == Look(open=True, changes_at=at("2026-02-01T10:00"))
    within = daily.look(at("2026-02-01T10:00"))
    again = at("2026-02-01T11:00")
    assert within == Look(open=False, changes_at=again, opens_at=again, why="Audit.")
    assert daily.look(again) == Look(open=True, changes_at=at("2026-02-01T13:00"))
    assert daily.look(at("2026-02-03T12:00")) == Look(
        open=False, changes_at=at("2026-02-04T09:00"), opens_at=at("2026-02-04T09:00"), why="Holiday."
    )


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("every day", "not a recurrence rule"),
        ("INTERVAL=2", "not a recurrence rule"),
        ("FREQ=DAILY;FREQ=WEEKLY", "not a recurrence rule"),
        ("FREQ=DAILY;BYHOUR=25", "not a recurrence rule"),
        ("FREQ=DAILY;BYDAY=XX", "not a recurrence rule"),
        ("FREQ=DAILY;COUNT=1;UNTIL=20261231", "UNTIL is a local time"),
        ("FREQ=DAILY;UNTIL=2026", "UNTIL is a local time"),
        ("FREQ=DAILY;UNTIL=20261301", "not a recurrence rule"),
        ("FREQ=YEARLY;BYEASTER=0", "`BYEASTER` is not known"),
        ("FREQ=SECONDLY", "a rule steps by days at least"),
        ("FREQ=DAILY;UNTIL=20270101T000000Z", "UNTIL is a local time"),
        ("FREQ=DAILY;COUNT=100000", "COUNT is not 1 to 1000"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL is not 1 to 400"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "it does not open within a year"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "it does not open within a year"),
        ("FREQ=DAILY;UNTIL=20250101", "it does not open within a year"),
        ("FREQ=DAILY;BYHOUR=0,1,2,3,4", "it opens more than 1500 times"),
    ],
)
def test_rules_that_are_wrong_or_could_take_too_long_are_refused(rule: str, message: str) -> None:
    """When the policy is loaded, within a bounded time."""
    with pytest.raises(PolicyError) as caught:
        window(rule)
    assert caught.value.problems[0].message.startswith(message)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"zone": "Europe/Wien"}, "there is no time zone"),
        ({"zone": "../../etc/passwd"}, "there is no time zone"),
        ({"starts": "2026-01-06T09:00Z"}, "`2026-01-06T09:00Z` is not a local time"),
        ({"starts": "2026-02-30"}, "`2026-02-30` is not a local time"),
        ({"starts": "9999-01-01"}, "`9999-01-01` is too far away"),
        ({"lasts": "0s"}, "must be one second to 31 days"),
        ({"rule": ["FREQ=DAILY"] * 17}, "there are more than 16 rules"),
        ({"freezes": [{"from": "2026-02-02", "to": "2026-02-01", "why": "w"}]}, "it ends before it begins"),
        ({"except": ["tomorrow"]}, "`tomorrow` is not a local time"),
    ],
)
def test_windows_that_cannot_be_are_refused(fields: dict[str, Any], message: str) -> None:
    """With what to write instead."""
    with pytest.raises(PolicyError) as caught:
        window(**{"rule": "FREQ=DAILY", **fields})
    assert caught.value.problems[0].message.startswith(message)


def test_a_problem_points_to_its_line() -> None:
    """In a list of rules to the rule, for a single one to the key."""
    text = "windows:\n  w:\n    starts: 2026-01-01\n    lasts: 4h\n    zone: UTC\n    rules:\n"
    assert only_problem(f"{text}      - FREQ=DAILY\n      - FREQ=HOURLY\n").line == 8
    assert only_problem(text.replace("rules:\n", "rules: FREQ=HOURLY\n")).line == 6
