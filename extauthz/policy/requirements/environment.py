"""`environment: same`, or `environment: [production]`: where the caller runs is where the resource is, or is listed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from extauthz.model.reason import Reason
from extauthz.policy.names import FactType
from extauthz.policy.requirements.form import read_words
from extauthz.policy.rules import MET, Failed, Finding, Timeless, Unmet

if TYPE_CHECKING:
    from extauthz.model.facts import Facts
    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.written import Written

_SAME: Final = "same"
_OWN: Final = "identity.environment"
_OF_RESOURCE: Final = "resource.environment"


@dataclass(frozen=True, slots=True)
class EnvironmentIn(Timeless):
    """The caller's environment is listed. One that is not known is not.

    Attributes:
        environments: those listed; None when it must be the resource's own.
    """

    environments: frozenset[str] | None
    reads: frozenset[str] = frozenset({_OWN})
    kind: str = "environment"

    def find(self, facts: Facts) -> Finding:
        """Return whether it is."""
        wanted = self.environments
        if wanted is None:
            there = facts.variables.get(_OF_RESOURCE)
            if there is None:
                return Failed(f"{_OF_RESOURCE} is not known")
            wanted = frozenset({str(there)})
        own = facts.identity.environment
        return MET if own and own in wanted else Unmet(Reason.UNEXPECTED_ENVIRONMENT)


def compile_environment(argument: Any, written: Written, surroundings: Surroundings) -> EnvironmentIn:
    """Return the requirement that a policy file states.

    Raises:
        PolicyError: it lists nothing, or the resource has no environment.
    """
    if argument != _SAME:
        return EnvironmentIn(frozenset(read_words(argument, written)))
    fact = surroundings.facts.get(_OF_RESOURCE)
    if fact is None or fact.type is not FactType.TEXT:
        message = f"{surroundings.label} has no environment to compare with"
        written.refuse(message, "give the resource an attribute `environment`, or list environments")
    return EnvironmentIn(None, frozenset({_OWN, _OF_RESOURCE}))
