"""Bytes that nobody has looked at → `Message`: what a CheckRequest says, each field read once.

Naming a question (`question.py`) and deciding it (`decode.py`) read the same message. Parsing it and taking its fields
out is a good part of both, so whoever comes first hands on what it found. Nothing is judged here but what makes it no
message at all: too many bytes, bytes that do not parse, and headers in two shapes, of which nobody could say which
counts.
"""

from __future__ import annotations

import re
from operator import attrgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from google.protobuf.message import DecodeError

from extauthz.errors import Refusal
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from extauthz.limits import MAX_CHECK_BYTES, MAX_HEADER_VALUE_BYTES
from extauthz.model.reason import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extauthz.gen.envoy.config.core.v3.base_pb2 import HeaderValue
    from extauthz.gen.envoy.service.auth.v3.attribute_context_pb2 import AttributeContext

_NOT_UTF8: Final = re.compile("[\udc80-\udcff]")
"""What decoding with `surrogateescape` makes of each byte that is not part of valid UTF-8."""

_PRINTABLE: Final = bytes(range(0x20, 0x7F))

_KEY: Final = attrgetter("key")
_VALUE: Final = attrgetter("value")
_RAW_VALUE: Final = attrgetter("raw_value")

_TOO_LARGE: Final = f"The request, its body included, must have at most {MAX_CHECK_BYTES} bytes."
_NO_MESSAGE: Final = "The question is not an Envoy CheckRequest."
_TWO_SHAPES: Final = "The question shows its headers in two shapes; a proxy fills headers or header_map."
_TWO_VALUES: Final = "The question shows two values for one header line."


class Message(NamedTuple):
    """What a `CheckRequest` says. Nothing in it is verified.

    Attributes:
        has_http: whether it holds an HTTP request; the fields of one are empty otherwise.
        method: of the request.
        path: of the request, with the query.
        host: of the request.
        beside_path: whether a query or a fragment is shown outside the path.
        names: of the header lines, as spelled and in the order shown.
        values: of the header lines; bytes that are not UTF-8 are `!`, as Envoy would show them in `headers`.
        exact: whether these are the lines as sent (`header_map`), and not merged ones.
        plain: whether all values are printable ASCII, stand where proxies put them and, joined with commas, have at
            most as many bytes as one header may have.
        body: as text.
        raw_body: as bytes (`pack_as_bytes`).
        address: of the connection's other end, as spelled.
        principal: of its certificate.
        certificate: itself, as URL-encoded PEM.
        sni: of its TLS session.
        context: what the route in Envoy adds.
    """

    has_http: bool
    method: str
    path: str
    host: str
    beside_path: bool
    names: tuple[str, ...]
    values: tuple[str, ...]
    exact: bool
    plain: bool
    body: str
    raw_body: bytes
    address: str
    principal: str
    certificate: str
    sni: str
    context: dict[str, str]


def read_message(raw: bytes) -> Message:
    """Return what a serialised `envoy.service.auth.v3.CheckRequest` says.

    Args:
        raw: the message as received.

    Raises:
        Refusal: `request_too_large` or `malformed_request`.
    """
    attributes = parse(raw)
    request = attributes.request
    http = request.http
    merged = http.headers
    lines = http.header_map.headers
    if lines:
        if merged:
            raise Refusal(Reason.MALFORMED_REQUEST, _TWO_SHAPES, inner="headers and header_map")
        names, values, plain = _read_lines(lines)
    else:
        names, values = tuple(merged), tuple(merged.values())
        plain = _is_plain("".join(values).encode(), len(values))
    source = attributes.source
    context = attributes.context_extensions
    return Message(
        request.HasField("http"),
        http.method,
        http.path,
        http.host,
        bool(http.query or http.fragment),
        names,
        values,
        bool(lines),
        plain,
        http.body,
        http.raw_body,
        source.address.socket_address.address,
        source.principal,
        source.certificate,
        attributes.tls_session.sni,
        dict(context) if context else {},  # Most routes add nothing, and copying such a map takes a dozen calls.
    )


def parse(raw: bytes) -> AttributeContext:
    """Return a serialised `envoy.service.auth.v3.CheckRequest`, parsed.

    Raises:
        Refusal: `request_too_large` or `malformed_request`.
    """
    if len(raw) > MAX_CHECK_BYTES:
        raise Refusal(Reason.REQUEST_TOO_LARGE, _TOO_LARGE, inner="CheckRequest")
    try:
        return CheckRequest.FromString(raw).attributes
    except DecodeError:
        raise Refusal(Reason.MALFORMED_REQUEST, _NO_MESSAGE, inner="undecodable") from None


def _read_lines(lines: Sequence[HeaderValue]) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """Return names and values, and whether all values are plain (see `Message`) in the field that proxies fill."""
    lines = lines[:]  # As a list: the library makes an object for a line each time that it is looked at.
    names = tuple(map(_KEY, lines))
    raws = list(map(_RAW_VALUE, lines))
    if not any(map(_VALUE, lines)) and _is_plain(b"".join(raws), len(raws)):
        return names, tuple(map(bytes.decode, raws)), True  # As nearly always: nothing to ask line by line.
    return names, tuple([_line_value(line.value, line.raw_value) for line in lines]), False


def _is_plain(joined: bytes, count: int) -> bool:
    """Return whether `count` values, joined here without commas, are printable ASCII and not too large for one."""
    return len(joined) + count <= MAX_HEADER_VALUE_BYTES and not joined.translate(None, _PRINTABLE)


def _line_value(value: str, raw_value: bytes) -> str:
    """Return the text of a header line as Envoy would show it in `headers`: bytes that are not UTF-8 become `!`."""
    if not raw_value:
        return value
    if value:
        raise Refusal(Reason.MALFORMED_REQUEST, _TWO_VALUES, inner="value and raw_value")
    try:
        return raw_value.decode("utf-8")
    except UnicodeDecodeError:
        return _NOT_UTF8.sub("!", raw_value.decode("utf-8", "surrogateescape"))
