"""Tests of `extauthz/request/host.py`."""

from __future__ import annotations

import pytest

from extauthz.model.reason import Reason
from extauthz.request.host import canonical_host
from tests.unit.request.refusals import refusal_of


@pytest.mark.parametrize(
    ("raw", "host"),
    [
        ("api.example", "api.example"),
        ("API.EXAMPLE:443", "api.example"),
        ("api.example.", "api.example"),
        ("api.example.:80", "api.example"),
        ("api.example:80", "api.example"),
        ("api.example:8443", "api.example:8443"),
        ("api.example:65535", "api.example:65535"),
        ("localhost", "localhost"),
        ("my_service:8080", "my_service:8080"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("1password.example", "1password.example"),
        ("a.1b", "a.1b"),
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:8080", "192.0.2.1:8080"),
        ("[2001:DB8:0::1]", "[2001:db8::1]"),
        ("[::1]:443", "[::1]"),
        ("[::1]:8443", "[::1]:8443"),
    ],
)
def test_one_spelling_per_host(raw: str, host: str) -> None:
    """Case, default ports, one trailing dot and spellings of IPv6 do not make another host; other ports do."""
    assert canonical_host(raw) == host
    assert canonical_host(host) == host


REFUSED = {
    "empty": "",
    "only a dot": ".",
    "only a port": ":443",
    "user information": "api.example@evil",
    "user and password": "user:pw@api.example",
    "two trailing dots": "api.example..",
    "leading dot": ".api.example",
    "empty label": "api..example",
    "leading hyphen": "-api.example",
    "trailing hyphen": "api-.example",
    "long label": "a" * 64 + ".example",
    "long name": ".".join(["a" * 60] * 5),
    "far too long": "a." * 500,
    "U-label": "bücher.example",
    "kelvin sign": "\u212aubernetes.example",
    "fullwidth dot": "api．example",  # noqa: RUF001 — the trap itself
    "percent": "api%2eexample",
    "space": "api example",
    "trailing space": "api.example ",
    "tab": "api.example\t",
    "line break": "api.example\n",
    "NUL": "api.example\x00",
    "slash": "api.example/x",
    "backslash": "api.example\\x",
    "two hosts": "api.example,other.example",
    "wildcard": "*.example",
    "empty port": "api.example:",
    "port zero": "api.example:0",
    "port with leading zero": "api.example:0443",
    "port too large": "api.example:65536",
    "port of letters": "api.example:https",
    "two ports": "api.example:443:443",
    "port in other digits": "api.example:\u0664\u0664\u0663",
    "short IPv4": "127.1",
    "decimal IPv4": "2130706433",
    "octal IPv4": "0177.0.0.1",
    "hexadecimal IPv4": "0x7f.0.0.0x1",
    "IPv4 out of range": "256.0.0.1",
    "bare IPv6": "::1",
    "IPv6 without end": "[::1",
    "IPv6 and text": "[::1]x",
    "IPv6 zone": "[fe80::1%25eth0]",
    "IPv6 zone, raw": "[fe80::1%eth0]",
    "no IPv6": "[api.example]",
    "empty IPv6": "[]",
    "IPv6 empty port": "[::1]:",
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED.keys())
def test_refuses_what_is_no_host(raw: str) -> None:
    """Each is a `malformed_request` with a sentence that says what a host is."""
    refusal = refusal_of(lambda: canonical_host(raw))
    assert refusal.reason is Reason.MALFORMED_REQUEST
    assert "one DNS name or IP address" in refusal.detail
