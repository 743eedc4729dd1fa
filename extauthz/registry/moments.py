"""Days and instants as people write them in registry files."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from extauthz.clock import Instant

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?:Z|[+-][0-9]{2}:[0-9]{2})")


def parse_moment(text: str) -> Instant:
    """Return the instant that a text means.

    Args:
        text: `2030-01-31`, which is the first instant of that day in UTC; or an instant with its offset (RFC 3339),
            such as `2030-01-31T18:00:00+01:00`, whose seconds may be left out.

    Raises:
        ValueError: it is neither, or no such day or time exists.
    """
    if _DAY.fullmatch(text):
        return Instant(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
    if _INSTANT.fullmatch(text):
        return Instant(datetime.fromisoformat(text).timestamp())
    message = "neither a day nor an instant"
    raise ValueError(message)
