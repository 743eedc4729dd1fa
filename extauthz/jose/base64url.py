"""Base64url without padding (RFC 7515 section 2), in its only spelling.

Lenient decoders accept several texts for the same bytes; then two tokens that differ as text are equal as credentials,
and everything that remembers tokens by their text can be walked round.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from extauthz.errors import JoseError

_TO_STANDARD: Final = bytes.maketrans(b"-_+/=", b"+/!!!")
"""Our alphabet in the standard one, which the decoder knows; what is of that one only is nothing that it knows."""

_LAST: Final = {2: frozenset("AQgw"), 3: frozenset("AEIMQUYcgkosw048")}
"""Characters that can end a text whose length leaves 2 or 3 over, because their unused bits are zero."""

_PADDING: Final = {0: b"", 2: b"==", 3: b"="}


def to_base64url(raw: bytes) -> str:
    """Return the text that spells `raw`."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def from_base64url(text: str) -> bytes:
    """Return the bytes that `text` spells.

    Raises:
        JoseError: a character is outside the alphabet, there is padding, or unused bits are set.
    """
    left_over = len(text) % 4
    if left_over == 1:
        message = "a part has an impossible length"
        raise JoseError(message)
    if left_over and text[-1] not in _LAST[left_over]:
        message = "a part is not in its canonical spelling"
        raise JoseError(message)
    try:
        return binascii.a2b_base64(text.encode("ascii").translate(_TO_STANDARD) + _PADDING[left_over], strict_mode=True)
    except ValueError:
        message = "a part is not base64url"
        raise JoseError(message) from None
