"""What people declare about identities: facts that no token carries, and roles that no issuer grants."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ipaddress import IPv4Network, IPv6Network

    from extauthz.clock import Instant
    from extauthz.model.facts import AttributeValue
    from extauthz.model.identity import Kind

    Network = IPv4Network | IPv6Network


class Standing(StrEnum):
    """Whether a declared identity may be used at all."""

    ACTIVE = "active"
    DISABLED = "disabled"
    """Switched off by its owner: `identity_disabled`."""
    QUARANTINED = "quarantined"
    """Under suspicion until lifted: `identity_quarantined`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A declared identity.

    Attributes:
        name: names the entry; unique in the registry.
        owner: who answers for it; empty when not declared.
        purpose: what it is for.
        environment: where it runs; empty when not declared.
        kind: its kind, None when not declared. A declared kind and a proven one that differ refuse the caller.
        networks: the only source networks it may come from; empty means any.
        expires_at: first instant at which it may no longer be used; None for never.
        review_by: when somebody has to look at it again; for reports, decides nothing.
        peer_group: those it is compared with; empty for none.
        standing: whether it may be used at all.
    """

    name: str
    owner: str = ""
    purpose: str = ""
    environment: str = ""
    kind: Kind | None = None
    networks: tuple[Network, ...] = ()
    expires_at: Instant | None = None
    review_by: Instant | None = None
    peer_group: str = ""
    standing: Standing = Standing.ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleBinding:
    """A role that somebody has somewhere until some time.

    Attributes:
        role: the role.
        where: names and the values that they must have: `tenant` of the caller, `resource` by its name, and the
            resource's attributes. A name that means two of these must have the value in both. Empty means everywhere.
        until: first instant at which it no longer holds; None for never.
    """

    role: str
    where: Mapping[str, AttributeValue] = field(default_factory=dict)
    until: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """Everything that is declared about one party of a delegation.

    Attributes:
        by_subject: the entry that names issuer and subject.
        by_workload: the entry that names issuer and stable workload key.
        by_client: the entry that names issuer and OAuth client.
        bindings: the roles bound to any of them, wherever and until whenever they hold.
    """

    by_subject: Registration | None = None
    by_workload: Registration | None = None
    by_client: Registration | None = None
    bindings: tuple[RoleBinding, ...] = ()

    @property
    def entries(self) -> tuple[Registration, ...]:
        """Return the entries that there are, the most specific one first. All of them count."""
        found = (self.by_subject, self.by_workload, self.by_client)
        return tuple([entry for entry in found if entry is not None])


NOT_DECLARED = Declared()
"""What a registry says about a party that it does not know."""
