"""Which addresses may be called. Whoever names a host (a document, a token, DNS) must not choose a target inside.

1. Never: unspecified, multicast, link-local and the addresses where clouds keep their metadata and credentials.
2. Not unless the operator named a network that holds them: everything else that is not public (RFC 6890), loopback
   included.
3. An IPv6 address that carries an IPv4 one is judged as both, since a gateway on the way may unpack it.

An address with a scope (`fe80::1%eth0`) is one of a link, and refused.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

METADATA: Final = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Azure, Google, DigitalOcean, OpenStack; link-local as well
        "169.254.170.2",  # AWS: credentials of ECS tasks
        "fd00:ec2::254",  # AWS over IPv6
        "fd20:ce::254",  # Google over IPv6
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure's host agent; a public address by its number
        "192.0.0.192",  # Oracle, formerly
    )
)
"""Where clouds answer whoever asks with credentials; refused whatever the operator's networks say."""

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""RFC 6052 section 2.1: the last 32 bits are an IPv4 address."""

_GLOBAL_IPV6: Final = (ipaddress.IPv6Network("2000::/3"), _NAT64)
"""All that IANA has given out as global unicast (RFC 4291 section 2.4), and NAT64 for IPv4 addresses that are public.
`ipaddress` takes every block for public that no registry of special ones lists, and its list is as old as Python."""

_SPECIAL_IPV6: Final = (ipaddress.IPv6Network("3fff::/20"),)
"""Within these, and not public: documentation (RFC 9637)."""

_TRANSLATED: Final = (_NAT64, ipaddress.IPv6Network("64:ff9b:1::/48"), ipaddress.IPv6Network("::ffff:0:0:0/96"))
"""The last 32 bits are an IPv4 address: NAT64 everywhere and of a network (RFC 8215), and SIIT (RFC 2765)."""

_IPV4_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")
"""RFC 4291 section 2.5.5.1, deprecated; holds `::` and `::1` too, which are judged by themselves."""


def refusal_of(text: str, networks: Sequence[Network] = ()) -> str:
    """Return why the address must not be called, for the operator; empty when it may be.

    Args:
        text: a numeric address.
        networks: whose addresses may be called although they are not public.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "not an address"
    if "%" in text:
        return "an address of one link"
    for each in _readings(address):
        if each in METADATA:
            return "a metadata address"
        if each.is_unspecified or each.is_multicast or each.is_link_local:
            return "an unspecified, multicast or link-local address"
        if not _is_public(each) and not any(each in network for network in networks if network.version == each.version):
            return "not a public address; name its network in egress.private_networks"
    return ""


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global
    return (
        address.is_global
        and any(address in block for block in _GLOBAL_IPV6)
        and not any(address in block for block in _SPECIAL_IPV6)
    )


def _readings(address: Address) -> Iterator[Address]:
    """Yield the address, and the IPv4 address that it carries; a mapped one is nothing but the latter."""
    if isinstance(address, ipaddress.IPv4Address):
        yield address
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
        return
    yield address
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    low = int(address) & 0xFFFFFFFF
    if any(address in block for block in _TRANSLATED) or (address in _IPV4_COMPATIBLE and low > 1):
        yield ipaddress.IPv4Address(low)
