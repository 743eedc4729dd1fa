"""One public key that a client brings along (RFC 7517), and its name (RFC 7638).

The key is read by the rules for issuers' keys (`keyset.py`): public members only, known types and curves, bounded RSA
sizes. It proves nothing by itself; whoever uses it compares its thumbprint with one that somebody has vouched for.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from extauthz.errors import JoseError
from extauthz.jose.base64url import to_base64url
from extauthz.jose.keyset import read_public_key

if TYPE_CHECKING:
    from extauthz.ports import VerificationKey

_REQUIRED_MEMBERS: Final = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}
"""`kty` → the members of a thumbprint in their order (RFC 7638 section 3.2, RFC 8037 section 2)."""


def parse_public_jwk(unverified_jwk: object, algorithm: str) -> tuple[VerificationKey, str]:
    """Return a key that is good for `algorithm`, and its SHA-256 thumbprint in base64url.

    Args:
        unverified_jwk: a value from strict JSON.
        algorithm: a JWS algorithm that is accepted here.

    Raises:
        JoseError: it is no public key for that algorithm.
    """
    if not isinstance(unverified_jwk, dict):
        message = "the key is not an object"
        raise JoseError(message)
    key = read_public_key(unverified_jwk, algorithm)
    return key, _thumbprint(unverified_jwk)


def _thumbprint(jwk: dict[str, Any]) -> str:
    # A key that could be read has these members, all of them base64url or names of ours: nothing needs an escape.
    members = ",".join(f'"{name}":"{jwk[name]}"' for name in _REQUIRED_MEMBERS[jwk["kty"]])
    return to_base64url(sha256(f"{{{members}}}".encode()).digest())
