"""One spelling per IP address, so that a rule about a network sees the same caller however the socket was opened."""

from __future__ import annotations

import ipaddress
from functools import lru_cache


@lru_cache(maxsize=1024)
def canonical_address(text: str) -> str:
    """Return an IP address in its shortest text form, IPv4-mapped IPv6 folded to IPv4, scope dropped.

    A dual-stack listener reports `::ffff:192.0.2.1` for a caller that an IPv4 listener reports as `192.0.2.1`. Text
    that is no IP address (Envoy's internal listeners have names) gives `""`: an unknown address, which meets no rule.
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)
