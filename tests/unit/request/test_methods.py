"""Tests of `extauthz/request/methods.py`: the table in its docstring, row by row."""

from __future__ import annotations

import pytest

from extauthz.model.reason import Reason
from extauthz.model.request import METHODS, Headers
from extauthz.request.methods import preflight_method_of, upgrade_of, verify_method
from tests.unit.request.refusals import reason_of


def _headers(**lines: str | tuple[str, ...]) -> Headers:
    """Return headers; underscores in names stand for hyphens, a tuple for several lines."""
    return Headers({n.replace("_", "-"): (v,) if isinstance(v, str) else v for n, v in lines.items()}, exact=True)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_known_methods_pass(method: str) -> None:
    """Each method that policy can speak about passes."""
    verify_method(method)


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ("", Reason.MALFORMED_REQUEST),
        ("get", Reason.MALFORMED_REQUEST),
        ("Delete", Reason.MALFORMED_REQUEST),
        ("TRACE", Reason.METHOD_NOT_ALLOWED),
        ("PROPFIND", Reason.METHOD_NOT_ALLOWED),
        ("FOO", Reason.METHOD_NOT_ALLOWED),
        ("GET ", Reason.METHOD_NOT_ALLOWED),
        ("G\u0415T", Reason.METHOD_NOT_ALLOWED),
        ("CONNECT", Reason.UPGRADE_NOT_ALLOWED),
    ],
)
def test_other_methods_are_refused(method: str, reason: Reason) -> None:
    """A method in another case, an unknown one and a tunnel each have their documented refusal."""
    assert reason_of(lambda: verify_method(method)) is reason


def test_extended_connect_passes() -> None:
    """CONNECT with a path and a protocol is a request of its own (RFC 8441)."""
    verify_method("CONNECT", tunnel=False)


@pytest.mark.parametrize(
    ("headers", "pseudo", "protocol"),
    [
        (_headers(), {}, ""),
        (_headers(connection="keep-alive, TE"), {}, ""),
        (_headers(connection="Upgrade", upgrade="WebSocket"), {}, "websocket"),
        (_headers(upgrade="websocket"), {}, "websocket"),
        (_headers(upgrade=("websocket", "WebSocket")), {}, "websocket"),
        (_headers(connection="Upgrade, HTTP2-Settings", upgrade="h2c", http2_settings="AAMA"), {}, "h2c"),
        (_headers(http2_settings="AAMA"), {}, "h2c"),
        (_headers(upgrade="TLS/1.0"), {}, "tls/1.0"),
        (_headers(), {":protocol": "WebSocket"}, "websocket"),
        (_headers(upgrade="websocket"), {":protocol": "websocket"}, "websocket"),
    ],
)
def test_upgrades_are_named(headers: Headers, pseudo: dict[str, str], protocol: str) -> None:
    """Every way of asking for another protocol is seen, and its name is lower case."""
    assert upgrade_of(headers, pseudo) == protocol


@pytest.mark.parametrize(
    ("headers", "pseudo"),
    [
        (_headers(connection="upgrade"), {}),
        (_headers(connection=("close", "keep-alive, UPGRADE")), {}),
        (_headers(upgrade=""), {}),
        (_headers(upgrade="websocket, h2c"), {}),
        (_headers(upgrade=("websocket", "h2c")), {}),
        (_headers(upgrade="websocket,"), {}),
        (_headers(upgrade="web socket"), {}),
        (_headers(upgrade="websocket", http2_settings="AAMA"), {}),
        (_headers(upgrade="websocket"), {":protocol": "connect-udp"}),
        (_headers(), {":protocol": ""}),
    ],
)
def test_upgrades_without_one_protocol_are_refused(headers: Headers, pseudo: dict[str, str]) -> None:
    """No protocol, several protocols, or something that is no protocol's name is refused."""
    assert reason_of(lambda: upgrade_of(headers, pseudo)) is Reason.MALFORMED_REQUEST


@pytest.mark.parametrize(
    ("method", "headers", "asked"),
    [
        ("OPTIONS", _headers(origin="https://a.example", access_control_request_method="DELETE"), "DELETE"),
        ("OPTIONS", _headers(origin="https://a.example"), ""),
        ("OPTIONS", _headers(access_control_request_method="DELETE"), ""),
        ("OPTIONS", _headers(), ""),
        ("GET", _headers(origin="https://a.example", access_control_request_method="DELETE"), ""),
    ],
)
def test_preflight_is_recognised(method: str, headers: Headers, asked: str) -> None:
    """Only OPTIONS with an origin and a method asked about is a preflight."""
    assert preflight_method_of(method, headers) == asked


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ("TRACE", Reason.METHOD_NOT_ALLOWED),
        ("FOO", Reason.METHOD_NOT_ALLOWED),
        ("patch", Reason.MALFORMED_REQUEST),
        ("", Reason.MALFORMED_REQUEST),
        ("CONNECT", Reason.UPGRADE_NOT_ALLOWED),
    ],
)
def test_preflight_for_other_methods_is_refused(asked: str, reason: Reason) -> None:
    """A preflight about a method that would be refused is refused in the same way."""
    headers = _headers(origin="https://a.example", access_control_request_method=asked)
    assert reason_of(lambda: preflight_method_of("OPTIONS", headers)) is reason
