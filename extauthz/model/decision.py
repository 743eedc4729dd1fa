"""A verdict together with everything the record and the answer need."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from extauthz.model.reason import Reason
from extauthz.model.verdict import Allow, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.clock import Instant
    from extauthz.ids import DecisionId, PolicyRevision
    from extauthz.model.facts import AttributeValue
    from extauthz.model.identity import Identity
    from extauthz.model.request import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The resource and action that a request means, and what the answer needs of its declaration.

    Attributes:
        resource: resource name.
        action: action name.
        audience: the resource identifier that tokens must name; for the challenge.
        realm: `realm` of the challenge; empty for none.
        forward: lower-case names of credential headers that may go upstream besides the declared carrier.
        carrier: lower-case name of the header that carries the declared credential; empty for `credential: none`.
    """

    resource: str
    action: str
    audience: str = ""
    realm: str = ""
    forward: frozenset[str] = frozenset()
    carrier: str = "authorization"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One answer and how it came about. Whatever was not reached stays None.

    Attributes:
        proxy: name of the proxy that asked; empty when it could not be told.
        policy: revision of the ruleset that decided; empty when none was loaded.
    """

    decision_id: DecisionId
    at: Instant
    verdict: Verdict
    proxy: str = ""
    policy: PolicyRevision | None = None
    request: Request | None = None
    target: Target | None = None
    identity: Identity | None = None
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)

    @property
    def allowed(self) -> bool:
        """Return whether the request goes through."""
        return isinstance(self.verdict, Allow)

    @property
    def reason(self) -> Reason:
        """Return the stable code of the answer."""
        return Reason.ALLOWED if isinstance(self.verdict, Allow) else self.verdict.reason
