"""A loaded registry: immutable, named by its content, asked by look-ups whose number does not grow with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from extauthz.model.registry import NOT_DECLARED, Declared

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.errors import Problem
    from extauthz.model.identity import Identity, Principal
    from extauthz.model.registry import Registration, RoleBinding


class How(StrEnum):
    """By which of its names an entry knows somebody."""

    SUBJECT = "subject"
    WORKLOAD = "workload"
    CLIENT = "client"


class Match(NamedTuple):
    """Whom an entry is about.

    Attributes:
        issuer: who vouches; names mean nothing without it.
        how: which name.
        name: the name, exactly.
    """

    issuer: str
    how: How
    name: str


def without_issuer(issuer: str, workload: str) -> str:
    """Return a workload key as its issuer states it: records and rules show most keys as `issuer|key`."""
    return workload.removeprefix(f"{issuer}|")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """Declared identities and role bindings.

    Attributes:
        revision: names the content.
        registrations: entries by whom they are about.
        bindings: roles by whom they are bound to, also to those who have no entry.
        matches: whom each entry is about, by its name.
        attributes: names that bindings look at besides `tenant` and `resource`, and where each stands first.
        issuers: issuers of everybody it is about, and where each stands first.
    """

    revision: str = ""
    registrations: Mapping[Match, Registration] = field(default_factory=dict)
    bindings: Mapping[Match, tuple[RoleBinding, ...]] = field(default_factory=dict)
    matches: Mapping[str, Match] = field(default_factory=dict)
    attributes: Mapping[str, Problem] = field(default_factory=dict)
    issuers: Mapping[str, Problem] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """Return how much it declares, for example `3 identities, 1 binding`."""
        entries, bindings = len(self.registrations), sum(map(len, self.bindings.values()))
        identities = f"{entries} identit{'y' if entries == 1 else 'ies'}"
        return f"{identities}, {bindings} binding{'' if bindings == 1 else 's'}"

    def find_declared(self, identity: Identity) -> tuple[Declared, ...]:
        """Return what is declared about everybody involved; see `ports.RegistrySource`."""
        if not self.registrations and not self.bindings:
            return (NOT_DECLARED,) * len(identity.involved)  # As where nobody uses a registry.
        subject = self._find(identity.subject, without_issuer(identity.subject.issuer, identity.workload))
        if identity.actor is None:
            return (subject,)
        return (subject, *[self._find(party, "") for party in identity.involved[1:]])

    def _find(self, party: Principal, workload: str) -> Declared:
        issuer = party.issuer
        by_subject = Match(issuer, How.SUBJECT, party.subject)
        by_workload = Match(issuer, How.WORKLOAD, workload)
        by_client = Match(issuer, How.CLIENT, party.client)
        entries, bound = self.registrations, self.bindings
        return Declared(
            by_subject=entries.get(by_subject),
            by_workload=entries.get(by_workload),
            by_client=entries.get(by_client),
            bindings=(*bound.get(by_subject, ()), *bound.get(by_workload, ()), *bound.get(by_client, ())),
        )
