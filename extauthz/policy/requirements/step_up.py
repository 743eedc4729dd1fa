"""`step_up: {acr: [phishing-resistant], max_age: 5m}`: signed in strongly and recently enough (RFC 9470).

Strength is by name: an authentication context satisfies another only where the `acr` table of the settings says so.
Age counts from `auth_time`; a token without it has not shown when its holder signed in. No clock difference is granted
towards a longer age.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from extauthz.durations import Duration
from extauthz.limits import DEFAULT_LEEWAY_SECONDS
from extauthz.model.reason import Reason
from extauthz.model.verdict import StepUp
from extauthz.policy.document import Part, Words
from extauthz.policy.requirements.form import read_part
from extauthz.policy.rules import MET, Finding, Stateless, Unmet

if TYPE_CHECKING:
    from extauthz.model.facts import Facts
    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.written import Written


class StepUpPart(Part):
    """At least one of both."""

    acr: Words = ()
    max_age: Duration | None = None


@dataclass(frozen=True, slots=True)
class StepUpTo(Stateless):
    """How the caller must have signed in.

    Attributes:
        acr: acceptable contexts as the policy lists them, in order of preference; empty when any will do.
        satisfied_by: those and every context that satisfies one of them.
        max_age: seconds since the sign-in; None when its age does not matter.
    """

    acr: tuple[str, ...]
    satisfied_by: frozenset[str]
    max_age: int | None
    reads: frozenset[str] = frozenset({"identity.acr", "identity.auth_time", "identity.human"})
    kind: str = "step_up"

    def find(self, facts: Facts) -> Finding:
        """Return whether the sign-in was strong and recent enough; only people are told how to repair it."""
        if self._is_strong(facts) and self._is_recent(facts):
            return MET
        if not facts.identity.human:
            return Unmet(Reason.STEP_UP_REQUIRED, detail="This needs a person who signs in; a machine cannot.")
        return Unmet(Reason.STEP_UP_REQUIRED, StepUp(self.acr, self.max_age), "Sign in again as the challenge says.")

    def changes_at(self, facts: Facts) -> float:
        """Return when a sign-in that is in the future becomes recent, or a recent one stops being so."""
        signed_in = facts.identity.auth_time
        if self.max_age is None or signed_in is None:
            return math.inf
        edges = (signed_in - DEFAULT_LEEWAY_SECONDS, signed_in + self.max_age)
        return min((edge for edge in edges if edge >= facts.at), default=math.inf)

    def _is_strong(self, facts: Facts) -> bool:
        return not self.satisfied_by or facts.identity.acr in self.satisfied_by

    def _is_recent(self, facts: Facts) -> bool:
        if self.max_age is None:
            return True
        if facts.identity.auth_time is None:
            return False
        # A sign-in in the future would stay recent for as long as its issuer likes.
        return -DEFAULT_LEEWAY_SECONDS <= facts.at - facts.identity.auth_time <= self.max_age


def compile_step_up(argument: Any, written: Written, surroundings: Surroundings) -> StepUpTo:
    """Return the requirement that a policy file states.

    Raises:
        PolicyError: it asks for nothing, or for an age that is not at least one whole second.
    """
    part = read_part(StepUpPart, argument, written)
    if not part.acr and part.max_age is None:
        written.refuse("it asks for nothing", "name acr, max_age or both")
    if part.max_age is not None and (part.max_age < 1 or part.max_age != int(part.max_age)):
        written.at("max_age").refuse("must be whole seconds, at least one", "write for example 5m")
    satisfied_by = {better for acr in part.acr for better in (acr, *surroundings.acr.get(acr, ()))}
    max_age = None if part.max_age is None else int(part.max_age)
    return StepUpTo(part.acr, frozenset(satisfied_by), max_age)
