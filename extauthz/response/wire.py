"""Pieces of a serialised `CheckResponse`, kept as bytes because they come again and again.

Most of an answer is the same for every request of a caller: its identity headers, the names that are removed, the
metadata. Protocol Buffers allow messages to be put together from serialised fields, so each piece is serialised once by
the library and remembered, and an answer is a join. Only the framing of a length-delimited field is written here
(Protocol Buffers encoding, "Message structure"); tests hold joined answers against ones that the library built.

Memory is bounded: a number of pieces, none longer than `_LONGEST_REMEMBERED`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, cast

from google.protobuf.struct_pb2 import Struct

from extauthz.gen.envoy.config.core.v3.base_pb2 import HeaderValueOption
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse, DeniedHttpResponse, OkHttpResponse

if TYPE_CHECKING:
    from extauthz.gen.envoy.type.v3.http_status_pb2 import StatusCode

_OVERWRITE: Final = HeaderValueOption.HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD
_LENGTH_DELIMITED: Final = 2
_LONGEST_REMEMBERED: Final = 512
"""Characters of a value that is remembered; longer ones are serialised each time."""

HEADERS: Final = 2
"""Field number of `headers` in both `OkHttpResponse` and `DeniedHttpResponse`."""
RESPONSE_HEADERS: Final = 6
"""Field number of `response_headers_to_add` in `OkHttpResponse`: for the client, when the upstream has answered."""
DENIED_RESPONSE: Final = 2
OK_RESPONSE: Final = 3
BODY: Final = 3
DYNAMIC_METADATA: Final = 4


def delimited(number: int, payload: bytes) -> bytes:
    """Return a length-delimited field: a message, a string or bytes.

    Args:
        number: the field's number, at most 15, so that its tag is one byte.
        payload: its serialised content.
    """
    size = len(payload)
    tag = number << 3 | _LENGTH_DELIMITED
    if size <= 0x7F:  # noqa: PLR2004 — seven bits a byte, the eighth says that more follow
        return bytes((tag, size)) + payload
    length = bytearray((tag,))
    while size > 0x7F:  # noqa: PLR2004 — see above
        length.append(size & 0x7F | 0x80)
        size >>= 7
    length.append(size)
    return bytes(length) + payload


def header_option(name: str, value: str, *, remember: bool = True) -> bytes:
    """Return an entry of `headers` that overwrites, in the spelling of every Envoy (`append` and `append_action`).

    Args:
        name: lower case.
        value: its text.
        remember: whether it is likely to come again; a decision's own id is not.
    """
    make = _option if remember and len(value) <= _LONGEST_REMEMBERED else _option.__wrapped__
    return make(name, value)


def response_header(name: str, value: str) -> bytes:
    """Return an entry of `response_headers_to_add` that overwrites; not remembered."""
    return _option.__wrapped__(name, value, RESPONSE_HEADERS)


@lru_cache(maxsize=8192)
def _option(name: str, value: str, number: int = HEADERS) -> bytes:
    option = HeaderValueOption()
    option.header.key = name
    option.header.value = value
    option.append.value = False
    option.append_action = _OVERWRITE
    return delimited(number, option.SerializeToString())


def removals(names: tuple[str, ...], *, remember: bool = True) -> bytes:
    """Return `headers_to_remove` of an `OkHttpResponse`; what clients chose is not remembered."""
    return _removals(names) if remember else _removals.__wrapped__(names)


@lru_cache(maxsize=1024)
def _removals(names: tuple[str, ...]) -> bytes:
    return OkHttpResponse(headers_to_remove=names).SerializeToString()


def parameter_removals(names: tuple[str, ...]) -> bytes:
    """Return `query_parameters_to_remove` of an `OkHttpResponse`."""
    return OkHttpResponse(query_parameters_to_remove=names).SerializeToString()


def metadata_member(name: str, text: str, *, remember: bool = True) -> bytes:
    """Return one text member of a `Struct`; `remember` as in `header_option`."""
    make = _member if remember and len(text) <= _LONGEST_REMEMBERED else _member.__wrapped__
    return make(name, text)


@lru_cache(maxsize=8192)
def _member(name: str, text: str) -> bytes:
    struct = Struct()
    struct.fields[name].string_value = text
    return struct.SerializeToString()


@lru_cache(maxsize=256)
def denial_status(code: int, message: str) -> bytes:
    """Return `status` of a `CheckResponse` that denies.

    Raises:
        ValueError: the code is 0, which would allow.
    """
    if not code:
        text = "a denial needs a code other than 0"
        raise ValueError(text)
    answer = CheckResponse()
    answer.status.code = code
    answer.status.message = message
    return answer.SerializeToString()


@lru_cache(maxsize=64)
def http_status(status: int) -> bytes:
    """Return `status` of a `DeniedHttpResponse`."""
    denied = DeniedHttpResponse()
    denied.status.code = cast("StatusCode", status)
    return denied.SerializeToString()


ALLOWING_STATUS: Final = delimited(1, b"")
"""`status` of a `CheckResponse` that allows: present, with code 0."""
