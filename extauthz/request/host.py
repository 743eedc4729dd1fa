"""One spelling per host, so that a rule about `api.example` sees `API.EXAMPLE:443` and `api.example.` as the same.

Both default ports are dropped whatever the scheme, because the scheme of an HTTP/2 request is the client's own claim; a
port other than 80 and 443 stays part of the name, so `api.example:8443` matches only where it is named.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final

from extauthz.errors import Refusal
from extauthz.limits import MAX_HOST_BYTES
from extauthz.model.reason import Reason

_DEFAULT_PORTS: Final = frozenset({"80", "443"})
_MAX_PORT: Final = 65535
_LONGEST: Final = MAX_HOST_BYTES + len(".:65535")

_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
_LABELS: Final = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
"""Labels of RFC 1123 section 2.1, and `_`, which names of containers and services hold. Internationalised names must
come as A-labels (RFC 5890 section 2.3.2.1); U-labels are not ASCII and so refused."""

_NUMERIC: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""A last label that makes URL parsers read the whole name as an IPv4 address, however spelled (`127.1`; WHATWG URL)."""

_DETAIL: Final = (
    "The host must be one DNS name or IP address with an optional port; "
    "write international names as A-labels, and no user information."
)


def canonical_host(raw: str) -> str:
    """Return a host in lower case, without default port and without trailing dot: `name`, `name:port`, `[v6]:port`.

    Args:
        raw: `:authority` or `host` as received.

    Raises:
        Refusal: it is empty, or not a host (RFC 9110 section 7.2): user information, several hosts, an IPv4 address in
            an unusual spelling, an IPv6 zone, an empty or impossible port, a name that DNS does not allow.
    """
    if len(raw) > _LONGEST:
        # No host is that long; the check stands here to keep such texts out of the cache.
        raise _refusal()
    return _canonical(raw)


@lru_cache(maxsize=1024)
def _canonical(raw: str) -> str:
    if not raw.isascii():
        raise _refusal()
    text = raw.lower()
    if text.startswith("["):
        inner, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise _refusal()
        name, colon, port = _canonical_v6(inner), rest[:1], rest[1:]
    else:
        name, colon, port = text.partition(":")
        name = _canonical_name(name)
    if not colon:
        return name
    if _PORT.fullmatch(port) is None or int(port) > _MAX_PORT:
        raise _refusal()
    return name if port in _DEFAULT_PORTS else f"{name}:{port}"


def _canonical_name(text: str) -> str:
    name = text.removesuffix(".")
    if len(name) > MAX_HOST_BYTES or _LABELS.fullmatch(name) is None:
        raise _refusal()
    if _NUMERIC.fullmatch(name.rpartition(".")[2]):
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise _refusal() from None
    return name


def _canonical_v6(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise _refusal() from None
    if address.scope_id is not None:
        raise _refusal()
    return f"[{address}]"


def _refusal() -> Refusal:
    return Refusal(Reason.MALFORMED_REQUEST, _DETAIL, inner="host")
