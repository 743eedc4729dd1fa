"""Durations as people write them."""

from __future__ import annotations

import pytest

from extauthz.durations import parse_duration


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("150ms", 0.15), ("30s", 30), ("5m", 300), ("1.5h", 5400), ("7d", 604_800), (0, 0), (2.5, 2.5)],
)
def test_durations_are_read_as_seconds(value: object, seconds: float) -> None:
    """Each unit, and plain numbers."""
    assert parse_duration(value) == seconds


@pytest.mark.parametrize("value", ["", "5", "5 m", "-5m", "5w", "m", -1, True, None, "5m5s"])
def test_what_is_no_duration_is_refused(value: object) -> None:
    """Negative numbers, booleans, unknown units and texts without a unit are not guessed at."""
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(value)
