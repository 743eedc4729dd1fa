"""A CheckRequest read just far enough to tell whether the same thing was asked before.

A decision is a function of the question, of the facts behind the epochs, and of time (`pipeline.check`). So a question
that is equal in everything that can matter has the same answer. What this reading names, and what it leaves out:

1. Left out are the fields that `decode` does not read at all (stream id, time, size, scheme, protocol, ports, service,
   labels, metadata), and the values of `x-request-id` and `traceparent`, which only go to the record.
2. Header *names* are all named: which headers are removed on the way upstream depends on them. They are named in one
   order, since merged headers come from a map, which shows the same headers now in this order and now in another.
   Lines of one name stay in the order shown.
3. Header *values* are named where something reads them: those in `VALUES_READ`, pseudo headers, and those that the
   policy declares as attributes. Any other value can only make the request malformed or too large, so it must be
   printable ASCII and short here; if it is not, the question has no name.
4. Credentials, bodies, certificates and targets with a query are named by a SHA-256 digest, so that no secret stays in
   memory because of a cache.
5. Whatever is unusual (undecodable, two header shapes, many or long headers, a large body, a target that the
   headers contradict) has no name: `None`. What cannot be named is not cached. Nor has a question with a DPoP proof,
   which is good for one request only.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import Final, NamedTuple

from extauthz.errors import Refusal
from extauthz.model.carriers import API_KEY_HEADERS
from extauthz.request.correlation import request_id_from, trace_id_from
from extauthz.request.message import Message, parse, read_message

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

_CREDENTIALS: Final = frozenset(
    {"authorization", "proxy-authorization", "txn-token", "x-forwarded-client-cert", *API_KEY_HEADERS}
)

_GOOD_ONCE: Final = "dpop"

_MOST_HEADERS: Final = 64
_LARGEST: Final = 16 * 1024
"""Bytes of a question that is named. It keeps header values below every bound of `request/headers.py`, so that a value
which is left out cannot have exceeded one. A digest of a larger body would cost as much as deciding."""

_HEAVIEST: Final = 4096
"""Characters of a name; it bounds what one kept decision can weigh."""


class _Ids(NamedTuple):
    """Where request id and trace stand; None where there is none, or more than one trace."""

    request_id: int | None
    trace_parent: int | None


class Question(NamedTuple):
    """A question by name.

    Attributes:
        name: equal for two questions exactly when nothing that can matter differs.
        message: what was read, for whoever has to decide the question.
        ids: where among the header values those stand that only go to the record.
    """

    name: tuple[object, ...]
    message: Message
    ids: _Ids

    @property
    def request_id(self) -> str:
        """Return the request id, for the record."""
        at = self.ids.request_id
        return request_id_from(self.message.values[at]) if at is not None else ""

    @property
    def trace_id(self) -> str:
        """Return the trace id, for the record."""
        at = self.ids.trace_parent
        return trace_id_from(self.message.values[at]) if at is not None else ""


def read_question(raw: bytes, values_read: frozenset[str]) -> Question | None:
    """Return the question in a serialised `CheckRequest`, or None when it cannot be named; never raises.

    Args:
        raw: the message as received.
        values_read: lower-case names of further headers whose values policy reads.
    """
    if len(raw) > _LARGEST:
        return None
    try:
        message = read_message(raw)
    except Refusal:
        return None
    values = message.values
    if not message.plain or len(values) > _MOST_HEADERS or message.beside_path:
        return None
    plan = _plan(message.names, values_read)
    target = message.path
    if plan.good_once or [at for at in plan.target if values[at] != target]:
        return None
    name = (
        message.method,
        _digest_of(target) if "?" in target else target,
        message.host,
        plan.names,
        tuple([values[at] for at in plan.read]),
        tuple([sha256(values[at].encode()).digest() for at in plan.credentials]),
        _name_body(message) if message.raw_body or message.body else (),
        message.address,
        message.principal,
        _digest_of(message.certificate) if message.certificate else b"",
        message.sni,
        tuple(sorted(message.context.items())) if message.context else (),
        message.has_http,
        message.exact,
    )
    if len(raw) > _HEAVIEST and _weight(name) > _HEAVIEST:
        return None
    return Question(name, message, plan.ids)


def has_stream_id(raw: bytes) -> bool:
    """Return whether a `CheckRequest` says which of the proxy's requests it is about; never raises."""
    try:
        return bool(parse(raw).request.http.id)
    except Refusal:
        return False


def _name_body(message: Message) -> tuple[bytes, ...]:
    """Return digests of the body in either form."""
    return (sha256(message.raw_body).digest(), _digest_of(message.body))


def _digest_of(text: str) -> bytes:
    """Return what names a text that is not to be kept; empty for none."""
    return sha256(text.encode()).digest() if text else b""


def _weight(part: object) -> int:
    """Return how many characters stand in a part of a name."""
    if isinstance(part, tuple):
        return sum(map(_weight, part))
    return len(part) if isinstance(part, (str, bytes)) else 0


class _Plan(NamedTuple):
    """The names of headers in the order of the question's name, and where among those shown the values stand."""

    names: tuple[str, ...]
    target: tuple[int, ...]
    read: tuple[int, ...]
    credentials: tuple[int, ...]
    ids: _Ids
    good_once: bool


@lru_cache(maxsize=512)
def _plan(names: tuple[str, ...], values_read: frozenset[str]) -> _Plan:
    """Return the plan for headers of these names; clients of one kind send the same names time and again."""
    lower = [name.lower() for name in names]
    order = sorted(range(len(names)), key=lower.__getitem__)
    valued = VALUES_READ | values_read
    trace_parents = [at for at, name in enumerate(lower) if name == "traceparent"]
    return _Plan(
        tuple(names[at] for at in order),
        tuple(at for at in order if lower[at] == ":path"),
        tuple(at for at in order if lower[at] != ":path" and (lower[at] in valued or lower[at][:1] == ":")),
        tuple(at for at in order if lower[at] in _CREDENTIALS),
        _Ids(
            lower.index("x-request-id") if "x-request-id" in lower else None,
            trace_parents[0] if len(trace_parents) == 1 else None,
        ),
        _GOOD_ONCE in lower,
    )
