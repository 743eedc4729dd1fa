"""How long a fetched document may be used, and how to ask whether it still stands (RFC 9111, RFC 9110 section 13).

Only what is of use here: `max-age` of a private cache, less the `Age` that it has grown elsewhere; `no-store` and
`no-cache`; entity tags. What cannot be read counts as not said.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS: Final = re.compile(r"[0-9]{1,10}")
_ETAG: Final = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,256}"')
_MAX_AGE: Final = "max-age="


def fresh_seconds(headers: Mapping[str, str]) -> float | None:
    """Return for how many seconds more a document may be used; None when its server does not say.

    Args:
        headers: of the answer, by lower-case name.
    """
    words = [word.strip().lower() for word in headers.get("cache-control", "").split(",")]
    if "no-store" in words or "no-cache" in words:
        return 0.0
    ages = [_seconds(word.removeprefix(_MAX_AGE).strip('"')) for word in words if word.startswith(_MAX_AGE)]
    known = [age for age in ages if age is not None]
    if not known:
        return None
    return max(0.0, min(known) - (_seconds(headers.get("age", "").strip()) or 0.0))


def etag_of(headers: Mapping[str, str]) -> str:
    """Return the entity tag of a document, empty when it has none that can be sent back."""
    tag = headers.get("etag", "").strip()
    return tag if _ETAG.fullmatch(tag) is not None else ""


def _seconds(text: str) -> float | None:
    return float(text) if _SECONDS.fullmatch(text) is not None else None
