"""`roles: [auditor]`, or `roles: {any_of: [auditor, admin]}`: the subject has all, or one, of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from extauthz.model.reason import Reason
from extauthz.policy.document import Part, Words
from extauthz.policy.requirements.form import listed, read_part, read_words
from extauthz.policy.rules import MET, Finding, Unmet

if TYPE_CHECKING:
    from extauthz.model.facts import Facts
    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.written import Written


class RolesPart(Part):
    """The long form."""

    any_of: Words


@dataclass(frozen=True, slots=True)
class Roles:
    """Roles of the subject; nothing that a client can do by itself repairs a missing one."""

    roles: frozenset[str]
    any_of: bool = False
    kind: str = "roles"
    reads: frozenset[str] = frozenset({"identity.roles"})

    def find(self, facts: Facts) -> Finding:
        """Return whether the subject has the roles."""
        held = facts.identity.subject.roles & self.roles
        if held if self.any_of else held == self.roles:
            return MET
        wanted = listed(sorted(self.roles)) if self.any_of else ", ".join(sorted(self.roles))
        return Unmet(Reason.ROLE_MISSING, detail=f"Needed: {wanted}.")


def compile_roles(argument: Any, written: Written, _: Surroundings) -> Roles:
    """Return the requirement that a policy file states.

    Raises:
        PolicyError: it names no roles.
    """
    if isinstance(argument, dict):
        return Roles(frozenset(read_part(RolesPart, argument, written).any_of), any_of=True)
    return Roles(frozenset(read_words(argument, written)))
