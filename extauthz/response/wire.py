"""Pieces of a serialised `CheckResponse`.

Protocol Buffers allow messages to be put together from serialised fields, so an answer is a join. What surrounds a text
in its field depends on the field's name and on how long the text is, and on nothing else: the library writes it once,
and it is remembered; no text is. Only the framing of a length-delimited field is written here (Protocol Buffers
encoding, "Message structure"); tests hold joined answers against ones that the library built.

Memory is bounded by a number of small pieces.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, cast

from google.protobuf.struct_pb2 import Struct

from extauthz.gen.envoy.config.core.v3.base_pb2 import HeaderValueOption
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse, DeniedHttpResponse, OkHttpResponse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extauthz.gen.envoy.type.v3.http_status_pb2 import StatusCode

_OVERWRITE: Final = HeaderValueOption.HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD
_LENGTH_DELIMITED: Final = 2

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
    return _frame(number, len(payload)) + payload


@lru_cache(maxsize=4096)
def _frame(number: int, size: int) -> bytes:
    """Return the tag and the length of a length-delimited field."""
    frame = bytearray((number << 3 | _LENGTH_DELIMITED,))
    while size > 0x7F:  # noqa: PLR2004 — seven bits a byte, the eighth says that more follow
        frame.append(size & 0x7F | 0x80)
        size >>= 7
    frame.append(size)
    return bytes(frame)


def header_option(name: str, value: str, number: int = HEADERS) -> bytes:
    """Return an entry of `headers` that overwrites, in the spelling of every Envoy (`append` and `append_action`).

    Args:
        name: lower case, and one of few, since it is remembered.
        value: its text.
        number: of the field that it is an entry of.
    """
    text = value.encode()
    before, after = _around_value(name, len(text), number)
    return before + text + after


@lru_cache(maxsize=4096)
def _around_value(name: str, size: int, number: int) -> tuple[bytes, bytes]:
    option = HeaderValueOption()
    option.header.key = name
    option.header.value = "\0" * size
    option.append.value = False
    option.append_action = _OVERWRITE
    return _around(delimited(number, option.SerializeToString()), size)


def metadata_member(name: str, text: bytes) -> bytes:
    """Return one text member of a `Struct`.

    Args:
        name: one of few, since it is remembered.
        text: in UTF-8.
    """
    before, after = _around_text(name, len(text))
    return before + text + after


@lru_cache(maxsize=4096)
def _around_text(name: str, size: int) -> tuple[bytes, bytes]:
    struct = Struct()
    struct.fields[name].string_value = "\0" * size
    return _around(struct.SerializeToString(), size)


def _around(serialised: bytes, size: int) -> tuple[bytes, bytes]:
    """Return what stands before and after `size` zeros; no byte before them (of a tag, length or name) is one."""
    start = serialised.index(bytes(size))
    return serialised[:start], serialised[start + size :]


def removals(names: Sequence[str]) -> bytes:
    """Return `headers_to_remove` of an `OkHttpResponse`."""
    return OkHttpResponse(headers_to_remove=names).SerializeToString()


def parameter_removals(names: Sequence[str]) -> bytes:
    """Return `query_parameters_to_remove` of an `OkHttpResponse`."""
    return OkHttpResponse(query_parameters_to_remove=names).SerializeToString()


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


def http_status(status: int) -> bytes:
    """Return `status` of a `DeniedHttpResponse`."""
    denied = DeniedHttpResponse()
    denied.status.code = cast("StatusCode", status)
    return denied.SerializeToString()


ALLOWING_STATUS: Final = delimited(1, b"")
"""`status` of a `CheckResponse` that allows: present, with code 0."""
