"""`budget: {name: exports, at_most: 100, per: day}`: a named allowance that rules share, by the calendar in UTC.

It is used like a rate (`rate.py`), but belongs to its name: every rule of a namespace that states the name takes from
the same allowance, each up to the limit that it states itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from extauthz.clock import Instant
from extauthz.model.reason import Reason
from extauthz.model.spend import Spend
from extauthz.policy.document import Part, Text
from extauthz.policy.requirements.form import read_part, require_counting
from extauthz.policy.requirements.rate import (
    FORGET_AFTER,
    AtMost,
    Counted,
    CountedBy,
    counted_for,
    reads_of,
)
from extauthz.policy.requirements.standing import digest_of
from extauthz.policy.rules import Failed, Finding, Met, Timeless

if TYPE_CHECKING:
    from extauthz.model.facts import Facts
    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.written import Written

Period = Literal["hour", "day", "week", "month"]


class BudgetPart(Part):
    """Which allowance, how much of it, and who is counted."""

    name: Text
    at_most: AtMost
    per: Period
    by: CountedBy = ("subject",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget(Timeless):
    """Uses of a named allowance.

    Attributes:
        name: with its namespace.
        at_most: uses in a period.
        per: the period; weeks begin on Monday.
        by: whose uses are counted together.
    """

    name: str
    at_most: int
    per: Period
    by: tuple[Counted, ...]
    reads: frozenset[str]
    kind: str = "budget"

    def find(self, facts: Facts) -> Finding:
        """Return what a use takes; whether there is one left is found out when it is taken."""
        counted = counted_for(facts, self.by)
        if isinstance(counted, Failed):
            return counted
        begins, ends = period_of(facts.at, self.per)
        spend = Spend(
            kind="budget",
            key=digest_of(self.name, self.per, self.by, counted, begins),
            limit=self.at_most,
            until=Instant(ends + FORGET_AFTER),
            refused=Reason.BUDGET_EXHAUSTED,
            detail=f"At most {self.at_most} a {self.per}.",
            again_at=ends,
        )
        return Met((spend,))


def compile_budget(argument: Any, written: Written, surroundings: Surroundings) -> Budget:
    """Return the requirement that a policy file states.

    Raises:
        PolicyError: it is not a budget.
    """
    part = read_part(BudgetPart, argument, written)
    require_counting(written, surroundings)
    name = f"{written.space}{part.name}"
    return Budget(name=name, at_most=part.at_most, per=part.per, by=part.by, reads=reads_of(part.by))


def period_of(at: Instant, per: Period) -> tuple[Instant, Instant]:
    """Return the first instants of the period that `at` is in, and of the next one."""
    now = datetime.fromtimestamp(at, UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    match per:
        case "hour":
            begins = now.replace(minute=0, second=0, microsecond=0)
            ends = begins + timedelta(hours=1)
        case "day":
            begins, ends = midnight, midnight + timedelta(days=1)
        case "week":
            begins = midnight - timedelta(days=midnight.weekday())
            ends = begins + timedelta(days=7)
        case _:
            begins = midnight.replace(day=1)
            ends = (begins + timedelta(days=32)).replace(day=1)
    return Instant(begins.timestamp()), Instant(ends.timestamp())
