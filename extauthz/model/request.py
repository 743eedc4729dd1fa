"""What was asked, after normalisation: one reading, or none at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

from extauthz.model.wide import wide

if TYPE_CHECKING:
    from collections.abc import Mapping

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""The methods that a resource can declare; every other one is refused before policy is asked."""


class BodyState(Enum):
    """How much of the request body Envoy handed over."""

    ABSENT = "absent"
    """None: buffering is off, the body is empty, or the request is an upgrade. The three look the same from here."""
    PARTIAL = "partial"
    """Cut at `max_request_bytes`: unknown, not short (`x-envoy-auth-partial-body: true`)."""
    COMPLETE = "complete"
    """All of it."""


@dataclass(frozen=True, slots=True)
class Body:
    """The body as Envoy handed it over, unread."""

    state: BodyState = BodyState.ABSENT
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class Headers:
    """Request headers by lower-case name, pseudo headers left out.

    Attributes:
        lines: name → values, one per line where Envoy showed lines (`encode_raw_headers`), else one merged value.
        exact: whether `lines` shows the lines as they were sent. When False, a value may be several lines that Envoy
            joined with a comma.
        complete: whether `lines` names every header that the request has. When False, Envoy may hide some from us.
    """

    lines: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    exact: bool = False
    complete: bool = False

    def first(self, name: str) -> str | None:
        """Return the first value of `name` (lower case), or None. Only for values that decide nothing."""
        values = self.lines.get(name)
        return values[0] if values else None

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value of `name` (lower case)."""
        return self.lines.get(name, ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The connection Envoy accepted, by Envoy's own account.

    Attributes:
        address: remote IP address of the connection, IPv4-mapped IPv6 folded to IPv4; empty when unknown. Not the
            `x-forwarded-for` client.
        principal: Envoy's short form of the peer certificate (first URI SAN, else DNS SAN, else subject). Possibly of
            an unvalidated certificate, so a hint only.
        certificate: URL-encoded PEM of the peer certificate as Envoy sends it; empty when not included.
        sni: server name of the TLS session; empty when not included.
    """

    address: str = ""
    principal: str = ""
    certificate: str = ""
    sni: str = ""


@wide
@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request in its only reading.

    Attributes:
        method: upper case, one of the methods we know.
        host: lower case, without default port, without trailing dot; `name` or `name:port`.
        path: canonical path without query, as the upstream will see it: starts with `/`, percent-encoding minimal and
            upper case, no dot segments, no empty segments except a trailing one.
        segments: the decoded segments of `path`; `("",)` for `/`. A trailing slash gives a last empty segment.
        query: decoded pairs in the order sent.
        headers: every header line; hop-by-hop ones included.
        body: unread.
        upgrade: lower-case protocol asked for (`websocket`, `h2c`, …), else empty.
        preflight_method: the method a CORS preflight asks about, else empty.
        source: the connection.
        context: `context_extensions` of the route in Envoy; clients cannot set them.
        request_id: `x-request-id`, for correlation only.
        trace_id: 32 hex digits of `traceparent`, for correlation only.
    """

    method: str
    host: str
    path: str
    segments: tuple[str, ...]
    query: tuple[tuple[str, str], ...] = ()
    headers: Headers = field(default_factory=Headers)
    body: Body = field(default_factory=Body)
    upgrade: str = ""
    preflight_method: str = ""
    source: Source = field(default_factory=Source)
    context: Mapping[str, str] = field(default_factory=dict)
    request_id: str = ""
    trace_id: str = ""
