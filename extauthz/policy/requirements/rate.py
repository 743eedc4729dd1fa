"""`rate: {at_most: 10, per: 1m, by: client}`: not more often than that, counted exactly, over all workers.

Time is cut into windows of that length, which begin at multiples of it. An allow takes one use, atomically, after
everything else holds, so refused requests cost nothing. The count belongs to the rule: it is shared by all resources
that the rule speaks of, and begins anew when the rule states another rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, StrictInt

from extauthz.clock import Instant
from extauthz.durations import Duration
from extauthz.model.reason import Reason
from extauthz.model.spend import Spend
from extauthz.policy.document import Part
from extauthz.policy.requirements.form import read_part, require_counting
from extauthz.policy.requirements.standing import digest_of, party_key, target_of
from extauthz.policy.rules import Failed, Finding, Met, Timeless

if TYPE_CHECKING:
    from extauthz.model.facts import Facts
    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.written import Written

Counted = Literal["subject", "client", "tenant", "resource"]


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


CountedBy = Annotated[
    tuple[Counted, ...],
    Field(min_length=1),
    BeforeValidator(_one_or_many, json_schema_input_type=Counted | list[Counted]),
]
"""Whose uses are counted together: those for whom all of these are the same."""

AtMost = Annotated[StrictInt, Field(ge=1, le=1_000_000_000)]

FORGET_AFTER: Final = 60.0
"""Seconds for which a count is remembered beyond its window, since an allow is taken a little after it is decided."""

_LONGEST: Final = 31 * 86400.0


class RatePart(Part):
    """How often, and who is counted."""

    at_most: AtMost
    per: Duration
    by: CountedBy = ("subject",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate(Timeless):
    """Uses in a window of time.

    Attributes:
        rule: whose count it is.
        at_most: uses in a window.
        per: length of a window in seconds.
        by: whose uses are counted together.
    """

    rule: str
    at_most: int
    per: int
    by: tuple[Counted, ...]
    reads: frozenset[str]
    kind: str = "rate"

    def find(self, facts: Facts) -> Finding:
        """Return what a use takes; whether there is one left is found out when it is taken."""
        counted = counted_for(facts, self.by)
        if isinstance(counted, Failed):
            return counted
        begins = int(facts.at // self.per) * self.per
        ends = Instant(float(begins + self.per))
        spend = Spend(
            kind="rate",
            key=digest_of(self.rule, self.at_most, self.per, self.by, counted, begins),
            limit=self.at_most,
            until=Instant(ends + FORGET_AFTER),
            refused=Reason.RATE_EXCEEDED,
            detail=f"At most {self.at_most} in {self.per} seconds.",
            again_at=ends,
        )
        return Met((spend,))


def compile_rate(argument: Any, written: Written, surroundings: Surroundings) -> Rate:
    """Return the requirement that a policy file states.

    Raises:
        PolicyError: it is not a rate, or its window is not one to 2678400 whole seconds.
    """
    part = read_part(RatePart, argument, written)
    require_counting(written, surroundings)
    if not 1 <= part.per <= _LONGEST or part.per != int(part.per):
        written.at("per").refuse("must be whole seconds, one to 31 days", "write for example 1m")
    return Rate(rule=written.rule, at_most=part.at_most, per=int(part.per), by=part.by, reads=reads_of(part.by))


_READS: Final[dict[Counted, frozenset[str]]] = {
    "subject": frozenset({"identity.issuer", "identity.subject"}),
    "client": frozenset({"identity.issuer", "identity.client"}),
    "tenant": frozenset({"identity.tenant"}),
    "resource": frozenset({"resource.name", "resource.action"}),
}


def reads_of(by: tuple[Counted, ...]) -> frozenset[str]:
    """Return the names of the facts that tell who is counted."""
    return frozenset().union(*(_READS[each] for each in by))


def counted_for(facts: Facts, by: tuple[Counted, ...]) -> list[object] | Failed:
    """Return what is the same for all uses that are counted together, or that it is not known.

    Who is not known is not counted with others who are not known either: it would be a count that nobody meant.
    """
    identity = facts.identity
    found: list[object] = []
    for each in by:
        match each:
            case "subject":
                known: object = party_key(identity.subject) if identity.subject.subject else None
            case "client":
                known = [identity.subject.issuer, identity.client] if identity.client else None
            case "tenant":
                known = identity.tenant or None
            case _:
                known = [target_of(facts), dict(facts.attributes)]
        if known is None:
            return Failed(f"the {each} to count for is not known")
        found.append(known)
    return found
