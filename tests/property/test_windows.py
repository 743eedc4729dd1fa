"""Change windows against counting by hand: every opening of every rule, asked one by one."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from extauthz.clock import Instant
from extauthz.errors import PolicyError
from extauthz.policy.document import WindowPart
from extauthz.policy.windows import compile_window
from extauthz.policy.written import Written
from extauthz.yamlfile import read_yaml

STARTS = datetime(2020, 1, 1, 2, 30)  # noqa: DTZ001 — a local time
PLACE = Written(read_yaml("p.yaml", b"w: {}"), ("w",))
DAYS = st.lists(st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"]), min_size=1, unique=True).map(",".join)
RULES = st.one_of(
    st.builds("FREQ=DAILY;INTERVAL={}".format, st.integers(1, 9)),
    st.builds("FREQ=WEEKLY;INTERVAL={};BYDAY={}".format, st.integers(1, 5), DAYS),
    st.builds("FREQ=MONTHLY;BYMONTHDAY={}".format, st.sampled_from([1, 15, 31, -1])),
    st.builds("FREQ=MONTHLY;BYDAY={};BYSETPOS={}".format, DAYS, st.sampled_from([1, 2, -1])),
    st.builds("FREQ=YEARLY;BYMONTH={};BYDAY={}".format, st.integers(1, 12), DAYS),
)
ZONES = st.sampled_from(["UTC", "Europe/Vienna", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])
INSTANTS = st.datetimes(datetime(2021, 1, 1), datetime(2026, 12, 31))  # noqa: DTZ001 — bounds have no zone


@settings(max_examples=60, deadline=None)
@given(
    rules=st.lists(RULES, min_size=1, max_size=3),
    zone=ZONES,
    hours=st.sampled_from([1, 5, 23, 24, 50]),
    moment=INSTANTS,
)
def test_a_window_is_open_when_an_opening_says_so(rules: list[str], zone: str, hours: int, moment: datetime) -> None:
    """And stays as it is until the edge that it names, where it changes."""
    said = {"rules": rules, "starts": STARTS.isoformat(), "lasts": f"{hours}h", "zone": zone}
    window = compile_window("w", WindowPart.model_validate(said), PLACE)
    near = (moment - timedelta(days=4), moment + timedelta(days=500))
    openings = [
        each.replace(tzinfo=ZoneInfo(zone)).timestamp()
        for rule in rules
        for each in rrulestr(rule, dtstart=STARTS).between(*near, inc=True)
    ]

    def is_open(at: float) -> bool:
        return any(begin <= at < begin + hours * 3600 for begin in openings)

    at = Instant(moment.replace(tzinfo=UTC).timestamp())
    look = window.look(at)
    assert look.open is is_open(at)
    if look.opens_at is not None:
        assert look.opens_at == min(begin for begin in openings if begin > at)
    if look.changes_at < at + 400 * 86400:
        assert is_open(look.changes_at) is not look.open


@settings(max_examples=150, deadline=None)
@given(text=st.text(st.sampled_from("FREQ=DAILYWK;BCOUNTH0123456789,-+ \n"), max_size=40))
def test_any_text_is_a_rule_or_a_problem(text: str) -> None:
    """Nothing else comes out, however strange it is."""
    said = {"rules": [f"FREQ=DAILY;{text}".strip()], "starts": STARTS.isoformat(), "lasts": "1h", "zone": "UTC"}
    with suppress(PolicyError):
        assert compile_window("w", WindowPart.model_validate(said), PLACE).rules == tuple(said["rules"])
