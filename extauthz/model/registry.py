"""What people declare about identities: facts that no token carries, and roles that no issuer grants."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.clock import Instant
    from extauthz.model.identity import Kind


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
        networks: the only source networks it may come from (CIDR); empty means any.
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
    networks: tuple[str, ...] = ()
    expires_at: Instant | None = None
    review_by: Instant | None = None
    peer_group: str = ""
    standing: Standing = Standing.ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleBinding:
    """A role that somebody has somewhere until some time.

    Attributes:
        role: the role.
        where: resource attributes, and `tenant` and `resource`, that must have these values; empty means everywhere.
        until: first instant at which it no longer holds; None for never.
    """

    role: str
    where: Mapping[str, str] = field(default_factory=dict)
    until: Instant | None = None
