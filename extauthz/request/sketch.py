"""Tells in a few steps that a question is, byte for byte, one that was named before.

Naming a question (`question.py`) parses it. Proxies send the same question time and again, though, and then everything
but a few values is the same bytes in the same order: stream id, time, the port of the connection, request id and trace.
A sketch is a digest of the message without those values, and equal sketches mean equal names. The argument:

1. The frame of the message is walked, not searched: source, destination, time, stream id, and then the rest of the HTTP
   request and the tail, each as long as its length prefix says. A message that is framed otherwise has no sketch.
2. Where the passing headers stand in the rest is learned once, from a message that was named, by walking its header
   lines (`encode_raw_headers`; merged headers come in no fixed order and are not sketched). That is a layout. It is
   tried on messages whose rest is as long. The digest covers every byte outside the cut values, all tags and lengths
   included, so a message with the same digest as *the one that the layout was learned from* is framed alike, and its
   cuts are the values of the same headers. By the layout of another message the cuts could be anything, a token too:
   such a digest must never be remembered, and `learn` returns the only one that may.
3. What is cut cannot matter to the name: nothing reads those values, except that an undecodable or unprintable one has
   no name. So stream id, time and cut values are held to the shape that they have in named questions, or there is no
   sketch. The port is cut from a source that was walked before; its bytes are remembered as a whole.
4. The digest is SHA-256 over self-delimiting parts, so no two different questions share one, and no secret stays in
   memory.

`tests/property/test_sketch.py` holds sketches against names over changed, torn and hostile messages.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final, NamedTuple

from extauthz.request.correlation import request_id_from, trace_id_from

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

_MOST_SOURCES: Final = 4096
_MOST_SOURCE_BYTES: Final = 8 * 1024 * 1024
"""Connections whose source is remembered, and the bytes of all of them: a source can hold a certificate."""

_MOST_LAYOUTS: Final = 512
"""Lengths of a rest for which layouts are remembered, and layouts for one length."""
_MOST_OF_A_LENGTH: Final = 4

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
_TAILS: Final = frozenset({0x52, 0x5A, 0x62, 0x6A})
"""Of `AttributeContext`: context extensions, metadata, TLS session, route metadata."""

_NO_DESTINATION: Final = b"\x00"
"""No field begins like this."""

_TIMESTAMP: Final = re.compile(rb"(?:\x08[\x80-\xff]{0,8}[\x00-\x7f])?(?:\x10[\x80-\xff]{0,4}[\x00-\x7f])?", re.DOTALL)
_LONG_VARINT: Final = re.compile(rb"[\x80-\xff]{0,8}[\x00-\x7f]", re.DOTALL)
_VARINT: Final = re.compile(rb"[\x80-\xff]{0,4}[\x00-\x7f]", re.DOTALL)


class Layout(NamedTuple):
    """Where the passing values stand in the rest of a question.

    Attributes:
        size: bytes of the rest.
        kept: where the bytes between the cuts start and stop.
        cut: where the passing values start and stop.
        request_id: which cut is the request id.
        trace_parent: which cut is the trace's parent.
        mark: what names the layout in a digest.
    """

    size: int
    kept: tuple[slice, ...]
    cut: tuple[slice, ...]
    request_id: int | None
    trace_parent: int | None
    mark: bytes


class Sketch(NamedTuple):
    """A question by digest.

    Attributes:
        digest: equal for two questions only if their names are.
        layout: by which it was read.
        cut: the passing values.
    """

    digest: bytes
    layout: Layout
    cut: list[bytes]

    @property
    def request_id(self) -> str:
        """Return the request id, for the record."""
        at = self.layout.request_id
        return request_id_from(self.cut[at].decode()) if at is not None else ""

    @property
    def trace_id(self) -> str:
        """Return the trace id, for the record."""
        at = self.layout.trace_parent
        return trace_id_from(self.cut[at].decode()) if at is not None else ""


_Frame = tuple[bytes, bytes, bytes, bytes]
"""Source, destination, rest of the HTTP request, tail."""


class Sketches:
    """Sketches questions by what was learned from those before.

    Args:
        values_read: lower-case names of headers whose values policy reads: those never count as passing.
    """

    def __init__(self, values_read: frozenset[str] = frozenset()) -> None:
        self._passing = PASSING - values_read
        self._sources: dict[bytes, bytes] = {}
        self._source_bytes = 0
        self._layouts: dict[int, tuple[Layout, ...]] = {}

    def read(self, raw: bytes) -> list[Sketch]:
        """Return what `raw` may be known as: one sketch for each layout that fits its length, usually one or none."""
        frame = _walk(raw)
        if frame is None:
            return []
        source, destination, rest, tail = frame
        known_source = self._sources.get(source)
        layouts = self._layouts.get(len(rest), ())
        if known_source is None:
            return []
        found = []
        for layout in layouts:
            cut = [rest[part] for part in layout.cut]
            text = b"".join(cut)
            if text.isascii() and text.decode().isprintable():
                parts = [layout.mark, known_source, destination, *[rest[part] for part in layout.kept], tail]
                found.append(Sketch(sha256(b"".join(parts)).digest(), layout, cut))
        return found

    def learn(self, raw: bytes) -> Sketch | None:
        """Learn how a question that has a name is laid out, so that `read` knows its like.

        Returns:
            The one sketch that may stand for its name: by its own layout. By another one of the same length the cuts
            would be anywhere in it. None when it has none.
        """
        frame = _walk(raw)
        if frame is None:
            return None
        source, _, rest, tail = frame
        known_source, layout = _without_port(source), _layout(rest, self._passing)
        if known_source is None or layout is None or not _is_plain(tail, _TAILS):
            return None
        self._remember(source, known_source)
        others = self._layouts.get(layout.size, ())
        if layout not in others:
            if len(self._layouts) >= _MOST_LAYOUTS:
                self._layouts = {}
            self._layouts[layout.size] = (layout, *others)[:_MOST_OF_A_LENGTH]
        return next((sketch for sketch in self.read(raw) if sketch.layout == layout), None)

    def _remember(self, source: bytes, known_source: bytes) -> None:
        if source in self._sources:
            return
        weight = len(source) + len(known_source)
        if len(self._sources) >= _MOST_SOURCES or self._source_bytes + weight > _MOST_SOURCE_BYTES:
            self._sources, self._source_bytes = {}, 0
        self._sources[source] = known_source
        self._source_bytes += weight


def _walk(raw: bytes) -> _Frame | None:
    """Return the parts of a message that is framed as proxies do, or None."""
    if len(raw) > LARGEST:
        return None
    try:
        start, stop = _field(raw, 0, _ATTRIBUTES)
        if stop != len(raw):
            return None
        source, at = _field(raw, start, _SOURCE)
        source_part = raw[source:at]
        here = at
        if raw[at] == _DESTINATION:
            _, at = _field(raw, at, _DESTINATION)
        # Something in either case, or what stands behind could be taken for a destination.
        destination = raw[here:at] or _NO_DESTINATION
        inner, end = _field(raw, at, _REQUEST)
        if raw[inner] == _TIME:
            begins, inner = _field(raw, inner, _TIME)
            if _TIMESTAMP.fullmatch(raw, begins, inner) is None:
                return None
        http, ends = _field(raw, inner, _HTTP)
        identifier, rest = _field(raw, http, _ID)
    except (IndexError, ValueError):
        return None
    if ends != end or not rest <= end <= stop or not raw[identifier:rest].isascii():
        return None
    return source_part, destination, raw[rest:end], raw[end:]


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


def _without_port(source: bytes) -> bytes | None:
    """Return a `Peer` with a socket address less its port, which is the last field of the address; self-delimiting."""
    try:
        start, stop = _field(source, 0, _ADDRESS)
        socket, socket_stop = _field(source, start, _SOCKET)
        _, at = _field(source, socket, _HOST)
    except (IndexError, ValueError):
        return None
    if socket_stop != stop or stop > len(source) or at > stop:
        return None
    if at < stop and (source[at] != _PORT or _VARINT.fullmatch(source, at + 1, stop) is None):
        return None
    if not _is_plain(source[stop:], frozenset({0x12, 0x22, 0x2A})):
        return None
    return b"%d %d " % (at, len(source) - stop) + source[:at] + source[stop:]


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


def _layout(rest: bytes, passing: frozenset[str]) -> Layout | None:
    """Return where passing values stand in the rest of an `HttpRequest`: texts, then one map of header lines."""
    at = 0
    try:
        while rest[at] in _TEXTS or rest[at] == _SIZE:
            _, at = _field(rest, at, rest[at]) if rest[at] != _SIZE else (at, _after_number(rest, at + 1))
        at, stop = _field(rest, at, _HEADER_MAP)
        if stop != len(rest):
            return None
        cuts: dict[str, tuple[int, int]] = {}
        seen: set[str] = set()
        while at < stop:
            line, line_stop = _field(rest, at, _LINE)
            key, key_stop = _field(rest, line, _KEY)
            name = rest[key:key_stop].decode("ascii").lower()
            if name in PASSING and (name in seen or name not in passing):
                return None  # Which of two lines counts, also as an id for the record, is for `question.py` to say.
            seen.add(name)
            at = line_stop
            if key_stop == line_stop:
                continue  # An empty value.
            value, value_stop = _field(rest, key_stop, _RAW_VALUE)
            if value_stop != line_stop:
                return None
            if name in passing:
                cuts[name] = value, value_stop
    except (IndexError, ValueError):
        return None
    return _to_layout(len(rest), cuts) if at == stop else None


def _to_layout(size: int, cuts: dict[str, tuple[int, int]]) -> Layout:
    names = list(cuts)
    edges = [0, *(edge for cut in cuts.values() for edge in cut), size]
    request_id = names.index("x-request-id") if "x-request-id" in names else None
    trace_parent = names.index("traceparent") if "traceparent" in names else None
    return Layout(
        size=size,
        kept=tuple(slice(start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=True)),
        cut=tuple(slice(start, stop) for start, stop in cuts.values()),
        request_id=request_id,
        trace_parent=trace_parent,
        mark=repr((edges, request_id, trace_parent)).encode(),
    )
