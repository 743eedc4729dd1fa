"""`roles: [auditor]`, or `roles: {any_of: [auditor, admin], of: subject}`: everyone involved has all, or one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pydantic import model_validator

from extauthz.model.reason import Reason
from extauthz.policy.document import Part, Words
from extauthz.policy.requirements.form import listed, read_part, read_words
from extauthz.policy.requirements.parties import PartyName, parties_of
from extauthz.policy.rules import MET, Finding, Timeless, Unmet
from extauthz.validation import wrong

if TYPE_CHECKING:
    from extauthz.model.facts import Facts
    from extauthz.model.identity import Principal
    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.written import Written


class RolesPart(Part):
    """The long form."""

    any_of: Words = ()
    all_of: Words = ()
    of: PartyName = "everyone"

    @model_validator(mode="after")
    def _one_list(self) -> Self:
        if bool(self.any_of) is bool(self.all_of):
            message, fix = "it needs one list of roles", "give either `any_of` or `all_of`"
            raise wrong(message, fix)
        return self


@dataclass(frozen=True, slots=True)
class Roles(Timeless):
    """Roles of everyone involved, or of one party; nothing that a client can do by itself repairs a missing one."""

    roles: frozenset[str]
    any_of: bool = False
    of: PartyName = "everyone"
    kind: str = "roles"
    reads: frozenset[str] = frozenset({"identity.roles", "actor.roles", "involved.roles"})

    def find(self, facts: Facts) -> Finding:
        """Return whether each of the parties has the roles."""
        if all(self._has_roles(party) for party in parties_of(facts.identity, self.of)):
            return MET
        wanted = listed(sorted(self.roles)) if self.any_of else ", ".join(sorted(self.roles))
        return Unmet(Reason.ROLE_MISSING, detail=f"Needed: {wanted}.")

    def _has_roles(self, party: Principal) -> bool:
        held = party.roles & self.roles
        return bool(held) if self.any_of else held == self.roles


def compile_roles(argument: Any, written: Written, _: Surroundings) -> Roles:
    """Return the requirement that a policy file states.

    Raises:
        PolicyError: it names no roles.
    """
    if isinstance(argument, dict):
        part = read_part(RolesPart, argument, written)
        return Roles(frozenset(part.any_of or part.all_of), any_of=bool(part.any_of), of=part.of)
    return Roles(frozenset(read_words(argument, written)))
