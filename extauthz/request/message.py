"""Bytes that nobody has looked at → `Message`: a CheckRequest, parsed, with the header lines that it shows.

Naming a question (`question.py`) and deciding it (`decode.py`) read the same message. Parsing it and walking its lines
is a good part of both, so whoever comes first hands on what it found. Nothing is judged here but what makes it no
message at all: too many bytes, bytes that do not parse, and headers in two shapes, of which nobody could say which
counts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from google.protobuf.message import DecodeError

from extauthz.errors import Refusal
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from extauthz.limits import MAX_CHECK_BYTES
from extauthz.model.reason import Reason

if TYPE_CHECKING:
    from collections.abc import Collection

    from extauthz.gen.envoy.config.core.v3.base_pb2 import HeaderValue
    from extauthz.gen.envoy.service.auth.v3.attribute_context_pb2 import AttributeContext

_NOT_UTF8: Final = re.compile("[\udc80-\udcff]")
"""What decoding with `surrogateescape` makes of each byte that is not part of valid UTF-8."""

_TOO_LARGE: Final = f"The request, its body included, must have at most {MAX_CHECK_BYTES} bytes."
_NO_MESSAGE: Final = "The question is not an Envoy CheckRequest."
_TWO_SHAPES: Final = "The question shows its headers in two shapes; a proxy fills headers or header_map."
_TWO_VALUES: Final = "The question shows two values for one header line."


class Message(NamedTuple):
    """A parsed `CheckRequest`. Nothing in it is verified.

    Attributes:
        attributes: what it says.
        names: of the header lines, as spelled and in the order shown.
        values: of the header lines; bytes that are not UTF-8 are `!`, as Envoy would show them in `headers`.
        exact: whether these are the lines as sent (`header_map`), and not merged ones.
        plain: whether all values are printable ASCII and stand where proxies put them.
    """

    attributes: AttributeContext
    names: tuple[str, ...]
    values: tuple[str, ...]
    exact: bool
    plain: bool


def read_message(raw: bytes) -> Message:
    """Return a serialised `envoy.service.auth.v3.CheckRequest`, parsed.

    Args:
        raw: the message as received.

    Raises:
        Refusal: `request_too_large` or `malformed_request`.
    """
    if len(raw) > MAX_CHECK_BYTES:
        raise Refusal(Reason.REQUEST_TOO_LARGE, _TOO_LARGE, inner="CheckRequest")
    try:
        attributes = CheckRequest.FromString(raw).attributes
    except DecodeError:
        raise Refusal(Reason.MALFORMED_REQUEST, _NO_MESSAGE, inner="undecodable") from None
    http = attributes.request.http
    merged = http.headers
    lines = http.header_map.headers
    if lines:
        if merged:
            raise Refusal(Reason.MALFORMED_REQUEST, _TWO_SHAPES, inner="headers and header_map")
        names, values, plain = _read_lines(lines)
    else:
        names, values, plain = tuple(merged), tuple(merged.values()), True
    text = "".join(values)
    return Message(attributes, names, values, bool(lines), plain and text.isascii() and text.isprintable())


def _read_lines(lines: Collection[HeaderValue]) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """Return names and values, and whether all values are ASCII in the field that proxies fill."""
    names, texts, raws = zip(*[(line.key, line.value, line.raw_value) for line in lines], strict=True)
    if not any(texts) and b"".join(raws).isascii():
        return names, tuple([raw.decode() for raw in raws]), True  # As nearly always: nothing to ask line by line.
    return names, tuple([_line_value(*line) for line in zip(texts, raws, strict=True)]), False


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
