"""Tests of `extauthz/request/bounds.py`: a proxy's bounds, and that a route only narrows them."""

from __future__ import annotations

from functools import partial

import pytest

from extauthz.model.identity import ANONYMOUS, Identity, Principal
from extauthz.model.reason import Reason
from extauthz.model.request import Request
from extauthz.request.bounds import Proxy, require_within_bounds, require_within_tenants
from tests.unit.request.refusals import reason_of, refusal_of


def _request(host: str = "api.example.com", **context: str) -> Request:
    """Return a request; keyword arguments are context extensions of ours."""
    keys = {f"extauthz.{name}": value for name, value in context.items()}
    return Request(method="GET", host=host, path="/", segments=("",), context=keys)


def _caller(tenant: str) -> Identity:
    return Identity(subject=Principal(issuer="https://issuer.example", subject="x"), tenant=tenant)


@pytest.mark.parametrize(
    ("hosts", "host"),
    [
        ((), "anything.example"),
        (("api.example.com",), "api.example.com"),
        (("API.example.com.:443",), "api.example.com"),
        (("other.example", "api.example.com"), "api.example.com"),
        (("*.example.com",), "api.example.com"),
        (("*.EXAMPLE.com",), "api.example.com"),
        (("*.example.com:8443",), "api.example.com:8443"),
        (("[::1]:8443",), "[::1]:8443"),
    ],
)
def test_hosts_inside_the_bounds(hosts: tuple[str, ...], host: str) -> None:
    """No hosts means any; else the host is named exactly, or by a wildcard for its first label."""
    require_within_bounds(_request(host), Proxy("edge", hosts))


@pytest.mark.parametrize(
    ("hosts", "host"),
    [
        (("api.example.com",), "api.example.com:8443"),
        (("api.example.com",), "xapi.example.com"),
        (("api.example.com",), "api.example.com.evil.example"),
        (("*.example.com",), "example.com"),
        (("*.example.com",), "a.b.example.com"),
        (("*.example.com",), "badexample.com"),
        (("*.example.com",), "api.example.com:8443"),
        (("*",), "api.example.com"),
        (("*.",), "api.wildcard"),
        (("",), "api.example.com"),
        (("*.*.com",), "api.example.com"),
        (("api.*.com",), "api.example.com"),
        (("*.0.0.1",), "127.0.0.1"),
    ],
)
def test_hosts_outside_the_bounds(hosts: tuple[str, ...], host: str) -> None:
    """Another port, more labels, fewer labels, and patterns that are none match nothing."""
    refusal = refusal_of(lambda: require_within_bounds(_request(host), Proxy("edge", hosts)))
    assert (refusal.reason, refusal.inner) == (Reason.PROXY_OUT_OF_BOUNDS, "host")


def test_known_context_keys_pass() -> None:
    """The keys we know, and the operator's own keys, pass."""
    require_within_bounds(_request(tenant="acme", resource="deployment"), Proxy("edge"))
    own = Request(method="GET", host="a", path="/", segments=("",), context={"team": "", "extauthz": "x"})
    require_within_bounds(own, Proxy("edge"))


@pytest.mark.parametrize(
    "context", [{"tenants": "acme"}, {"Tenant": "acme"}, {"": "x"}, {"tenant": ""}, {"resource": ""}]
)
def test_unknown_or_empty_context_keys_are_refused(context: dict[str, str]) -> None:
    """A narrowing with a typing error, or with nothing in it, does not silently drop out."""
    refusal = refusal_of(lambda: require_within_bounds(_request(**context), Proxy("edge")))
    assert (refusal.reason, refusal.inner) == (Reason.PROXY_OUT_OF_BOUNDS, "context_extensions")


def test_a_route_cannot_widen_the_tenants() -> None:
    """A route that names a tenant outside the proxy's is refused before anybody is identified, and after."""
    proxy = Proxy("edge", tenants=frozenset({"acme"}))
    request = _request(tenant="globex")
    assert reason_of(lambda: require_within_bounds(request, proxy)) is Reason.PROXY_OUT_OF_BOUNDS
    for tenant in ("globex", "acme", ""):
        caller = _caller(tenant)
        refusal = refusal_of(partial(require_within_tenants, caller, request, proxy))
        assert refusal.reason in {Reason.PROXY_OUT_OF_BOUNDS, Reason.TENANT_MISMATCH}


@pytest.mark.parametrize("caller", [_caller("acme"), _caller(""), ANONYMOUS])
def test_no_bounds_let_every_tenant_through(caller: Identity) -> None:
    """Without tenants of the proxy and of the route, any caller may come, also one without tenant."""
    require_within_tenants(caller, _request(), Proxy("edge"))


def test_a_member_comes_through() -> None:
    """A caller of the proxy's and the route's tenant comes through."""
    proxy = Proxy("edge", tenants=frozenset({"acme", "globex"}))
    require_within_bounds(_request(tenant="acme"), proxy)
    require_within_tenants(_caller("acme"), _request(tenant="acme"), proxy)
    require_within_tenants(_caller("globex"), _request(), proxy)


@pytest.mark.parametrize("caller", [_caller("globex"), _caller("Acme"), _caller(""), ANONYMOUS])
def test_callers_outside_the_tenants_are_refused(caller: Identity) -> None:
    """Another tenant, another case and no tenant at all are outside."""
    proxy = Proxy("edge", tenants=frozenset({"acme"}))
    assert reason_of(lambda: require_within_tenants(caller, _request(), proxy)) is Reason.PROXY_OUT_OF_BOUNDS


@pytest.mark.parametrize("tenants", [frozenset[str](), frozenset({"acme", "globex"})])
@pytest.mark.parametrize("caller", [_caller("globex"), _caller(""), ANONYMOUS])
def test_a_route_narrows(caller: Identity, tenants: frozenset[str]) -> None:
    """Callers that the proxy may bring are refused where the route names another tenant."""
    request = _request(tenant="acme")
    reason = reason_of(lambda: require_within_tenants(caller, request, Proxy("edge", tenants=tenants)))
    expected = Reason.PROXY_OUT_OF_BOUNDS if tenants and not caller.tenant else Reason.TENANT_MISMATCH
    assert reason is expected


def test_an_empty_narrowing_lets_nobody_through() -> None:
    """A route that names the empty tenant does not mean callers without tenant."""
    request = _request(tenant="")
    assert reason_of(lambda: require_within_tenants(ANONYMOUS, request, Proxy("edge"))) is Reason.TENANT_MISMATCH
