"""Which addresses may be called: public ones, what the operator named, and never where a cloud keeps its secrets."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extauthz.server.addresses import METADATA, refusal_of

EVERYTHING = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
TEN = (ipaddress.ip_network("10.0.0.0/8"),)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8"]
)
def test_public_addresses_may_be_called(address: str) -> None:
    """Without a word of the operator's."""
    assert refusal_of(address) == ""


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.255.254", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "240.0.0.1"),
        *("192.0.2.1", "255.255.255.255", "198.18.0.1", "::1", "fd00::1", "fc00::1", "2001:db8::1", "fec0::1"),
        *("::ffff:127.0.0.1", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "2002:0a01:0203::1", "::10.1.2.3"),
        *("64:ff9b:1::10.1.2.3", "64:ff9b:1::8.8.8.8", "::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8", "3fff::1", "5f00::1"),
        *("400::1", "4000::1", "e000::1", "100:0:0:1::1"),
    ],
)
def test_what_is_not_public_needs_the_operators_word(address: str) -> None:
    """Also when it is wrapped into an IPv6 address. The refusal names the setting."""
    assert "egress.private_networks" in refusal_of(address)
    assert refusal_of(address, EVERYTHING) == ""


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "::", "224.0.0.1", "ff02::1", "169.254.0.1", "fe80::1", "fe80::1%eth0", "::ffff:0.0.0.0"),  # noqa: S104 — spellings to be refused
        *("169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::169.254.169.254", "2002:a9fe:a9fe::1"),
        *(
            "2001:0:a9fe:a9fe::1",
            "::169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "100.100.100.200",
            "168.63.129.16",
            "fd00:ec2::254",
            "fd20:ce::254",
            "192.0.0.192",
        ),
        *("", "localhost", "2130706433", "0x7f.1", "127.1", "8.8.8.8/32", "fd00::1%eth0"),
    ],
)
def test_some_are_refused_whatever_the_operator_says(address: str) -> None:
    """Link-local, multicast, unspecified, metadata, and what is no address in its only spelling."""
    assert refusal_of(address, EVERYTHING)


def test_a_network_allows_its_own_addresses_only() -> None:
    """Neither those beside it nor those of the other version."""
    assert refusal_of("10.255.0.1", TEN) == ""
    assert refusal_of("::ffff:10.0.0.1", TEN) == ""
    assert refusal_of("11.0.0.1", ()) == ""
    assert refusal_of("192.168.0.1", TEN)
    assert refusal_of("fd00::a00:1", TEN)


@given(st.integers(0, 2**32 - 1))
def test_wrapping_never_helps(number: int) -> None:
    """An IPv4 address that is refused is refused in every IPv6 address that carries it."""
    plain = ipaddress.IPv4Address(number)
    wrapped = [f"::ffff:{plain}", f"64:ff9b::{plain}", str(ipaddress.IPv6Address((0x2002 << 112) | (number << 80) | 1))]
    if refusal_of(str(plain), TEN):
        assert all(refusal_of(each, TEN) for each in wrapped)


def test_every_metadata_address_is_listed_in_its_only_spelling() -> None:
    """So that it is found however DNS writes it."""
    assert all(refusal_of(address.exploded, EVERYTHING) == "a metadata address" for address in METADATA)
