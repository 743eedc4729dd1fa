"""Ids that join our records with other people's logs. They decide nothing: malformed ones are left out, not refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from extauthz.limits import MAX_REQUEST_ID_CHARACTERS

if TYPE_CHECKING:
    from extauthz.model.request import Headers

_INVISIBLE: Final = re.compile(r"[^!-~]")

_TRACEPARENT: Final = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?P<more>-.*)?"
)
"""W3C Trace Context section 3.2: lower-case hex, no all-zero ids, no version `ff`; later versions may be longer."""


def request_id_of(headers: Headers) -> str:
    """Return `x-request-id` reduced to visible ASCII and capped; empty when there is none."""
    value = headers.first("x-request-id")
    return _INVISIBLE.sub("", value)[:MAX_REQUEST_ID_CHARACTERS] if value else ""


def trace_id_of(headers: Headers) -> str:
    """Return the 32 hex digits of a valid `traceparent`; empty when it is missing, repeated or malformed."""
    values = headers.all("traceparent")
    match = _TRACEPARENT.fullmatch(values[0]) if len(values) == 1 else None
    if match is None or (match["version"] == "00" and match["more"]):
        return ""
    return match["trace"]
