"""Text from a request → text for a record: bounded, encodable, without what looks like a secret."""

from __future__ import annotations

from functools import lru_cache

from extauthz.limits import MAX_RECORDED_TEXT
from extauthz.redact import redact

_CUT = "…"
_REMEMBERED = 128
"""Characters of texts whose recorded form is remembered: hosts, issuers, tenants and the like come all the time."""


def to_recorded(text: str) -> str:
    """Return `text` fit for a record."""
    return _remember(text) if len(text) <= _REMEMBERED else _to_recorded(text)


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


_remember = lru_cache(maxsize=2048)(_to_recorded)
