"""`revalidate: {max_age: 30s}`: the issuer has vouched for the token recently enough, when asked (RFC 7662).

It reaches back into how the caller is proven: at a resource with such a requirement the token is asked about when the
last answer is older than the smallest `max_age` there. An answer is as old as the start of the fetch that brought it.
A rule that only observes asks for nothing, since an issuer that cannot be reached would make it deny.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from extauthz.durations import Duration
from extauthz.model.identity import Credential
from extauthz.model.reason import Reason
from extauthz.policy.document import Part
from extauthz.policy.requirements.form import read_part
from extauthz.policy.rules import MET, Finding, Stateless, Unmet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extauthz.errors import Problem
    from extauthz.model.facts import Facts
    from extauthz.policy.declaration import Declaration, ProfileFace
    from extauthz.policy.rules import Requirement, RouteRules
    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.written import Written


class RevalidatePart(Part):
    """How recently."""

    max_age: Duration


@dataclass(frozen=True, slots=True)
class Revalidated(Stateless):
    """The issuer has vouched for the token recently.

    Attributes:
        max_age: seconds since the fetch began.
    """

    max_age: float
    reads: frozenset[str] = frozenset()
    kind: str = "revalidate"

    def find(self, facts: Facts) -> Finding:
        """Return whether it has; a caller can do nothing about it but come again."""
        checked_at = facts.identity.checked_at
        if checked_at is not None and 0 <= facts.at - checked_at <= self.max_age:
            return MET
        return Unmet(Reason.EVIDENCE_UNAVAILABLE, detail="Try again shortly.")

    def changes_at(self, facts: Facts) -> float:
        """Return when the answer becomes too old."""
        checked_at = facts.identity.checked_at
        if checked_at is None or checked_at + self.max_age < facts.at:
            return math.inf
        return checked_at + self.max_age


def compile_revalidate(argument: Any, written: Written, _: Surroundings) -> Revalidated:
    """Return the requirement that a policy file states.

    Raises:
        PolicyError: it states no age, or one that a fetch could never meet.
    """
    part = read_part(RevalidatePart, argument, written)
    if part.max_age < 1:
        written.at("max_age").refuse("must be at least one second", "write for example 30s")
    return Revalidated(part.max_age)


def smallest_max_age(rules: RouteRules) -> float | None:
    """Return how old an issuer's word may be for every rule of a route, in seconds; None when none asks."""
    return min((each.max_age for each in _enforced(rules) if isinstance(each, Revalidated)), default=None)


def unaskable(declaration: Declaration, face: ProfileFace | None) -> Problem | None:
    """Return the problem of a resource where `revalidate` could never hold; None where it can.

    Args:
        declaration: of a resource that has such a requirement.
        face: of its verification profile; None when profiles are not known.
    """
    if declaration.route.credential not in {Credential.BEARER, Credential.DPOP}:
        message = "`revalidate` is required here, and nobody can be asked about this kind of credential"
        return declaration.written.problem(message, "require it of resources with tokens only")
    if face is not None and not face.introspects:
        message = "`revalidate` is required here, and an issuer of the verification profile cannot be asked"
        return declaration.written.problem(message, "configure `introspection` for each of its issuers")
    return None


def _enforced(rules: RouteRules) -> Iterator[Requirement]:
    for guard in rules.guards:
        yield from () if guard.observe else guard.require
    for forbid in rules.forbids:
        yield from () if forbid.observe else forbid.unless
    for permit in rules.permits:
        yield from () if permit.observe else permit.require
