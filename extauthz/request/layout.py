"""How a message is laid out, and what is read of another one by that. Part of `sketch.py`, which says why it may be."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import sha256
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from extauthz.limits import MAX_REQUEST_ID_CHARACTERS
from extauthz.request.correlation import trace_id_from

if TYPE_CHECKING:
    from collections.abc import Callable

    _Pick = Callable[[bytes], tuple[bytes, ...]]

PASSING: Final = frozenset(
    {
        "traceparent",
        "x-amzn-trace-id",
        "x-b3-parentspanid",
        "x-b3-spanid",
        "x-b3-traceid",
        "x-cloud-trace-context",
        "x-datadog-parent-id",
        "x-datadog-trace-id",
        "x-request-id",
    }
)
"""Headers whose value is another in each request, and which nothing on the path of a request reads."""

LARGEST: Final = 16 * 1024
"""Bytes of a question that is sketched, as many as of one that is named; so every length prefix is one or two bytes."""

# Tags of fields, by message (field number << 3 | wire type).
_ATTRIBUTES = _SOURCE = _TIME = _ID = _ADDRESS = _SOCKET = _LINE = _KEY = 0x0A
_DESTINATION = _HTTP = _HOST = 0x12
_PORT = 0x18
_RAW_VALUE = 0x1A
_REQUEST = 0x22
_SIZE = 0x48
_HEADER_MAP = 0x6A
_TEXTS: Final = frozenset({0x12, 0x22, 0x2A, 0x32, 0x52})
"""Of `HttpRequest`: method, path, host, scheme, protocol."""
_PEER: Final = frozenset({0x12, 0x22, 0x2A})
"""Of `Peer`, behind the address: service, principal, certificate."""
_TAILS: Final = frozenset({0x52, 0x5A, 0x62, 0x6A})
"""Of `AttributeContext`: context extensions, metadata, TLS session, route metadata."""

_VARINT: Final = rb"([\x80-\xff]{0,%d}[\x00-\x7f])"
_TIMESTAMP: Final = re.compile(rb"(?:\x08%s)?(?:\x10%s)?" % (_VARINT % 8, _VARINT % 4))
_PORT_NUMBER: Final = re.compile(rb"(?:\x18%s)?" % (_VARINT % 4))
_LONG_VARINT: Final = re.compile(_VARINT % 8)

_Span = tuple[int, int]
"""Where something starts and stops."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything stands in a question of one length. Two are equal if they read every question alike.

    Attributes:
        frame: the bytes in front of the HTTP request's other fields, as a number: tags and lengths as they must be, and
            of the port's and the time's numbers how long they are, which the highest bits of their bytes say.
        mask: the bits of those bytes that count.
        sizes: what the digest says of how its parts are cut.
        request_id: where it stands in what is shown; an empty slice for none.
        trace_parent: where that does.
        pick_frame: takes the bytes of `frame` out of a message.
        pick_kept: takes the parts of the digest.
        pick_shown: takes the stream id and the values of passing headers.
    """

    frame: int
    mask: int
    sizes: bytes
    request_id: slice
    trace_parent: slice
    pick_frame: _Pick = field(compare=False)
    pick_kept: _Pick = field(compare=False)
    pick_shown: _Pick = field(compare=False)

    def read(self, raw: bytes) -> tuple[bytes, str] | None:
        """Return the digest of a question of this length and what it shows; None when it is laid out otherwise."""
        if int.from_bytes(b"".join(self.pick_frame(raw)), "big") & self.mask != self.frame:
            return None
        shown = b"".join(self.pick_shown(raw))
        if not shown.isascii():
            return None
        text = shown.decode()
        if not text.isprintable() or " " in text:
            return None
        return sha256(b"".join((self.sizes, *self.pick_kept(raw)))).digest(), text

    def ids(self, shown: str) -> tuple[str, str]:
        """Return request id and trace id, for the record, out of what a question shows."""
        return shown[self.request_id], trace_id_from(shown[self.trace_parent])


def learn_layout(raw: bytes, passing: frozenset[str]) -> Layout | None:
    """Return how a message is laid out that is framed as proxies do, or None.

    Args:
        raw: the message.
        passing: names of headers whose values are cut out.
    """
    if len(raw) > LARGEST:
        return None
    try:
        attributes, end = _field(raw, 0, _ATTRIBUTES)
        source, source_stop = _field(raw, attributes, _SOURCE)
        address, address_stop = _field(raw, source, _ADDRESS)
        socket, socket_stop = _field(raw, address, _SOCKET)
        _, port = _field(raw, socket, _HOST)
        destination_stop = source_stop
        if raw[source_stop] == _DESTINATION:
            _, destination_stop = _field(raw, source_stop, _DESTINATION)
        request, request_stop = _field(raw, destination_stop, _REQUEST)
        time, time_stop = _field(raw, request, _TIME) if raw[request] == _TIME else (request, request)
        http, http_stop = _field(raw, time_stop, _HTTP)
        stream, rest = _field(raw, http, _ID)
        cuts = _find_passing(raw, rest, http_stop, passing)
        numbers = _numbers(_PORT_NUMBER, raw, port, socket_stop) + _numbers(_TIMESTAMP, raw, time, time_stop)
    except (IndexError, ValueError):
        return None
    if not (socket_stop == address_stop <= source_stop and rest <= http_stop == request_stop <= end == len(raw)):
        return None
    if not _is_plain(raw[address_stop:source_stop], _PEER) or not _is_plain(raw[request_stop:], _TAILS):
        return None
    edges = [rest, *(edge for cut in cuts.values() for edge in cut), end]
    kept = [(socket, port), (address_stop, destination_stop), *zip(edges[::2], edges[1::2], strict=True)]
    shown = {**cuts, "": (stream, rest)}  # The stream id last: where the others stand does not depend on its length.
    places = _place_of("x-request-id", shown, MAX_REQUEST_ID_CHARACTERS), _place_of("traceparent", shown, LARGEST)
    sizes = (port - socket, source_stop - address_stop, destination_stop - source_stop)
    pick_frame = _picker((0, socket), (port, socket_stop), (destination_stop, stream))
    mask = int.from_bytes(b"".join(pick_frame(_mask(raw, numbers))), "big")
    return Layout(
        frame=int.from_bytes(b"".join(pick_frame(raw)), "big") & mask,
        mask=mask,
        sizes=repr((sizes, [edge - rest for edge in edges], end - request_stop, places)).encode(),
        request_id=places[0],
        trace_parent=places[1],
        pick_frame=pick_frame,
        pick_kept=_picker(*kept),
        pick_shown=_picker(*shown.values(), (0, 0)),  # There may be no more than the stream id.
    )


def _numbers(shape: re.Pattern[bytes], raw: bytes, start: int, stop: int) -> list[_Span]:
    """Return where the numbers of a message that is nothing but numbers stand.

    Raises:
        ValueError: it is something else.
    """
    match = shape.fullmatch(raw, start, stop)
    if match is None:
        raise ValueError
    return [match.span(number) for number in range(1, shape.groups + 1) if match[number] is not None]


def _mask(raw: bytes, numbers: list[_Span]) -> bytes:
    """Return all bits of a message, save that of numbers only those which say how long they are."""
    mask = bytearray(b"\xff" * len(raw))
    for start, stop in numbers:
        mask[start:stop] = b"\x80" * (stop - start)
    return bytes(mask)


def _find_passing(raw: bytes, at: int, stop: int, passing: frozenset[str]) -> dict[str, _Span]:
    """Return where the values of passing headers stand in the rest of an `HttpRequest`: texts, then header lines.

    Raises:
        ValueError: it is framed otherwise, or a header stands twice where only one can count.
        IndexError: the message ends before.
    """
    while raw[at] in _TEXTS or raw[at] == _SIZE:
        _, at = _field(raw, at, raw[at]) if raw[at] != _SIZE else (at, _after_number(raw, at + 1))
    at, map_stop = _field(raw, at, _HEADER_MAP)
    cuts: dict[str, _Span] = {}
    seen: set[str] = set()
    while at < map_stop:
        line, line_stop = _field(raw, at, _LINE)
        key, key_stop = _field(raw, line, _KEY)
        name = raw[key:key_stop].decode("ascii").lower()
        if name in PASSING and (name in seen or name not in passing):
            raise ValueError  # Which of two lines counts, also as an id for the record, is for `question.py` to say.
        seen.add(name)
        at = line_stop
        if key_stop == line_stop:
            continue  # An empty value.
        value, value_stop = _field(raw, key_stop, _RAW_VALUE)
        if value_stop != line_stop:
            raise ValueError
        if name in passing:
            cuts[name] = value, value_stop
    if not at == map_stop == stop:
        raise ValueError
    return cuts


def _picker(*parts: _Span) -> _Pick:
    """Return what takes these parts out of a message: in one step, so there must be two of them at least."""
    return itemgetter(*(slice(start, stop) for start, stop in parts))


def _place_of(name: str, shown: dict[str, _Span], most: int) -> slice:
    """Return where a value stands in the text of all that is shown, or its first `most` characters."""
    at = 0
    for shown_name, (start, stop) in shown.items():
        if shown_name == name:
            return slice(at, at + min(stop - start, most))
        at += stop - start
    return slice(0, 0)


def _field(raw: bytes, at: int, tag: int) -> tuple[int, int]:
    """Return where the payload of the length-delimited field at `at` starts and stops.

    Raises:
        ValueError: another field stands there, or one of 16 KiB or more.
        IndexError: the message ends before.
    """
    if raw[at] != tag:
        raise ValueError
    size = raw[at + 1]
    if size < 0x80:  # noqa: PLR2004 — one byte of a varint has seven bits
        return at + 2, at + 2 + size
    high = raw[at + 2]
    if high > 0x7F:  # noqa: PLR2004 — see above
        raise ValueError
    return at + 3, at + 3 + ((size & 0x7F) | high << 7)


def _after_number(part: bytes, at: int) -> int:
    """Return where the varint at `at` stops.

    Raises:
        ValueError: there is none.
    """
    match = _LONG_VARINT.match(part, at)
    if match is None:
        raise ValueError
    return match.end()


def _is_plain(part: bytes, tags: frozenset[int]) -> bool:
    """Return whether a part of a message is whole length-delimited fields with these tags and nothing else."""
    at = 0
    try:
        while at < len(part):
            if part[at] not in tags:
                return False
            _, at = _field(part, at, part[at])
    except (IndexError, ValueError):
        return False
    return at == len(part)
