"""Change windows: recurring times at which something may be done (RFC 5545 recurrence rules), and freezes between.

1. A rule gives local times in the window's time zone. A time that a clock change leaves out is read by the offset
   before the change, one that occurs twice is its first occurrence (RFC 5545 section 3.3.5).
2. A window is open from such a time on for `lasts`, in seconds that pass: four hours are four hours on every day.
3. Overlapping openings are one. A freeze closes whatever is open then.
4. Instants are looked up among the openings of two years, which are worked out when one is first asked for and kept.

What can be asked of a rule is bounded, so that working it out is: no smaller step than a day, a bounded number of
openings a year, and one within a year after it starts.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Final, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dateutil.rrule import rrule, rrulestr

from extauthz.clock import Instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from extauthz.policy.document import WindowPart
    from extauthz.policy.written import Written

MOST_RULES: Final = 16
MOST_OPENINGS: Final = 1500
"""Of one rule in a year: four a day."""

_YEAR: Final = timedelta(days=366)
_LONGEST: Final = 31 * 86400.0
_MOST: Final = {"COUNT": 1000, "INTERVAL": 400}
_GREGORIAN_YEARS: Final = 400
"""The calendar repeats after as many years, days of the week included."""

_LAST_YEAR: Final = 9998
"""The last one that a whole year follows."""

_EARLIEST: Final = 1970
_LATEST: Final = 9000

_PARTS: Final = frozenset(
    {
        *("FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS"),
        *("BYHOUR", "BYMINUTE", "BYSECOND"),
    }
)
_STEPS: Final = frozenset({"DAILY", "WEEKLY", "MONTHLY", "YEARLY"})
_NO_RULE: Final = "not a recurrence rule"
_EXAMPLE: Final = "write for example FREQ=WEEKLY;BYDAY=TU,TH;BYHOUR=9;BYMINUTE=0;BYSECOND=0"
_RULE: Final = re.compile(r"[A-Z]+=[A-Z0-9,+-]+(?:;[A-Z]+=[A-Z0-9,+-]+)*")
_UNTIL: Final = re.compile(r"\d{8}(?:T\d{6})?")
"""Whole: what a shorter text leaves out would be read from the clock."""

_LOCAL: Final = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d)?)?")


@dataclass(frozen=True, slots=True)
class Freeze:
    """A time in which nothing is open.

    Attributes:
        since: its first instant.
        until: the first instant after it.
        why: for people.
    """

    since: Instant
    until: Instant
    why: str


@dataclass(frozen=True, slots=True)
class Look:
    """What a window is like at an instant.

    Attributes:
        open: whether it is open.
        changes_at: the first instant after it at which that may change.
        opens_at: when a closed window opens next; None when it is open, or does not open within a year.
        why: of the freeze that closes it; empty for none.
    """

    open: bool
    changes_at: float
    opens_at: Instant | None = None
    why: str = ""


@dataclass(frozen=True, eq=False)
class Window:
    """A change window; it is itself and no other, so that its openings are found by it.

    Attributes:
        name: as the policy calls it.
        rules: recurrence rules; any of them opens it.
        starts: local time of the first opening.
        lasts: seconds of each opening.
        zone: of the local times.
        skipped: local dates on which it does not open.
        freezes: when it is closed.
    """

    name: str
    rules: tuple[str, ...]
    starts: datetime
    lasts: float
    zone: ZoneInfo
    skipped: frozenset[date]
    freezes: tuple[Freeze, ...]

    def look(self, at: Instant) -> Look:
        """Return what the window is like at `at`."""
        year = datetime.fromtimestamp(at, UTC).year
        edges = _edges(self, year)
        position = bisect_right(edges, at)
        horizon = datetime(year + 2, 1, 1, tzinfo=UTC).timestamp()
        upcoming = edges[position] if position < len(edges) else math.inf
        changes_at = min(upcoming, horizon)
        if position % 2:
            return Look(open=True, changes_at=changes_at)
        why = next((freeze.why for freeze in self.freezes if freeze.since <= at < freeze.until), "")
        opens_at = Instant(upcoming) if upcoming < horizon else None
        return Look(open=False, changes_at=changes_at, opens_at=opens_at, why=why)


@lru_cache(maxsize=512)
def _edges(window: Window, year: int) -> tuple[float, ...]:
    """Return the instants at which a window opens and closes, in turn, from before a year to after the next one."""
    low = datetime(year, 1, 1) - timedelta(seconds=window.lasts, days=2)  # noqa: DTZ001 — local times have no zone yet
    high = datetime(year + 2, 1, 2)  # noqa: DTZ001 — as above
    begins = sorted(
        _instant(each, window.zone)
        for text in window.rules
        for each in _occurrences(text, window.starts, low, high)
        if each.date() not in window.skipped
    )
    edges: list[float] = []
    for begin in begins:
        if edges and begin <= edges[-1]:
            edges[-1] = begin + window.lasts
        else:
            edges += (begin, begin + window.lasts)
    for freeze in window.freezes:
        edges = list(_without(edges, freeze))
    return tuple(edges)


def _without(edges: list[float], freeze: Freeze) -> Iterator[float]:
    for opens, closes in zip(edges[::2], edges[1::2], strict=True):
        if opens < min(closes, freeze.since):
            yield from (opens, min(closes, freeze.since))
        if max(opens, freeze.until) < closes:
            yield from (max(opens, freeze.until), closes)


def _occurrences(text: str, starts: datetime, low: datetime, high: datetime) -> Iterator[datetime]:
    """Yield the local times of a rule from `low` on, before `high`."""
    for each in _near(text, starts, low):
        if each >= high:
            return
        if each >= low:
            yield each


def _near(text: str, starts: datetime, low: datetime) -> Iterable[datetime]:
    """Return the times of a rule from not long before `low` on, where that can be told without counting from the first.

    Rules that step by days and weeks may begin any number of whole steps later; the others have few steps to count.
    """
    said = _said(text)
    step = {"DAILY": 1, "WEEKLY": 7}.get(said["FREQ"])
    if step is not None and "COUNT" not in said:
        days = step * int(said.get("INTERVAL", "1"))
        starts += timedelta(days=max(0, (low - starts).days // days - 1) * days)
    return _parse(text, starts)


def _said(text: str) -> dict[str, str]:
    return {key: value for key, _, value in (pair.partition("=") for pair in text.split(";"))}


def _parse(text: str, starts: datetime) -> rrule:
    return cast("rrule", rrulestr(text, dtstart=starts))


def _instant(local: datetime, zone: ZoneInfo) -> Instant:
    return Instant(local.replace(tzinfo=zone, fold=0).timestamp())


def compile_window(name: str, part: WindowPart, written: Written) -> Window:
    """Return the window that a policy file states.

    Raises:
        PolicyError: a time, zone or rule of it is wrong, or a rule opens never, too often, or could take too long.
    """
    zone = _zone(part.zone, written.at("zone"))
    starts = _local(part.starts, written.at("starts"))
    if not 1 <= part.lasts <= _LONGEST:
        written.at("lasts").refuse("must be one second to 31 days", "write for example 4h")
    if len(part.rules) > MOST_RULES:
        written.at("rules").refuse(f"there are more than {MOST_RULES} rules", "join some, or use two windows")
    for position, text in enumerate(part.rules):
        place = written.at("rules", position)
        _check_rule(text, starts, place if place.path in written.file.places else written.at("rules"))
    freezes = []
    for position, each in enumerate(part.freezes):
        place = written.at("freezes", position)
        since = _instant(_local(each.since, place.at("from")), zone)
        until = _instant(_local(each.until, place.at("to"), is_end=True), zone)
        if since >= until:
            place.refuse("it ends before it begins", "turn `from` and `to` round")
        freezes.append(Freeze(since, until, each.why))
    skipped = frozenset(
        _local(text, written.at("except", position)).date() for position, text in enumerate(part.skipped)
    )
    return Window(name, part.rules, starts, part.lasts, zone, skipped, tuple(freezes))


def _zone(name: str, written: Written) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        written.refuse(f"there is no time zone `{name}`", "write for example Europe/Vienna, or UTC")


def _local(text: str, written: Written, *, is_end: bool = False) -> datetime:
    """Return a local time; a date alone is its beginning, or as an end the beginning of the day after."""
    try:
        found = datetime.fromisoformat(text if _LOCAL.fullmatch(text) else "")
    except ValueError:
        written.refuse(f"`{text}` is not a local time", "write for example 2026-01-06T09:00, without a zone")
    if not _EARLIEST <= found.year < _LATEST:
        written.refuse(f"`{text}` is too far away", "write a year of this age")
    return found + timedelta(days=1) if is_end and "T" not in text else found


def _check_rule(text: str, starts: datetime, written: Written) -> None:
    """Refuse a rule that cannot be worked out in bounded time, or opens never or too often."""
    said = _said(text)
    if _RULE.fullmatch(text) is None or len(said) != text.count("=") or not said.keys() >= {"FREQ"}:
        written.refuse(_NO_RULE, _EXAMPLE)
    for key in said:
        if key not in _PARTS:
            written.refuse(f"`{key}` is not known in rules", "use " + ", ".join(sorted(_PARTS)))
    if said["FREQ"] not in _STEPS:
        written.refuse("a rule steps by days at least", "use FREQ of DAILY, WEEKLY, MONTHLY or YEARLY, and BYHOUR")
    if "UNTIL" in said and (_UNTIL.fullmatch(said["UNTIL"]) is None or "COUNT" in said):
        written.refuse("UNTIL is a local time like all others here", "write 20261231T235959, without Z and COUNT")
    for key, most in _MOST.items():
        if not (said.get(key, "1").isdecimal() and 1 <= int(said.get(key, "1")) <= most):
            written.refuse(f"{key} is not 1 to {most}", "choose another")
    _check_openings(text, starts, written)


def _check_openings(text: str, starts: datetime, written: Written) -> None:
    try:
        found = _first_year(_parse(text, starts), starts)
    except ValueError:
        written.refuse(_NO_RULE, _EXAMPLE)
    if not found:
        written.refuse("it does not open within a year after it starts", "check the rule and `starts`")
    if found > MOST_OPENINGS:
        written.refuse(f"it opens more than {MOST_OPENINGS} times a year", "open it less often, for longer")


def _first_year(rule: rrule, starts: datetime) -> int:
    """Return how often a rule opens in the year after `starts`, or a little more than `MOST_OPENINGS`.

    A rule that never opens would be searched until the end of all calendars. So it is first searched where that is
    near, at the same place of the last cycle of years.
    """
    cycles = (_LAST_YEAR - starts.year) // _GREGORIAN_YEARS
    late = starts.replace(year=starts.year + cycles * _GREGORIAN_YEARS)
    first = next(iter(rule.replace(dtstart=late, until=None)), None)
    if first is None or first - late > _YEAR:
        return 0
    first_year = takewhile(lambda each: each - starts <= _YEAR, rule)
    return sum(1 for _ in islice(first_year, MOST_OPENINGS + 1))
