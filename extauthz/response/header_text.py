"""Text that is safe in an HTTP header, in each of the three ways we need it.

- *Identity values* go upstream and must survive exactly: whatever is not visible ASCII is percent-encoded, and so is
  `%`, so that two identities never become one header value. An upstream gets the original back by percent-decoding.
- *Quoted strings* are for people: what RFC 6750 section 3 does not allow is replaced, losing nothing of importance.
- *Tokens* (scopes, authentication contexts) are for machines: one that cannot be written as it is, is left out, because
  an altered scope would ask for something that the policy does not mean.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from extauthz.limits import MAX_ANSWER_HEADER_BYTES, MAX_CHALLENGE_TEXT

if TYPE_CHECKING:
    from collections.abc import Iterable

_PLAIN: Final = re.compile(r"[\x21-\x24\x26-\x7e]*")
"""Visible ASCII without `%`."""

_UNQUOTABLE: Final = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")
"""What may not stand in `error_description` and the like (RFC 6750 section 3)."""

_REPLACEMENTS: Final = {'"': "'", "\\": "/", "\t": " ", "\r": " ", "\n": " ", "—": "-", "…": "."}

_SCOPE_TOKEN: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
"""`scope-token` of RFC 6749 section 3.3."""


def to_header_value(text: str) -> str:
    """Return `text` as a header value from which the original can be recovered by percent-decoding.

    Raises:
        ValueError: the result is longer than the 16384 bytes that Envoy takes; an identity is never cut.
    """
    value = text if _PLAIN.fullmatch(text) else "".join(_percent_encoded(char) for char in text)
    if len(value) > MAX_ANSWER_HEADER_BYTES:
        message = "an identity value is too long for a header"
        raise ValueError(message)
    return value


def _percent_encoded(char: str) -> str:
    if _PLAIN.fullmatch(char):
        return char
    # A lone surrogate has no UTF-8 form; its three-byte one keeps the encoding total and one-to-one.
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))


def to_quotable(text: str) -> str:
    """Return `text` with the characters that a quoted `auth-param` may hold, cut to a bounded length."""
    return _UNQUOTABLE.sub(lambda match: _REPLACEMENTS.get(match[0], "?"), text[:MAX_CHALLENGE_TEXT])


def to_token_list(tokens: Iterable[str]) -> str:
    """Return the well-formed `tokens` once each, separated by one space.

    Empty when there are none, and also when the list is too long for a header: half of it would not help the client.
    """
    joined = " ".join(dict.fromkeys(token for token in tokens if _SCOPE_TOKEN.fullmatch(token)))
    return joined if len(joined) <= MAX_CHALLENGE_TEXT else ""
