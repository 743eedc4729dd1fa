"""`session: {idle: 15m, ttl: 8h, max_sources: 2}`: the caller's session is young, in use, and in few places.

A session begins when it is first used, or when the sign-in that its token tells of was, whichever is earlier. So one
that nobody has seen yet needs nothing but its token, which proves it. One that was not used for `idle` has ended and
stays ended: the longest pause between two uses is kept, so using it elsewhere does not bring it back.

How many addresses use it is counted exactly, as a spend whose members they are: an address takes a place with its first
allow under this rule, and gives it back when it was not used for `idle` (else `ttl`, else twelve hours).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field, StrictInt

from extauthz.clock import Instant
from extauthz.durations import Duration
from extauthz.model.reason import Reason
from extauthz.model.spend import Spend
from extauthz.model.standing_facts import SessionUse
from extauthz.model.state import StateName
from extauthz.model.verdict import StepUp
from extauthz.policy.document import Part
from extauthz.policy.requirements.form import read_part, require_counting
from extauthz.policy.requirements.standing import digest_of, known
from extauthz.policy.rules import MET, Finding, Met, Unmet

if TYPE_CHECKING:
    from extauthz.model.facts import Facts
    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.written import Written

MAX_SOURCES: Final = 1000
"""The most that `max_sources` can be: each takes a row of the state."""

_PLACE_SECONDS: Final = 12 * 3600.0
"""How long an address keeps its place where the rule says neither `idle` nor `ttl`."""


class SessionPart(Part):
    """At least one of these."""

    idle: Annotated[Duration, Field(gt=0)] | None = None
    ttl: Annotated[Duration, Field(gt=0)] | None = None
    max_sources: Annotated[StrictInt, Field(ge=1, le=MAX_SOURCES)] | None = None


@dataclass(frozen=True, slots=True)
class SessionLives:
    """The session goes on.

    Attributes:
        rule: whose count of addresses it is.
        idle: seconds since it was last used; `inf` when that does not matter.
        ttl: seconds since it began; `inf` when that does not matter.
        max_sources: addresses that it may be used from, the present one included; None for any number.
    """

    rule: str
    idle: float
    ttl: float
    max_sources: int | None
    reads: frozenset[str] = frozenset({"identity.session", "identity.human", "source.address"})
    kind: str = "session"

    def needs(self, facts: Facts) -> tuple[StateName, ...]:
        """Return the use of the caller's session."""
        return (_name(facts),) if facts.identity.session and self._ends else ()

    def find(self, facts: Facts) -> Finding:
        """Return whether it does, and the place that it takes; people are told to sign in, which begins another."""
        if not facts.identity.session or facts.at >= self._ends_at(facts):
            remedy = StepUp() if facts.identity.human else None
            return Unmet(Reason.SESSION_ENDED, remedy, "Begin another session.")
        return MET if self.max_sources is None else Met((self._place(facts, self.max_sources),))

    def changes_at(self, facts: Facts) -> float:
        """Return when the session ends if nobody uses it."""
        ends_at = self._ends_at(facts) if facts.identity.session else math.inf
        return ends_at if ends_at > facts.at else math.inf

    @property
    def _ends(self) -> bool:
        return min(self.idle, self.ttl) < math.inf

    def _ends_at(self, facts: Facts) -> float:
        """Return when it ends, or has ended."""
        use = known(facts, _name(facts), SessionUse)
        if use is not None and use.longest_pause >= self.idle:
            return -math.inf
        seen_at = use.seen_at if use is not None else facts.at
        signs = (facts.identity.auth_time, facts.identity.issued_at, use.started_at if use is not None else facts.at)
        started_at = min(sign for sign in signs if sign is not None)
        return min(seen_at + self.idle, started_at + self.ttl)

    def _place(self, facts: Facts, most: int) -> Spend:
        stays = next((seconds for seconds in (self.idle, self.ttl) if seconds < math.inf), _PLACE_SECONDS)
        return Spend(
            kind="session_source",
            key=digest_of(self.rule, most, facts.identity.subject.issuer, facts.identity.session),
            member=digest_of(facts.request.source.address),
            limit=most,
            until=Instant(facts.at + stays),
            refused=Reason.UNEXPECTED_NETWORK,
            detail="The session is used from too many places.",
        )


def compile_session(argument: Any, written: Written, surroundings: Surroundings) -> SessionLives:
    """Return the requirement that a policy file states.

    Raises:
        PolicyError: it asks for nothing, or for what nobody could count here.
    """
    part = read_part(SessionPart, argument, written)
    if part.idle is None and part.ttl is None and part.max_sources is None:
        written.refuse("it asks for nothing", "name idle, ttl or max_sources")
    if part.idle is not None or part.max_sources is not None:
        require_counting(written, surroundings)
    idle, ttl = (math.inf if each is None else each for each in (part.idle, part.ttl))
    return SessionLives(written.rule, idle, ttl, part.max_sources)


def _name(facts: Facts) -> StateName:
    return StateName("session", f"{facts.identity.subject.issuer} {facts.identity.session}")
