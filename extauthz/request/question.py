"""A CheckRequest read just far enough to tell whether the same thing was asked before.

A decision is a function of the question, of the facts behind the epochs, and of time (`pipeline.check`). So a question
that is equal in everything that can matter has the same answer. What this reading names, and what it leaves out:

1. Left out are the fields that `decode` does not read at all (stream id, time, size, scheme, protocol, ports, service,
   labels, metadata), and the values of `x-request-id` and `traceparent`, which only go to the record.
2. Header *names* are all named, in the order shown: which headers are removed on the way upstream depends on them.
3. Header *values* are named where something reads them: those in `VALUES_READ`, pseudo headers, and those that the
   policy declares as attributes. Any other value can only make the request malformed or too large, so it must be
   printable ASCII and short here; if it is not, the question has no name.
4. Credentials and bodies are named by a SHA-256 digest, so that no secret stays in memory because of a cache.
5. Whatever is unusual (undecodable, two header shapes, many or long headers, a large body) has no name: `None`. What
   cannot be named is not cached.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from google.protobuf.message import DecodeError

from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from extauthz.limits import MAX_CHECK_BYTES
from extauthz.request.correlation import request_id_from, trace_id_from

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extauthz.gen.envoy.service.auth.v3.attribute_context_pb2 import AttributeContext

VALUES_READ: Final = frozenset(
    {
        "access-control-request-method",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "host",
        "http2-settings",
        "origin",
        "upgrade",
        "x-envoy-auth-partial-body",
    }
)
"""Headers whose value something on the path of a request reads, besides credentials and declared attributes."""

_CREDENTIALS: Final = frozenset({"authorization", "proxy-authorization"})

_MOST_HEADERS: Final = 64
_MOST_TEXT: Final = 60_000
"""Characters of all header values together: below every bound of `request/headers.py`, so that a value which is left
out cannot have exceeded one."""

_LARGEST_BODY: Final = 8192
"""Bytes; a digest of more costs as much as deciding."""


class Question(NamedTuple):
    """A question by name.

    Attributes:
        name: equal for two questions exactly when nothing that can matter differs.
        request_id: for the record.
        trace_id: for the record.
    """

    name: tuple[object, ...]
    request_id: str
    trace_id: str


def read_question(raw: bytes, values_read: frozenset[str]) -> Question | None:
    """Return the question in a serialised `CheckRequest`, or None when it cannot be named; never raises.

    Args:
        raw: the message as received.
        values_read: lower-case names of further headers whose values policy reads.
    """
    if len(raw) > MAX_CHECK_BYTES:
        return None
    try:
        attributes = CheckRequest.FromString(raw).attributes
    except DecodeError:
        return None
    http = attributes.request.http
    if http.query or http.fragment or len(http.raw_body) > _LARGEST_BODY or len(http.body) > _LARGEST_BODY:
        return None
    shown = _read_shown(http)
    if shown is None:
        return None
    names, values = shown
    plan = _plan(names, values_read)
    body = http.raw_body or http.body.encode()
    return Question(
        (
            http.method,
            http.path,
            http.host,
            bool(http.header_map.headers),
            bool(http.body) and bool(http.raw_body),
            sha256(body).digest() if body else b"",
            names,
            tuple([values[at] for at in plan.read]),
            tuple([sha256(values[at]).digest() for at in plan.credentials]),
            _name_connection(attributes),
            tuple(sorted(attributes.context_extensions.items())) if attributes.context_extensions else (),
            attributes.request.HasField("http"),
        ),
        request_id_from(values[plan.request_id].decode()) if plan.request_id is not None else "",
        trace_id_from(values[plan.trace_parent].decode()) if plan.trace_parent is not None else "",
    )


def _read_shown(http: AttributeContext.HttpRequest) -> tuple[tuple[str, ...], Sequence[bytes]] | None:
    """Return names and values of the headers in the order shown, or None when a value must not be left out."""
    lines = http.header_map.headers
    values: Sequence[bytes]
    if not lines:
        names = tuple(http.headers)
        values = [value.encode() for value in http.headers.values()]
    elif http.headers:
        return None
    else:
        names, values, others = zip(*[(line.key, line.raw_value, line.value) for line in lines], strict=True)
        if any(others):
            return None
    text = b"".join(values)
    if len(names) > _MOST_HEADERS or len(text) > _MOST_TEXT or not (text.isascii() and text.decode().isprintable()):
        return None
    return names, values


class _Plan(NamedTuple):
    """Where in a sequence of headers the values stand that matter."""

    read: tuple[int, ...]
    credentials: tuple[int, ...]
    request_id: int | None
    trace_parent: int | None


@lru_cache(maxsize=2048)
def _plan(names: tuple[str, ...], values_read: frozenset[str]) -> _Plan:
    """Return the plan for headers of these names; clients of one kind send the same names time and again."""
    lower = [name.lower() for name in names]
    trace_parents = [at for at, name in enumerate(lower) if name == "traceparent"]
    return _Plan(
        tuple(at for at, name in enumerate(lower) if name in VALUES_READ or name in values_read or name[:1] == ":"),
        tuple(at for at, name in enumerate(lower) if name in _CREDENTIALS),
        lower.index("x-request-id") if "x-request-id" in lower else None,
        trace_parents[0] if len(trace_parents) == 1 else None,
    )


def _name_connection(attributes: AttributeContext) -> tuple[str, ...]:
    source = attributes.source
    return (
        source.address.socket_address.address,
        source.principal,
        source.certificate,
        attributes.tls_session.sni,
    )
