"""Resources on the same host, path and method, told apart by something else in the request.

No two of them can mean the same request: the compiler proves it, by closed values of the same header, parameter, member
or context entry. So at most one fits, and their order says nothing. A request that fits none means no resource; there
is nothing to fall back to. Where any of them reads the body, an unreadable body is a refusal whichever was meant.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from extauthz.errors import Refusal
from extauthz.model.reason import Reason
from extauthz.policy.attributes import Attribute, FromBody, FromForm, described, read_body, read_value
from extauthz.policy.body import find_member

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.model.request import Request
    from extauthz.policy.attributes import Origin
    from extauthz.policy.ruleset import Route

TypedValue = tuple[type, object]
"""A value with its type, since Python takes `True` for `1`."""


@dataclass(frozen=True, slots=True)
class Distinction:
    """One thing that requests for a resource have besides host, path and method.

    Attributes:
        origin: where it is read.
        values: the only values that it may have.
    """

    origin: Origin
    values: frozenset[TypedValue]


def are_disjoint(first: tuple[Distinction, ...], second: tuple[Distinction, ...]) -> bool:
    """Return whether no request can have both: the same thing would need two values at once."""
    return any(one.origin == other.origin and not one.values & other.values for one in first for other in second)


@dataclass(frozen=True)
class Fork:
    """What a host, path and method lead to when that alone does not name the resource.

    Attributes:
        options: routes and what tells them apart; pairwise disjoint.
        body: how the body is read, when one of the options reads it; all read it alike.
    """

    options: tuple[tuple[tuple[Distinction, ...], Route], ...]
    body: FromBody | FromForm | None = None

    @cached_property
    def origins(self) -> tuple[Origin, ...]:
        """Return everything that is looked at, each once."""
        return tuple(dict.fromkeys(each.origin for distinctions, _ in self.options for each in distinctions))

    @property
    def preflight(self) -> Route | None:
        """Return the route under which a CORS preflight is answered; None unless all of them allow it.

        A preflight has neither the headers nor the body of the request that it asks about.
        """
        routes = [route for _, route in self.options]
        return routes[0] if all(route.preflight for route in routes) else None

    def choose(self, request: Request) -> Route:
        """Return the route that the request means.

        Raises:
            Refusal: `no_resource` when it means none, `unreadable_body` or `malformed_request` when nobody can tell.
        """
        body = read_body(self.body, request) if self.body is not None else None
        found = {origin: _read(origin, request, body) for origin in self.origins}
        for distinctions, route in self.options:
            if all(found[each.origin] in each.values for each in distinctions):
                return route
        places = ", ".join(described(origin) for origin in self.origins)
        raise Refusal(Reason.NO_RESOURCE, f"What is meant here is decided by: {places}.", inner="no distinction fits")


def _read(origin: Origin, request: Request, body: Mapping[str, Any] | None) -> TypedValue | None:
    """Return the value at `origin`; None when there is none that a policy could name."""
    value: Any
    if isinstance(origin, FromBody):
        value = find_member(body or {}, origin.path)
    else:
        value = read_value(Attribute(name=described(origin), origin=origin), request, body)
    return (type(value), value) if isinstance(value, str | int) else None
