"""`ticket: {from: change, state: implement, names: [project], uses: 1}`: a ticket of the change system covers this.

The request says which ticket it is about: an attribute of the resource, from a header or wherever attributes come from,
holds its id. That proves nothing by itself; what the change system says about the ticket does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, StrictInt

from extauthz.model.reason import Reason
from extauthz.model.spend import Spend
from extauthz.model.standing_facts import Ticket
from extauthz.model.state import StateName
from extauthz.model.verdict import PresentTicket
from extauthz.policy.document import Part, Text, Words
from extauthz.policy.names import FactType
from extauthz.policy.requirements.form import read_part, require_counting
from extauthz.policy.requirements.standing import digest_of, known, text_of
from extauthz.policy.rules import Finding, Met, Unmet
from extauthz.validation import did_you_mean

if TYPE_CHECKING:
    from extauthz.model.facts import Facts
    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.written import Written


class TicketPart(Part):
    """Which ticket, and what it must say."""

    source: Text = Field(default="ticket", alias="from")
    state: Text | None = None
    names: Words = ()
    uses: Annotated[StrictInt, Field(ge=1)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticketed:
    """A ticket covers it.

    Attributes:
        source: the attribute that holds its id.
        state: in which it must be; empty when any will do.
        names: attributes that it must name with the same values, sorted.
        uses: how often it can be used here; None for as often as one likes.
        rule: whose uses they are.
    """

    source: str
    state: str
    names: tuple[str, ...]
    uses: int | None
    rule: str
    reads: frozenset[str]
    kind: str = "ticket"

    def needs(self, facts: Facts) -> tuple[StateName, ...]:
        """Return the ticket that the request is about."""
        name = self._name(facts)
        return () if name is None else (name,)

    def find(self, facts: Facts) -> Finding:
        """Return whether the ticket covers the request."""
        name = self._name(facts)
        ticket = known(facts, name, Ticket) if name is not None else None
        if name is not None and ticket is not None and self._covers(ticket, facts):
            return Met(self._spends(name.of, ticket))
        detail = "Name a ticket that covers this."
        return Unmet(Reason.TICKET_REQUIRED, PresentTicket(self.source, self.state, self.names), detail)

    def changes_at(self, facts: Facts) -> float:
        """Return when the ticket ends."""
        name = self._name(facts)
        ticket = known(facts, name, Ticket) if name is not None else None
        return ticket.until if ticket is not None and ticket.until > facts.at else math.inf

    def _name(self, facts: Facts) -> StateName | None:
        value = facts.attributes.get(self.source)
        return StateName("ticket", value) if isinstance(value, str) and value else None

    def _covers(self, ticket: Ticket, facts: Facts) -> bool:
        if facts.at >= ticket.until or (self.state and ticket.state != self.state):
            return False
        return all(
            name in facts.attributes and ticket.names.get(name) == text_of(facts.attributes[name])
            for name in self.names
        )

    def _spends(self, ticket_id: str, ticket: Ticket) -> tuple[Spend, ...]:
        if self.uses is None:
            return ()
        return (
            Spend(
                kind="ticket",
                key=digest_of(self.rule, ticket_id),
                limit=self.uses,
                until=ticket.until,
                refused=Reason.TICKET_REQUIRED,
                detail="The ticket is used up; name another.",
            ),
        )


def compile_ticket(argument: Any, written: Written, surroundings: Surroundings) -> Ticketed:
    """Return the requirement that a policy file states.

    Raises:
        PolicyError: the resource lacks an attribute that it speaks of.
    """
    part = read_part(TicketPart, argument, written)
    if part.uses is not None:
        require_counting(written.at("uses"), surroundings)
    own = {name.removeprefix("resource.") for name in surroundings.facts if name.startswith("resource.")}
    own -= {"name", "action"}
    for name in (part.source, *part.names):
        if name not in own:
            message = f"`{name}` is not an attribute of {surroundings.label}"
            written.refuse(message, did_you_mean(name, sorted(own)) if own else "declare it")
    if surroundings.facts[f"resource.{part.source}"].type is not FactType.TEXT:
        written.refuse(f"`{part.source}` is not text", "declare it as text")
    return Ticketed(
        source=part.source,
        state=part.state or "",
        names=tuple(sorted(part.names)),
        uses=part.uses,
        rule=written.rule,
        reads=frozenset(f"resource.{name}" for name in (part.source, *part.names)),
    )
