"""The URI of a request as a DPoP proof names it (`htu`), in a form that can be compared (RFC 9449 section 4.3 check 9).

Two URIs are the same when they are equal after the normalisation of RFC 3986 sections 6.2.2 and 6.2.3:

1. scheme and host in lower case, the default port of the scheme left out, an empty path read as `/`;
2. octets percent-decoded, then dot segments removed, in this order, so that `%2E%2E` is a dot segment;
3. query and fragment left out, as section 4.3 says.

The path is compared segment by segment *after* decoding, as everything else here reads paths: an encoded slash is part
of a segment and never equal to one that separates. A request's own segments are canonical (`request/path.py`), so only
the client's text needs this reading. What is not an http(s) URI, or names a user, is no `htu`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

_URI: Final = re.compile(
    r"(?P<scheme>[Hh][Tt][Tt][Pp][Ss]?)://"
    r"(?P<host>\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9._-]++)(?::(?P<port>[1-9][0-9]{0,4})?)?"
    r"(?P<path>(?:/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})*+)*+)"
    r"(?:\?[^#]*+)?(?:#.*+)?",
    re.DOTALL,
)
"""`http-URI` of RFC 9110 section 4.2 with an ASCII host name or an address literal."""

_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}


class Origin(NamedTuple):
    """Scheme, host and port of a URI, normalised.

    Attributes:
        scheme: `http` or `https`.
        host: lower case; an IPv6 address in brackets.
        port: empty for the scheme's default.
    """

    scheme: str
    host: str
    port: str

    def __str__(self) -> str:
        """Return for example `https://api.example.com`."""
        return f"{self.scheme}://{self.host}" + (f":{self.port}" if self.port else "")


class TargetUri(NamedTuple):
    """What `htu` names; equal to another one exactly when both mean the same.

    Attributes:
        origin: where.
        segments: decoded octets of the path's segments; `(b"",)` for `/`.
    """

    origin: Origin
    segments: tuple[bytes, ...]


def parse_origin(text: str) -> Origin:
    """Return a configured origin.

    Raises:
        ValueError: it is no http(s) origin.
    """
    uri = parse_uri(text)
    if uri is None or uri.segments != (b"",):
        message = "not an origin such as https://api.example.com"
        raise ValueError(message)
    return uri.origin


def uri_of(origin: Origin, segments: Iterable[str]) -> TargetUri:
    """Return the URI of a request.

    Args:
        origin: the public origin, as the operator configured it.
        segments: decoded segments of the canonical path.
    """
    return TargetUri(origin, tuple(segment.encode() for segment in segments))


def parse_uri(unverified_text: str) -> TargetUri | None:
    """Return the URI that a text spells; None when it is no absolute http(s) URI without user information."""
    match = _URI.fullmatch(unverified_text)
    if match is None:
        return None
    scheme = match["scheme"].lower()
    port = match["port"] or ""
    origin = Origin(scheme, match["host"].lower(), "" if port == _DEFAULT_PORTS[scheme] else port)
    return TargetUri(origin, _segments(match["path"]))


def _segments(path: str) -> tuple[bytes, ...]:
    """Return the decoded segments without dot segments (RFC 3986 section 5.2.4)."""
    kept: list[bytes] = []
    segments = [unquote_to_bytes(segment) for segment in path.split("/")[1:]] or [b""]
    for segment in segments:
        if segment == b"..":
            del kept[-1:]
        elif segment != b".":
            kept.append(segment)
    if segments[-1] in (b".", b".."):
        kept.append(b"")
    return tuple(kept)
