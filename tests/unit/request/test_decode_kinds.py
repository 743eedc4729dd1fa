"""Tests of `extauthz/request/decode.py`: hosts, methods, upgrades and bodies, from the question on."""

from __future__ import annotations

from functools import partial

import pytest

from extauthz.model.reason import Reason
from extauthz.model.request import Body, BodyState
from extauthz.request.decode import decode
from tests.simulators.envoy_messages import check_request
from tests.unit.request.refusals import reason_of, refusal_of

SHAPES = pytest.mark.parametrize("raw_headers", [False, True], ids=["headers", "header_map"])


@pytest.mark.parametrize(
    ("host", "canonical"),
    [("API.EXAMPLE:443", "api.example"), ("api.example.", "api.example"), ("api.example:8443", "api.example:8443")],
)
def test_hosts(host: str, canonical: str) -> None:
    """Case, default port and trailing dot fall away, another port stays."""
    assert decode(check_request(host=host)).host == canonical


@pytest.mark.parametrize("host", ["api.example@evil", ""])
def test_bad_hosts_are_refused(host: str) -> None:
    """User information and an empty host are refused."""
    assert refusal_of(lambda: decode(check_request(host=host))).inner == "host"


@SHAPES
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_method_override_is_refused(method: str, raw_headers: bool) -> None:
    """A request that asks the upstream to see DELETE is not decided as another method."""
    for headers, path in (({"x-http-method-override": "DELETE"}, "/"), ({}, "/?_method=DELETE")):
        raw = check_request(method, path, headers=headers, raw_headers=raw_headers)
        assert reason_of(partial(decode, raw)) is Reason.MALFORMED_REQUEST


@pytest.mark.parametrize(
    ("method", "reason"),
    [("get", Reason.MALFORMED_REQUEST), ("FOO", Reason.METHOD_NOT_ALLOWED), ("TRACE", Reason.METHOD_NOT_ALLOWED)],
)
def test_unknown_methods_are_refused(method: str, reason: Reason) -> None:
    """Methods in lower case, unknown ones and TRACE have their documented answers."""
    assert reason_of(lambda: decode(check_request(method))) is reason


def test_head_stays_head() -> None:
    """HEAD is not turned into GET here; policy decides what it is allowed like."""
    assert decode(check_request("HEAD")).method == "HEAD"


def test_options_with_a_path_is_a_method_and_a_preflight_is_seen() -> None:
    """A preflight is an OPTIONS request that says which method it asks about."""
    assert decode(check_request("OPTIONS")).preflight_method == ""
    headers = {"origin": "https://a.example", "access-control-request-method": "PUT"}
    assert decode(check_request("OPTIONS", headers=headers)).preflight_method == "PUT"


def test_options_asterisk_is_refused() -> None:
    """`OPTIONS *` is about no resource."""
    assert reason_of(lambda: decode(check_request("OPTIONS", "*"))) is Reason.MALFORMED_REQUEST


@pytest.mark.parametrize(
    ("path", "pseudo"),
    [
        ("", {":authority": "db.internal:5432", ":method": "CONNECT"}),
        ("/", {":authority": "db.internal:5432", ":method": "CONNECT"}),
        ("", {":authority": "db.internal:5432", ":method": "CONNECT", ":protocol": "connect-udp"}),
    ],
)
def test_connect_tunnels_are_refused(path: str, pseudo: dict[str, str]) -> None:
    """CONNECT without a path or without a protocol is a tunnel."""
    raw = check_request("CONNECT", path, "db.internal:5432", pseudo=pseudo)
    assert reason_of(lambda: decode(raw)) is Reason.UPGRADE_NOT_ALLOWED


def test_extended_connect_is_an_upgrade() -> None:
    """CONNECT with path and `:protocol` is a request that carries its upgrade."""
    pseudo = {":method": "CONNECT", ":protocol": "websocket", ":path": "/chat"}
    request = decode(check_request("CONNECT", "/chat", pseudo=pseudo))
    assert (request.method, request.path, request.upgrade) == ("CONNECT", "/chat", "websocket")


@SHAPES
def test_an_upgrade_shows_although_its_body_does_not(raw_headers: bool) -> None:
    """A POST with `Upgrade: websocket` comes without body; it is an upgrade with an absent body."""
    headers = {"connection": "Upgrade", "upgrade": "websocket", "content-length": "17"}
    request = decode(check_request("POST", headers=headers, raw_headers=raw_headers))
    assert (request.upgrade, request.body) == ("websocket", Body())


@SHAPES
@pytest.mark.parametrize(
    ("partial", "state"), [(True, BodyState.PARTIAL), (False, BodyState.COMPLETE), (None, BodyState.COMPLETE)]
)
def test_body_states(partial: bool | None, state: BodyState, raw_headers: bool) -> None:
    """A partial body is never complete, whichever field and header shape carry it."""
    for fields in ({"body": "{}"}, {"raw_body": b"{}"}):
        raw = check_request("POST", raw_headers=raw_headers, partial=partial, **fields)
        assert decode(raw).body == Body(state, b"{}")


def test_no_body_is_absent() -> None:
    """Without buffering there is neither body nor header."""
    assert decode(check_request("POST")).body.state is BodyState.ABSENT
