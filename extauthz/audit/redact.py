"""Text from a request → text for a record: bounded, encodable, without what looks like a secret."""

from __future__ import annotations

from extauthz.limits import MAX_RECORDED_TEXT
from extauthz.redact import redact

_CUT = "…"
_LONGEST_REMEMBERED = 128
_MOST_REMEMBERED = 2048

_plain: set[str] = set()
"""Texts that are recorded as they are: hosts, issuers, tenants and the like come all the time. What had to be changed
is not remembered, since it may hold a secret."""


def to_recorded(text: str) -> str:
    """Return `text` fit for a record."""
    if text in _plain:
        return text
    recorded = _to_recorded(text)
    if recorded == text and len(text) <= _LONGEST_REMEMBERED:
        if len(_plain) >= _MOST_REMEMBERED:
            _plain.clear()
        _plain.add(text)
    return recorded


def _to_recorded(text: str) -> str:
    """Return `text` fit for a record.

    It is cut *before* it is searched, so that hostile lengths cost nothing. What a cut leaves of a signed token still
    starts like one, and is redacted.
    """
    if len(text) > MAX_RECORDED_TEXT:
        text = text[:MAX_RECORDED_TEXT] + _CUT
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    return redact(text)
