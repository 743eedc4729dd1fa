"""Base64url without padding (RFC 7515 section 2), in its only spelling.

Lenient decoders accept several texts for the same bytes; then two tokens that differ as text are equal as credentials,
and everything that remembers tokens by their text can be walked round.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from extauthz.errors import JoseError

_ALPHABET: Final = re.compile(r"[A-Za-z0-9_-]*")


def from_base64url(text: str) -> bytes:
    """Return the bytes that `text` spells.

    Raises:
        JoseError: a character is outside the alphabet, there is padding, or unused bits are set.
    """
    if _ALPHABET.fullmatch(text) is None:
        message = "a part is not base64url"
        raise JoseError(message)
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        message = "a part has an impossible length"
        raise JoseError(message) from None
    if base64.urlsafe_b64encode(raw).rstrip(b"=") != text.encode():
        message = "a part is not in its canonical spelling"
        raise JoseError(message)
    return raw
