"""`binding: [mtls, dpop, spiffe]`: a stolen copy of the credential is useless, in one of these ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from extauthz.model.identity import Binding
from extauthz.model.reason import Reason
from extauthz.policy.requirements.form import listed, read_words
from extauthz.policy.rules import MET, Finding, Timeless, Unmet
from extauthz.validation import did_you_mean

if TYPE_CHECKING:
    from extauthz.model.facts import Facts
    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.written import Written

_WAYS: Final = tuple(way.value for way in Binding if way is not Binding.NONE)


@dataclass(frozen=True, slots=True)
class BoundBy(Timeless):
    """The credential is tied to its sender in one of the ways listed."""

    ways: tuple[str, ...]
    reads: frozenset[str] = frozenset({"identity.binding"})
    kind: str = "binding"

    def find(self, facts: Facts) -> Finding:
        """Return whether it is; the caller needs another credential then, which no answer can hand out."""
        if facts.identity.binding in self.ways:
            return MET
        return Unmet(Reason.BINDING_MISSING, detail=f"Use a credential that is bound to you by {listed(self.ways)}.")


def compile_binding(argument: Any, written: Written, _: Surroundings) -> BoundBy:
    """Return the requirement that a policy file states.

    Raises:
        PolicyError: it lists nothing, or a way that does not exist.
    """
    ways = read_words(argument, written)
    for position, way in enumerate(ways):
        if way not in _WAYS:
            place = written.at(position) if isinstance(argument, list) else written
            place.refuse(f"there is no binding `{way}`", did_you_mean(way, _WAYS))
    return BoundBy(ways)
