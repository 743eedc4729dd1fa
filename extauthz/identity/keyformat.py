"""The text of an API key: `xak_<key id>_<secret>_<checksum>`, lower case, `a-z2-7` (RFC 4648 base32 without padding).

- `xak_` is the same for all keys, so that scanners find keys that were published by mistake:
  `xak_[a-z2-7]{16}_[a-z2-7]{52}_[a-z2-7]{7}`.
- The key id, 80 bits, names the key in lists, records and commands. It is no secret.
- The secret is 256 random bits. Nobody guesses it, so what is stored need not be slow to compute.
- The checksum, CRC-32 over everything before it, tells a typo or a text cut short from a key without looking anything
  up. It proves nothing: everybody can compute it.
"""

from __future__ import annotations

import hmac
import re
from base64 import b32encode
from typing import Final, NamedTuple
from zlib import crc32

ID_BYTES: Final = 10
SECRET_BYTES: Final = 32
SALT_BYTES: Final = 16

_KEY: Final = re.compile(r"(xak_([a-z2-7]{16})_[a-z2-7]{52})_([a-z2-7]{7})")
_CHECKSUM_BYTES: Final = 4


class KeyText(NamedTuple):
    """What has the form of a key; whether it is one, nobody has looked.

    Attributes:
        key_id: its public part.
        body: prefix, id and secret, which the digest is over.
    """

    key_id: str
    body: str

    @property
    def whole(self) -> str:
        """Return the text of the key, checksum included."""
        return f"{self.body}_{_checksum(self.body)}"


def make_key_text(key_id: bytes, secret: bytes) -> KeyText:
    """Return a key.

    Args:
        key_id: `ID_BYTES` random bytes.
        secret: `SECRET_BYTES` random bytes.
    """
    name = _to_base32(key_id)
    return KeyText(name, f"xak_{name}_{_to_base32(secret)}")


def parse_key_text(text: str) -> KeyText | None:
    """Return the parts of a key, or None when this is the text of none."""
    match = _KEY.fullmatch(text)
    if match is None or match[3] != _checksum(match[1]):
        return None
    return KeyText(match[2], match[1])


def digest_key(salt: bytes, key: KeyText) -> bytes:
    """Return what is stored of a key: HMAC-SHA-256 of its text under a salt of its own."""
    return hmac.digest(salt, key.body.encode("ascii"), "sha256")


def _checksum(body: str) -> str:
    return _to_base32(crc32(body.encode("ascii")).to_bytes(_CHECKSUM_BYTES, "big"))


def _to_base32(raw: bytes) -> str:
    return b32encode(raw).decode("ascii").rstrip("=").lower()
