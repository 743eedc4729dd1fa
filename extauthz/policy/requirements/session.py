"""`session: {idle: 15m, ttl: 8h, max_sources: 2}`: the caller's session is known, young, in use, and in few places."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, StrictInt

from extauthz.durations import Duration
from extauthz.model.reason import Reason
from extauthz.model.standing_facts import SessionUse
from extauthz.model.state import StateName
from extauthz.model.verdict import StepUp
from extauthz.policy.document import Part
from extauthz.policy.requirements.form import read_part
from extauthz.policy.requirements.standing import known
from extauthz.policy.rules import MET, Finding, Unmet

if TYPE_CHECKING:
    from extauthz.model.facts import Facts
    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.written import Written


class SessionPart(Part):
    """At least one of these."""

    idle: Duration | None = None
    ttl: Duration | None = None
    max_sources: Annotated[StrictInt, Field(ge=1)] | None = None


@dataclass(frozen=True, slots=True)
class SessionLives:
    """The session goes on.

    Attributes:
        idle: seconds since it was last used; `inf` when that does not matter.
        ttl: seconds since it began; `inf` when that does not matter.
        max_sources: addresses that it may be used from, the present one included; None for any number.
    """

    idle: float
    ttl: float
    max_sources: int | None
    reads: frozenset[str] = frozenset({"identity.session", "identity.human", "source.address"})
    kind: str = "session"

    def needs(self, facts: Facts) -> tuple[StateName, ...]:
        """Return the use of the caller's session."""
        return (_name(facts),) if facts.identity.session else ()

    def find(self, facts: Facts) -> Finding:
        """Return whether it does; people are told to sign in again, which begins another."""
        use = known(facts, _name(facts), SessionUse) if facts.identity.session else None
        if use is None or not self._goes_on(use, facts.at):
            remedy = StepUp() if facts.identity.human else None
            return Unmet(Reason.SESSION_ENDED, remedy, "Begin another session.")
        sources = use.sources | {facts.request.source.address}
        if self.max_sources is not None and len(sources) > self.max_sources:
            return Unmet(Reason.UNEXPECTED_NETWORK, detail="The session is used from too many places.")
        return MET

    def changes_at(self, facts: Facts) -> float:
        """Return when the session ends if nobody uses it."""
        use = known(facts, _name(facts), SessionUse) if facts.identity.session else None
        if use is None or not self._goes_on(use, facts.at):
            return math.inf
        return min(use.seen_at + self.idle, use.started_at + self.ttl)

    def _goes_on(self, use: SessionUse, at: float) -> bool:
        return at < use.seen_at + self.idle and at < use.started_at + self.ttl


def compile_session(argument: Any, written: Written, _: Surroundings) -> SessionLives:
    """Return the requirement that a policy file states.

    Raises:
        PolicyError: it asks for nothing.
    """
    part = read_part(SessionPart, argument, written)
    if part.idle is None and part.ttl is None and part.max_sources is None:
        written.refuse("it asks for nothing", "name idle, ttl or max_sources")
    idle, ttl = (math.inf if each is None else each for each in (part.idle, part.ttl))
    return SessionLives(idle, ttl, part.max_sources)


def _name(facts: Facts) -> StateName:
    return StateName("session", f"{facts.identity.subject.issuer} {facts.identity.session}")
