"""What the transport says about who asks → `Peer`, alike on every engine."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from extauthz.server.engine import Peer

if TYPE_CHECKING:
    from collections.abc import Iterable

TOKEN_METADATA: Final = "x-extauthz-proxy-token"  # noqa: S105 — the name of a metadata key
"""gRPC metadata key of the pre-shared token."""

_KNOWN_PLACES: Final = 1024
"""Addresses of callers whose reading is remembered. Each open connection has one; proxies open few."""


def peer_at(where: str, metadata: Iterable[tuple[str, str | bytes]], names: tuple[str, ...] = ()) -> Peer:
    """Return who asks.

    Args:
        where: the address in the notation of gRPC: `ipv4:192.0.2.1:4711`, `ipv6:[::1]:4711`, `unix:`. What is not
            understood is from elsewhere.
        metadata: of the call, in the order received.
        names: URI and DNS names of the client certificate that the handshake verified.
    """
    unix_socket, loopback = _place(where)
    tokens = tuple(value for key, value in metadata if key == TOKEN_METADATA and isinstance(value, str))
    return Peer(tokens=tokens, names=names, unix_socket=unix_socket, loopback=loopback)


@lru_cache(_KNOWN_PLACES)
def _place(where: str) -> tuple[bool, bool]:
    """Return whether the caller came over a Unix socket, and whether from a loopback address."""
    text = unquote(where)
    return text.startswith("unix:"), _is_loopback(text)


def _is_loopback(where: str) -> bool:
    family, _, rest = where.partition(":")
    if family not in {"ipv4", "ipv6"}:
        return False
    try:
        address = ipaddress.ip_address(rest.rpartition(":")[0].strip("[]").partition("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
