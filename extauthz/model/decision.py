"""A verdict together with everything the record and the answer need."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from extauthz.model.verdict import Allow, Deny, Verdict
from extauthz.model.wide import wide

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.clock import Instant
    from extauthz.ids import DecisionId, PolicyRevision, RuleId
    from extauthz.model.facts import AttributeValue
    from extauthz.model.identity import Identity
    from extauthz.model.reason import Reason
    from extauthz.model.request import Request
    from extauthz.model.shadow import Shadow


@dataclass(frozen=True, slots=True)
class Home:
    """Where a part of the policy belongs.

    Attributes:
        namespace: empty for the root, and where there are no namespaces.
        owner: who answers for it; empty when nobody said.
    """

    namespace: str = ""
    owner: str = ""


NOBODY = Home()


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
        proof_algorithms: JWS algorithms of the DPoP proofs that must come along; empty where none must.
        metadata_url: where the protected resource's metadata (RFC 9728) is; empty where it is not published.
        verify: verification profile; empty for `credential: none`. For the record, as are the next two.
        credential: how callers prove who they are.
        read_from: attribute and place (`body.order.id`) of each attribute that is not in the path.
        home: whose the resource is.
        homes: whose the rules that concern it are, by id, where that is another home.
        sampled: the rules whose allows are recorded by sample only.
    """

    resource: str
    action: str
    audience: str = ""
    realm: str = ""
    forward: frozenset[str] = frozenset()
    carrier: str = "authorization"
    proof_algorithms: tuple[str, ...] = ()
    metadata_url: str = ""
    verify: str = ""
    credential: str = ""
    read_from: tuple[tuple[str, str], ...] = ()
    home: Home = NOBODY
    homes: Mapping[RuleId, Home] = field(default_factory=dict)
    sampled: frozenset[RuleId] = frozenset()


@dataclass(frozen=True, slots=True)
class Observed:
    """What enforcing would have done to a request that was only observed.

    Attributes:
        would: the denial; None when it would have gone through as well.
        removes: names of the credential headers and query parameters (`?name`) it carries that would not have gone on.
    """

    would: Deny | None = None
    removes: tuple[str, ...] = ()


@wide
@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One answer and how it came about. Whatever was not reached stays None.

    Attributes:
        proxy: name of the proxy that asked; empty when it could not be told.
        policy: revision of the ruleset that decided; empty when none was loaded.
        shadow: where it appears what the policy that runs as a shadow says; None when none runs.
        next_nonce: for the client's next DPoP proof; empty when there is nothing new to say.
        observed: what enforcing would have done; None when this decision is enforced.
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
    shadow: Shadow | None = field(default=None, compare=False)
    next_nonce: str = ""
    observed: Observed | None = None

    @property
    def allowed(self) -> bool:
        """Return whether the request goes through."""
        return isinstance(self.verdict, Allow)

    @property
    def reason(self) -> Reason:
        """Return the stable code of the answer."""
        return self.verdict.reason

    @property
    def home(self) -> Home:
        """Return whose decision it was: the deciding rule's home, else the resource's."""
        if self.target is None:
            return NOBODY
        rule = self.verdict.rule
        return self.target.homes.get(rule, self.target.home) if rule is not None else self.target.home

    @property
    def enforced(self) -> Decision:
        """Return the decision that this would be if it were enforced."""
        would = self.observed.would if self.observed is not None else None
        return self if would is None else replace(self, verdict=would, observed=None)

    @property
    def sampled(self) -> bool:
        """Return whether a sample of decisions like this one is recorded. What would be denied is always recorded."""
        if self.target is None or not isinstance(self.verdict, Allow) or self.verdict.trail.would_deny:
            return False
        return self.verdict.rule in self.target.sampled
