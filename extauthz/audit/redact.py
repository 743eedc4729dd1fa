"""Text from a request → text for a record: bounded, encodable, without what looks like a secret."""

from __future__ import annotations

from json.encoder import encode_basestring_ascii
from typing import Final

from extauthz.limits import MAX_RECORDED_TEXT
from extauthz.redact import redact

_CUT = "…"
_LONGEST_REMEMBERED = 128
_MOST_REMEMBERED = 2048


def to_recorded(text: str) -> str:
    """Return `text` fit for a record.

    It is cut *before* it is searched, so that hostile lengths cost nothing. What a cut leaves of a signed token still
    starts like one, and is redacted.
    """
    if len(text) > MAX_RECORDED_TEXT:
        text = text[:MAX_RECORDED_TEXT] + _CUT
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    return redact(text)


class _RecordedJson(dict[str, str]):
    """Text → what stands for it in a record, as JSON.

    Texts that are recorded as they are remain here, to be found without a call: hosts, issuers, tenants and the like
    come all the time. What had to be changed is not remembered, since it may hold a secret.
    """

    def __missing__(self, text: str) -> str:
        recorded = to_recorded(text)
        as_json = encode_basestring_ascii(recorded)
        if recorded == text and len(text) <= _LONGEST_REMEMBERED:
            if len(self) >= _MOST_REMEMBERED:
                self.clear()
            self[text] = as_json
        return as_json


RECORDED_JSON: Final = _RecordedJson()
"""`RECORDED_JSON[text]` is `to_recorded(text)` as JSON, in ASCII."""
