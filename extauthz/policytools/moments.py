"""Instants as people write them in test files: RFC 3339, or a duration from the instant of the decision."""

from __future__ import annotations

from datetime import datetime

from extauthz.clock import Instant
from extauthz.durations import parse_duration


def parse_moment(text: str, at: Instant | None = None) -> Instant:
    """Return the instant that a text means.

    Args:
        text: `2030-01-01T12:00:00Z`, or with `at` also `-5m`, `+1h`.
        at: what durations count from; None where only an instant makes sense.

    Raises:
        ValueError: it is neither; the message says what to write.
    """
    if at is not None and text[:1] in {"-", "+"}:
        seconds = parse_duration(text[1:])
        return Instant(at - seconds if text[0] == "-" else at + seconds)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        example = "2030-01-01T12:00:00Z" + ("" if at is None else ", or -5m for five minutes before the decision")
        message = f"not an instant; write for example {example}"
        raise ValueError(message)
    return Instant(moment.timestamp())
