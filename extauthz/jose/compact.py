"""Takes a compact JWS apart (RFC 7515 section 7.1) without believing anything in it.

1. Size first: nothing is decoded that is longer than `MAX_TOKEN_BYTES`, or than what the caller says.
2. Shape: three non-empty parts. So JSON serialisations, encrypted tokens (five parts) and unsigned tokens (an empty
   third part) end here.
3. Each part is base64url, in the only spelling of its bytes.
4. The header is strict JSON: no duplicate members, bounded depth. `alg` is a string; `kid` and `typ` are, when present.
5. `crit` is refused whatever it lists, since we implement no extension (RFC 7515 section 4.1.11); `b64` (RFC 7797) and
   the encryption members are refused too, because they change what the other parts mean.

`jku`, `x5u`, `jwk` and `x5c` are left unread: keys come from configured issuers only (RFC 8725 section 3.10), but for
the `jwk` of a DPoP proof, which `identity/dpop.py` reads. The payload is not parsed here and no signature is checked
here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from extauthz.errors import JoseError, StrictJsonError
from extauthz.jose.base64url import from_base64url
from extauthz.limits import MAX_JOSE_HEADER_BYTES, MAX_KID_BYTES, MAX_TOKEN_BYTES
from extauthz.model.wide import wide
from extauthz.strictjson import load_object

if TYPE_CHECKING:
    from collections.abc import Mapping

_PARTS: Final = 3
_REFUSED_MEMBERS: Final = ("crit", "b64", "enc", "zip")


@wide
@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedJws:
    """The parts of a token that nobody has verified.

    Attributes:
        algorithm: `alg` as sent; it may name an algorithm only after the issuer's allow-list agreed.
        kid: `kid` as sent, None when absent. A look-up key and nothing else.
        typ: `typ` as sent, None when absent.
        header: all members of the header.
        payload: the decoded second part.
        signing_input: the bytes that the signature covers.
        signature: the decoded third part.
    """

    algorithm: str
    kid: str | None
    typ: str | None
    header: Mapping[str, Any]
    payload: bytes
    signing_input: bytes
    signature: bytes


def parse_compact(unverified_text: str, *, remember: bool = True, max_bytes: int = MAX_TOKEN_BYTES) -> UnverifiedJws:
    """Return the parts of a compact JWS.

    Args:
        unverified_text: what was sent.
        remember: whether its header is one of few; a header that holds the client's own key is not.
        max_bytes: longest accepted; what an issuer serves may be longer than what a client sends.

    Raises:
        JoseError: it breaks one of the rules at the top of this file.
    """
    # 1. Size.
    if len(unverified_text) > max_bytes:
        message = "the token is too long"
        raise JoseError(message)
    # 2. Shape.
    parts = unverified_text.split(".", _PARTS)
    if len(parts) != _PARTS or not all(parts):
        message = "not three non-empty parts"
        raise JoseError(message)
    first, second, third = parts
    # 3. Spelling.
    try:
        payload, signature = from_base64url(second), from_base64url(third)
    except JoseError:
        from_base64url(first)  # Of several misspelt parts the first is the one that is told of.
        raise
    # 3. to 5. Header, whose spelling is known where it is remembered.
    algorithm, kid, typ, header = _load_header(first) if remember else _load_header.__wrapped__(first)
    return UnverifiedJws(
        algorithm=algorithm,
        kid=kid,
        typ=typ,
        header=header,
        payload=payload,
        signing_input=f"{first}.{second}".encode(),
        signature=signature,
    )


@lru_cache(maxsize=256)
def _load_header(part: str) -> tuple[str, str | None, str | None, Mapping[str, Any]]:
    """Return `alg`, `kid`, `typ` and all members of a header; tokens that one key signs have the same one.

    What is refused is not remembered, so no text is that spells more than `MAX_JOSE_HEADER_BYTES`.
    """
    raw = from_base64url(part)
    try:
        header = load_object(raw, max_bytes=MAX_JOSE_HEADER_BYTES)
    except StrictJsonError:
        message = "the header is not a strict JSON object"
        raise JoseError(message) from None
    for name in _REFUSED_MEMBERS:
        if name in header:
            message = f"the header has a `{name}` member"
            raise JoseError(message)
    return _required_text(header, "alg"), _kid(header), _optional_text(header, "typ"), MappingProxyType(header)


def _required_text(header: Mapping[str, Any], name: str) -> str:
    value = _optional_text(header, name)
    if value is None:
        message = f"the header has no `{name}`"
        raise JoseError(message)
    return value


def _optional_text(header: Mapping[str, Any], name: str) -> str | None:
    if name not in header:
        return None
    value = header[name]
    if not isinstance(value, str):
        message = f"`{name}` is not a string"
        raise JoseError(message)
    return value


def _kid(header: Mapping[str, Any]) -> str | None:
    kid = _optional_text(header, "kid")
    # Counted in characters: at most four bytes each, and only an upper bound is needed.
    if kid is not None and not 0 < len(kid) <= MAX_KID_BYTES:
        message = "`kid` is empty or too long"
        raise JoseError(message)
    return kid
