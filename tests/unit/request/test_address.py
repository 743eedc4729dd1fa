"""Tests of `extauthz/request/address.py`."""

from __future__ import annotations

import pytest

from extauthz.request.address import canonical_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:C000:0201", "192.0.2.1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("", ""),
        ("internal_listener", ""),
        ("192.0.2.256", ""),
        ("0300.0.2.1", ""),
        ("/run/envoy.sock", ""),
    ],
)
def test_one_spelling_per_address(text: str, address: str) -> None:
    """IPv4 in IPv6 is folded, IPv6 is shortened, and what is no address is unknown."""
    assert canonical_address(text) == address
