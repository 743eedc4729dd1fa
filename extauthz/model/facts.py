"""Everything a rule may see, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from extauthz.model.enquiry import Enquiries
from extauthz.model.wide import wide

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.clock import Instant
    from extauthz.model.identity import Identity
    from extauthz.model.request import Request
    from extauthz.model.state import StateName

AttributeValue = str | int | bool
"""A resource attribute: typed and closed, as the policy declares it."""


@wide
@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The facts of one decision.

    Attributes:
        request: what was asked.
        identity: who asks.
        attributes: the matched resource's attributes by name. An optional attribute that is missing is not a member.
        state: what the requirements of the route asked for (`Requirement.needs`), as far as it is known. A fact that is
            not known is not a member, and a requirement that misses one does not hold.
        at: the instant of the decision.
        variables: the same facts as flat CEL variables (`identity.kind`, `resource.environment`). A fact that is not
            known is not a member, so an expression that reads it fails instead of seeing an empty value.
        said: what was answered about these facts, by requirement; each asks at most once in a decision.
        enquiries: what requirements have to have asked before they can say anything.
    """

    request: Request
    identity: Identity
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    state: Mapping[StateName, object] = field(default_factory=dict)
    at: Instant
    variables: Mapping[str, object] = field(default_factory=dict)
    said: dict[object, Any] = field(default_factory=dict, compare=False, repr=False)
    enquiries: Enquiries = field(default_factory=Enquiries, compare=False, repr=False)
