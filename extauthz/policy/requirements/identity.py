"""`identity: {kind: [ci, service], of: actor}`: who takes part is one of those listed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from extauthz.model.reason import Reason
from extauthz.policy.document import PartyPart
from extauthz.policy.requirements.form import read_part
from extauthz.policy.requirements.parties import PartyName, parties_of
from extauthz.policy.rules import MET, Finding, Timeless, Unmet

if TYPE_CHECKING:
    from extauthz.model.facts import Facts
    from extauthz.model.identity import Principal
    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.written import Written


class IdentityPart(PartyPart):
    """What is not known is never a member of a list."""

    of: PartyName = "everyone"


_READS: Final = frozenset(
    {
        *("identity.kind", "identity.issuer", "identity.client", "identity.subject"),
        *("actor.kind", "actor.issuer", "actor.client", "actor.subject", "involved.kinds"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityIs(Timeless):
    """Holds for everyone who is involved, or only for the subject, or only for who acts (the subject when alone)."""

    kinds: frozenset[str]
    issuers: frozenset[str]
    clients: frozenset[str]
    subjects: frozenset[str]
    of: PartyName = "everyone"
    kind: str = "identity"
    reads: frozenset[str] = _READS

    def find(self, facts: Facts) -> Finding:
        """Return whether the parties are among those listed."""
        if all(self._is_listed(party) for party in parties_of(facts.identity, self.of)):
            return MET
        return Unmet(Reason.FORBIDDEN)

    def _is_listed(self, party: Principal) -> bool:
        return (
            (not self.kinds or party.kind in self.kinds)
            and (not self.issuers or party.issuer in self.issuers)
            and (not self.clients or party.client in self.clients)
            and (not self.subjects or party.subject in self.subjects)
        )


def compile_identity(argument: Any, written: Written, _: Surroundings) -> IdentityIs:
    """Return the requirement that a policy file states.

    Raises:
        PolicyError: it lists nothing, or something that does not exist.
    """
    part = read_part(IdentityPart, argument, written)
    if not (part.kind or part.issuers or part.clients or part.subjects):
        written.refuse("it lists nobody", "name at least one of kind, issuers, clients, subjects")
    return IdentityIs(
        kinds=frozenset(part.kind),
        issuers=frozenset(part.issuers),
        clients=frozenset(part.clients),
        subjects=frozenset(part.subjects),
        of=part.of,
    )
