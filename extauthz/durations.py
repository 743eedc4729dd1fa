"""Durations as people write them: `30s`, `5m`, `1h`, `7d`, `150ms`, or a number of seconds."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import BeforeValidator

_DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_UNIT_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(value: object) -> float:
    """Return seconds from `30s`, `5m`, `1h`, `7d`, `150ms` or a plain number of seconds.

    Raises:
        ValueError: it is none of these; booleans and negative numbers are not durations.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return float(value)
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        message = "not a duration; write for example 30s, 5m, 1h or 7d"
        raise ValueError(message)
    return float(match[1]) * _UNIT_SECONDS[match[2]]


Duration = Annotated[float, BeforeValidator(parse_duration, json_schema_input_type=str | float)]
"""Seconds."""
