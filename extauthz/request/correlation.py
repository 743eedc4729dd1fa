"""Ids that join our records with other people's logs. They decide nothing: malformed ones are left out, not refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from extauthz.limits import MAX_REQUEST_ID_CHARACTERS

if TYPE_CHECKING:
    from extauthz.model.request import Headers

_INVISIBLE: Final = re.compile(r"[^!-~]")

_TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
"""W3C Trace Context section 3.2: lower-case hex, no all-zero ids, no version `ff`; later versions may be longer."""

_FIRST_VERSION: Final = "00-"
_FIRST_LENGTH: Final = 55
_TRACE_ID: Final = slice(3, 35)
"""Where the id stands: before it, everything has a fixed length."""


def request_id_of(headers: Headers) -> str:
    """Return the request id of a request; empty when there is none."""
    values = headers.lines.get("x-request-id")
    return request_id_from(values[0]) if values else ""


def request_id_from(value: str) -> str:
    """Return an `x-request-id` reduced to visible ASCII and capped."""
    if len(value) <= MAX_REQUEST_ID_CHARACTERS and value.isascii() and value.isprintable() and " " not in value:
        return value  # As nearly always; the search below costs more.
    return _INVISIBLE.sub("", value)[:MAX_REQUEST_ID_CHARACTERS]


def trace_id_of(headers: Headers) -> str:
    """Return the trace id of a request; empty when `traceparent` is missing, repeated or malformed."""
    values = headers.lines.get("traceparent")
    return trace_id_from(values[0]) if values and len(values) == 1 else ""


def trace_id_from(value: str) -> str:
    """Return the 32 hex digits of a valid `traceparent`; empty when it is malformed."""
    too_long = len(value) > _FIRST_LENGTH and value.startswith(_FIRST_VERSION)
    return "" if too_long or _TRACEPARENT.fullmatch(value) is None else value[_TRACE_ID]
