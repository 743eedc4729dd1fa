"""Finding what looks like a secret in text that is about to be written down.

This is the second net. The first is that records and logs are built from named fields, never from headers, bodies,
queries or claims. This one catches secrets that clients put where they do not belong: a token as a path segment, as a
request id, in the text of a foreign exception. Digests, UUIDs and other plain identifiers stay readable, because a
record that hides what was asked is of no use.
"""

from __future__ import annotations

import re
from typing import Final

REDACTED: Final = "[redacted]"

_SHORTEST: Final = 12
"""Characters; nothing shorter is taken for a secret, which lets most texts pass without a search."""

_SECRET: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    # A compact JOSE object: its header is base64url of `{"…`, or all its parts are long.
    r"eyJ[\w-]{5,}(?:\.[\w-]*)*"
    r"|(?<![\w-])[\w-]{16,}\.[\w-]{16,}\.[\w-]{16,}"
    # Prefixes that makers of long-lived secrets publish so that scanners can find them.
    r"|(?:gh[oprsu]_|github_pat_|gl(?:pat|dt|rt|cbt|ptt|ft|soat)-|xox[a-z]-|hv[bsr]\.|[rs]k_live_|dop_v1_|xak_)[\w.-]{10,}"
    r"|(?:sk-|npm_|pypi-AgE|AIza)[\w-]{20,}|A[KS]IA[A-Z0-9]{16}"
    # An authorization value that somebody quoted.
    r"|(?i:bearer|dpop|basic)(?:\s|%20|\+)+[\w.~+/=-]{20,}"
    r")",
    re.ASCII,
)

_SHORTEST_OPAQUE: Final = 40
"""Characters of a run."""

_OPAQUE: Final = re.compile(
    rf"(?<![\w-])(?=[\w-]*[a-z])(?=[\w-]*[A-Z])(?=[\w-]*[0-9])[\w-]{{{_SHORTEST_OPAQUE},}}(?![\w-])", re.ASCII
)
"""A long run that mixes both cases and digits: random bytes in base64url look so. Hex digests never mix cases."""


def redact(text: str) -> str:
    """Return `text` with everything that looks like a secret replaced by `[redacted]`.

    Args:
        text: bounded by the caller; the search is linear in its length.
    """
    if len(text) < _SHORTEST:
        return text
    text = _SECRET.sub(REDACTED, text)
    return text if len(text) < _SHORTEST_OPAQUE else _OPAQUE.sub(REDACTED, text)
