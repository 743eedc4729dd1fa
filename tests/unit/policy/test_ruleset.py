"""Which route a request gets, and the documented refusals when it gets none."""

from __future__ import annotations

from typing import Any

import pytest

from extauthz.errors import PolicyError, Refusal
from extauthz.model.reason import Reason
from extauthz.model.verdict import UseMethod
from extauthz.policy.live import LivePolicy
from tests.simulators.policies import compile_text, make_request

RULESET = compile_text("""\
    resources:
      - name: order
        action: read
        match: {host: api.example.com, path: "/orders/{order}", methods: [GET]}
        attributes: {order: path.order}
      - name: order
        action: change
        match: {host: api.example.com, path: "/orders/{order}", methods: [PUT]}
        attributes: {order: path.order}
        preflight: true
      - name: feed
        action: follow
        match: {host: api.example.com, path: /feed, methods: [GET, OPTIONS]}
        upgrades: [websocket]
      - name: status
        action: read
        match: {host: api.example.com, path: /status, methods: [GET]}
        credential: none
    """)


def refusal_of(method: str, path: str, **fields: Any) -> Refusal:
    """Return why a request gets no route."""
    with pytest.raises(Refusal) as caught:
        RULESET.route(make_request(method, f"api.example.com{path}", **fields))
    return caught.value


def test_a_request_gets_the_route_of_its_resource() -> None:
    """With target, profile and attributes."""
    request = make_request("GET", "api.example.com/orders/7")
    route = RULESET.route(request)
    assert (route.target.resource, route.target.action, route.verify) == ("order", "read", "default")
    assert route.target.carrier == "authorization"
    assert route.read_attributes(request) == {"order": "7"}
    assert not route.preflight_only


def test_a_resource_without_credential_verifies_nothing() -> None:
    """And declares no carrier, so that any credential is taken off the request."""
    route = RULESET.route(make_request("GET", "api.example.com/status"))
    assert (route.verify, route.target.carrier) == (None, "")


def test_an_undeclared_address_is_no_resource() -> None:
    """Another path, another host."""
    assert refusal_of("GET", "/orders").reason is Reason.NO_RESOURCE
    with pytest.raises(Refusal) as caught:
        RULESET.route(make_request("GET", "www.example.com/status"))
    assert caught.value.reason is Reason.NO_RESOURCE


def test_an_undeclared_method_names_those_that_are() -> None:
    """It becomes 405 with `allow`."""
    refusal = refusal_of("DELETE", "/orders/7")
    assert refusal.reason is Reason.METHOD_NOT_ALLOWED
    assert refusal.remedies == (UseMethod(("GET", "HEAD", "PUT")),)


def test_an_upgrade_needs_a_declaration() -> None:
    """Of the very protocol."""
    assert refusal_of("GET", "/status", upgrade="websocket").reason is Reason.UPGRADE_NOT_ALLOWED
    assert refusal_of("GET", "/feed", upgrade="h2c").reason is Reason.UPGRADE_NOT_ALLOWED
    assert RULESET.route(make_request("GET", "api.example.com/feed", upgrade="websocket")).target.resource == "feed"


def test_a_preflight_is_answered_where_declared() -> None:
    """For the resource of the method that it asks about, without more."""
    route = RULESET.route(make_request("OPTIONS", "api.example.com/orders/7", preflight_method="PUT"))
    assert (route.preflight_only, route.preflight_rule, route.target.action) == (True, "preflight", "change")
    upgrade = {"preflight_method": "PUT", "upgrade": "websocket"}
    assert refusal_of("OPTIONS", "/orders/7", **upgrade).reason is Reason.UPGRADE_NOT_ALLOWED


def test_elsewhere_options_is_a_method_like_any_other() -> None:
    """Declared or refused; a preflight for a resource that answers none opens nothing."""
    assert refusal_of("OPTIONS", "/orders/7").reason is Reason.METHOD_NOT_ALLOWED
    assert refusal_of("OPTIONS", "/orders/7", preflight_method="GET").reason is Reason.METHOD_NOT_ALLOWED
    assert refusal_of("OPTIONS", "/orders/7", preflight_method="PATCH").reason is Reason.METHOD_NOT_ALLOWED
    route = RULESET.route(make_request("OPTIONS", "api.example.com/feed", preflight_method="GET"))
    assert not route.preflight_only


def test_the_proxy_can_narrow_a_route_to_one_resource() -> None:
    """A request that means another one is out of bounds."""
    request = make_request("GET", "api.example.com/status", context={"extauthz.resource": "status.read"})
    assert RULESET.route(request).target.resource == "status"
    for other in ("order.read", "status", ""):
        refusal = refusal_of("GET", "/status", context={"extauthz.resource": other})
        assert refusal.reason is Reason.PROXY_OUT_OF_BOUNDS


def test_counts_read_well() -> None:
    """One is singular."""
    assert str(RULESET.counts) == "4 resources, 0 guards, 0 forbids, 0 permits"


def test_the_live_policy_is_exchanged_at_once() -> None:
    """Nothing at first, then what was put there."""
    live = LivePolicy()
    assert live.current is None
    live.replace(RULESET)
    assert live.current is RULESET


@pytest.mark.parametrize(
    ("options", "believed"),
    [
        ("", (False, False)),
        ("stale: refuse, signals: required,", (False, False)),
        ("stale: proceed,", (True, False)),
        ("signals: optional,", (False, True)),
    ],
)
def test_a_resource_says_what_it_believes_although_it_may_be_old(options: str, believed: tuple[bool, bool]) -> None:
    """Nothing unless it says so."""
    match = "match: {host: api.example.com, path: /old, methods: [GET]}"
    text = f"resources:\n  - {{name: old, action: read, {options} {match}}}\n"
    route = compile_text(text).route(make_request("GET", "api.example.com/old"))
    assert (route.stale_proceeds, route.signals_optional) == believed


@pytest.mark.parametrize("option", ["stale: allow", "stale: true", "signals: none"])
def test_what_it_believes_is_one_of_two_words(option: str) -> None:
    """A typing error must not open anything."""
    match = "match: {host: api.example.com, path: /old, methods: [GET]}"
    text = f"resources:\n  - {{name: old, action: read, {option}, {match}}}\n"
    with pytest.raises(PolicyError):
        compile_text(text)
