"""A loaded policy: immutable, named by the content it was made from, asked once per request which resource is meant."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from extauthz.errors import Refusal
from extauthz.model.identity import Credential
from extauthz.model.reason import Reason
from extauthz.model.verdict import UseMethod
from extauthz.policy.attributes import Attribute, read_attributes
from extauthz.policy.matching import Fork
from extauthz.policy.mcpmessage import read_message
from extauthz.policy.names import PREFLIGHT_RULE
from extauthz.policy.rules import RouteRules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.errors import Problem
    from extauthz.ids import PolicyRevision, RuleId
    from extauthz.model.decision import Target
    from extauthz.model.facts import AttributeValue
    from extauthz.model.request import Request
    from extauthz.policy.index import Index

CONTEXT_RESOURCE: Final = "extauthz.resource"
"""The `context_extensions` entry by which a route in Envoy says which `resource.action` it is for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a request means and how it is judged.

    Attributes:
        target: resource and action.
        verify: verification profile of the credential; None for `credential: none`.
        credential: how callers prove who they are.
        rules: every rule that concerns the target.
        revalidate: how old, in seconds, an issuer's word about a token may be here; None where any will do.
        stale_proceeds: whether decisions go on while what was revoked is not known well enough.
        signals_optional: whether decisions go on while who reports about the caller is not heard.
        attributes: how the resource's attributes are read.
        mcp: whether rules ask what the body asks of an MCP server, so that it must be a message to one.
        upgrades: lower-case protocols that may be upgraded to.
        preflight: whether a CORS preflight for it is answered without a credential.
        preflight_only: the request is such a preflight: nothing but the route is decided.
        preflight_rule: the rule id under which that is recorded.
    """

    target: Target
    verify: str | None
    credential: Credential = Credential.BEARER
    rules: RouteRules = field(default_factory=RouteRules)
    revalidate: float | None = None
    stale_proceeds: bool = False
    signals_optional: bool = False
    attributes: tuple[Attribute, ...] = ()
    mcp: bool = False
    upgrades: frozenset[str] = frozenset()
    preflight: bool = False
    preflight_only: bool = False
    preflight_rule: RuleId = PREFLIGHT_RULE

    def read_attributes(self, request: Request) -> dict[str, AttributeValue]:
        """Return the resource's attributes by name.

        Raises:
            Refusal: one of them is missing, doubled, of the wrong type or not among the declared values; or the body is
                no message to an MCP server where it has to be.
        """
        if self.mcp:
            read_message(request)
        return read_attributes(self.attributes, request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much a policy declares, for people."""

    resources: int = 0
    guards: int = 0
    forbids: int = 0
    permits: int = 0

    def __str__(self) -> str:
        """Return for example `3 resources, 1 guard, 0 forbids, 2 permits`."""
        numbers = {
            "resource": self.resources,
            "guard": self.guards,
            "forbid": self.forbids,
            "permit": self.permits,
        }
        return ", ".join(f"{count} {noun}" + ("" if count == 1 else "s") for noun, count in numbers.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruleset:
    """A policy in force.

    Attributes:
        revision: names the content.
        index: routes by host, path and method.
        headers_read: lower-case names of the headers that some resource reads an attribute from.
        attributes: names of the attributes that some resource has.
        streams: names of the resources whose connections may outlive a decision (`upgrades`).
        namespaces: the host patterns of each namespace.
        counts: how much it declares.
        warnings: what is allowed but probably not meant.
    """

    revision: PolicyRevision
    index: Index[Route | Fork]
    headers_read: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()
    streams: frozenset[str] = frozenset()
    namespaces: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    warnings: tuple[Problem, ...] = ()

    def route(self, request: Request) -> Route:
        """Return the route that a request means: exactly one.

        Raises:
            Refusal: `no_resource`, `method_not_allowed` (with the methods that are), `upgrade_not_allowed`,
                `proxy_out_of_bounds` when the proxy's route says that it is for another resource, or, where more than
                host, path and method decides, `unreadable_body` or `malformed_request`.
        """
        route = self._find_preflight(request) or self.index.find(request.host, request.segments, request.method)
        if isinstance(route, Fork):
            route = route.choose(request)
        if route is None:
            methods = self.index.methods(request.host, request.segments)
            if not methods:
                raise Refusal(Reason.NO_RESOURCE, "Check the host, the path and its trailing slash.")
            raise Refusal(Reason.METHOD_NOT_ALLOWED, remedies=(UseMethod(methods),))
        if request.upgrade and (route.preflight_only or request.upgrade not in route.upgrades):
            raise Refusal(Reason.UPGRADE_NOT_ALLOWED, "Send the request without asking for an upgrade.")
        meant = request.context.get(CONTEXT_RESOURCE)
        if meant is not None and meant != f"{route.target.resource}.{route.target.action}":
            raise Refusal(Reason.PROXY_OUT_OF_BOUNDS, inner="the proxy's route is for another resource")
        return route

    def _find_preflight(self, request: Request) -> Route | None:
        """Return the route of a CORS preflight, when the resource that it asks about answers preflights."""
        if not request.preflight_method:
            return None
        asked = self.index.find(request.host, request.segments, request.preflight_method)
        if isinstance(asked, Fork):
            asked = asked.preflight
        return replace(asked, preflight_only=True) if asked is not None and asked.preflight else None
