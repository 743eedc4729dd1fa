"""`when`: a condition in CEL, or `involves: {kind: agent}`, or both, which then have to hold together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from extauthz.errors import PolicyError
from extauthz.policy.requirements.cel import compile_written
from extauthz.policy.rules import ConditionFailed
from extauthz.policy.written import collecting

if TYPE_CHECKING:
    from extauthz.errors import Problem
    from extauthz.model.facts import Facts
    from extauthz.model.identity import Principal
    from extauthz.policy.document import PartyPart, WhenPart
    from extauthz.policy.rules import Condition
    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.written import Written


@dataclass(frozen=True, slots=True, kw_only=True)
class Involves:
    """Whether somebody among subject, actor and chain is like this. Each list that is not empty asks for a member.

    Attributes:
        reads: the facts that say so for everybody involved.
    """

    kinds: frozenset[str]
    issuers: frozenset[str]
    clients: frozenset[str]
    subjects: frozenset[str]
    reads: frozenset[str] = frozenset({"involved.kinds"})

    def holds(self, facts: Facts) -> bool:
        """Return whether somebody is.

        Raises:
            ConditionFailed: nobody surely is, but of somebody it cannot be told.
        """
        answers = [self._is_meant(party) for party in facts.identity.involved]
        if True in answers:
            return True
        if None in answers:
            message = "kind or client of somebody involved is not known"
            raise ConditionFailed(message)
        return False

    def _is_meant(self, party: Principal) -> bool | None:
        """Return whether the party is meant; None when what is not known decides."""
        asked = (
            (self.issuers, party.issuer),
            (self.subjects, party.subject),
            (self.kinds, party.kind),
            (self.clients, party.client if party.client or not party.issuer else None),
        )
        answers = [known in wanted if known is not None else None for wanted, known in asked if wanted]
        if False in answers:
            return False
        return None if None in answers else True


@dataclass(frozen=True, slots=True)
class Both:
    """Two conditions that have to hold together; one that surely does not outweighs one that cannot be told."""

    first: Condition
    second: Condition

    @property
    def reads(self) -> frozenset[str]:
        """Return the facts that either reads."""
        return self.first.reads | self.second.reads

    def holds(self, facts: Facts) -> bool:
        """Return whether both hold.

        Raises:
            ConditionFailed: one of them cannot be told, and the other does not say no.
        """
        try:
            if not self.first.holds(facts):
                return False
        except ConditionFailed:
            if not self.second.holds(facts):
                return False
            raise
        return self.second.holds(facts)


def compile_when(part: WhenPart, written: Written, surroundings: Surroundings) -> Condition:
    """Return the condition that a rule's `when` states.

    Args:
        part: as written.
        written: where `when` stands.
        surroundings: the facts at the resources that the rule is for.

    Raises:
        PolicyError: it is not acceptable.
    """
    problems: list[Problem] = []
    conditions: list[Condition] = []
    if part.involves is not None:
        conditions.append(_involves(part.involves))
    if part.cel is not None:
        place = written.at("cel") if (*written.path, "cel") in written.file.places else written
        with collecting(problems):
            conditions.append(compile_written(part.cel, place, surroundings))
    if problems:
        raise PolicyError(problems)
    first, *rest = conditions
    return Both(first, rest[0]) if rest else first


def _involves(part: PartyPart) -> Involves:
    return Involves(
        kinds=frozenset(part.kind),
        issuers=frozenset(part.issuers),
        clients=frozenset(part.clients),
        subjects=frozenset(part.subjects),
    )
