"""Base64url without padding (RFC 7515 section 2), in its only spelling.

Lenient decoders accept several texts for the same bytes; then two tokens that differ as text are equal as credentials,
and everything that remembers tokens by their text can be walked round.
"""

from __future__ import annotations

import base64
import re
from typing import Final

from extauthz.errors import JoseError

_ALPHABET: Final = re.compile(r"[A-Za-z0-9_-]*")

_LAST: Final = {2: frozenset("AQgw"), 3: frozenset("AEIMQUYcgkosw048")}
"""Characters that can end a text whose length leaves 2 or 3 over, because their unused bits are zero."""


def to_base64url(raw: bytes) -> str:
    """Return the text that spells `raw`."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def from_base64url(text: str) -> bytes:
    """Return the bytes that `text` spells.

    Raises:
        JoseError: a character is outside the alphabet, there is padding, or unused bits are set.
    """
    if _ALPHABET.fullmatch(text) is None:
        message = "a part is not base64url"
        raise JoseError(message)
    left_over = len(text) % 4
    if left_over == 1:
        message = "a part has an impossible length"
        raise JoseError(message)
    if left_over and text[-1] not in _LAST[left_over]:
        message = "a part is not in its canonical spelling"
        raise JoseError(message)
    return base64.urlsafe_b64decode(text + "==="[left_over - 1 :] if left_over else text)
