"""What the proxy that asks may ask about. What a route's `context_extensions` add can narrow it, never widen it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from extauthz.errors import Refusal
from extauthz.model.reason import Reason
from extauthz.request.host import canonical_host

if TYPE_CHECKING:
    from extauthz.model.identity import Identity
    from extauthz.model.request import Request

CONTEXT_PREFIX: Final = "extauthz."
"""Context extensions that speak to us start with it; others are the operator's own."""

TENANT_KEY: Final = "extauthz.tenant"
"""Only callers of this tenant may come through the route."""

RESOURCE_KEY: Final = "extauthz.resource"
"""Only this resource may be meant on the route; policy checks it when it routes."""

_KEYS: Final = frozenset({TENANT_KEY, RESOURCE_KEY})

_HOST: Final = "This proxy may not ask about this host; add the host to the proxy's hosts in the settings."
_TENANT: Final = (
    "This proxy may not bring callers of this tenant; add the tenant to the proxy's tenants in the settings."
)
_CONTEXT: Final = "The route's context_extensions hold an extauthz key that is unknown or empty."
_NARROWED: Final = "This route is for callers of one other tenant."


class Proxy(NamedTuple):
    """A proxy that has proven who it is.

    Attributes:
        name: for records and metrics.
        hosts: exact hosts, or `*.example.com` for one label more; empty means any.
        tenants: tenants whose callers it may bring; empty means any, also callers without a tenant.
        shows_all_headers: whether it is said to hide no header of a request from us.
    """

    name: str
    hosts: tuple[str, ...] = ()
    tenants: frozenset[str] = frozenset()
    shows_all_headers: bool = False


def require_within_bounds(request: Request, proxy: Proxy) -> None:
    """Raise a Refusal (`proxy_out_of_bounds`) when the proxy may not ask about the host, or its route is misconfigured.

    An unknown or empty `extauthz.` key is refused, since a typing error in a narrowing must not drop the narrowing.
    """
    hosts, host = proxy.hosts, request.host
    # As a rule the host is spelled as in the settings, which is one comparison and no call.
    if hosts and host not in hosts and not any(host_matches(pattern, host) for pattern in hosts):
        raise Refusal(Reason.PROXY_OUT_OF_BOUNDS, _HOST, inner="host")
    if not request.context:
        return
    for key, value in request.context.items():
        if key.startswith(CONTEXT_PREFIX) and (key not in _KEYS or not value):
            raise Refusal(Reason.PROXY_OUT_OF_BOUNDS, _CONTEXT, inner="context_extensions")
    narrowed = request.context.get(TENANT_KEY)
    if narrowed is not None and proxy.tenants and narrowed not in proxy.tenants:
        raise Refusal(Reason.PROXY_OUT_OF_BOUNDS, _TENANT, inner="tenant of the route")


def require_within_tenants(identity: Identity, request: Request, proxy: Proxy) -> None:
    """Raise a Refusal when the caller's tenant is not one that may come through this proxy and this route.

    A caller without tenant is not a member of any. Outside the proxy's tenants is `proxy_out_of_bounds`; inside them,
    but not the tenant that the route names, is `tenant_mismatch`.
    """
    if proxy.tenants and identity.tenant not in proxy.tenants:
        raise Refusal(Reason.PROXY_OUT_OF_BOUNDS, _TENANT, inner="tenant of the caller")
    narrowed = request.context.get(TENANT_KEY)
    if narrowed is not None and (not narrowed or identity.tenant != narrowed):
        raise Refusal(Reason.TENANT_MISMATCH, _NARROWED, inner="tenant of the route")


def host_matches(pattern: str, host: str) -> bool:
    """Return whether a canonical host is the one that a pattern names: exactly, or by one label for `*.`."""
    expected = _canonical_pattern(pattern)
    if not expected.startswith("*."):
        return host == expected
    label, _, rest = host.partition(".")
    return bool(label) and rest == expected[2:]


@lru_cache(maxsize=1024)
def _canonical_pattern(pattern: str) -> str:
    """Return a host pattern in the spelling of `Request.host`; `""`, which no host equals, when it is no pattern."""
    wildcard, star, rest = ("*.", "wildcard.", pattern[2:]) if pattern.startswith("*.") else ("", "", pattern)
    try:
        name = canonical_host(star + rest)
    except Refusal:
        return ""
    return wildcard + name.removeprefix(star) if name.startswith(star) else ""
