"""Tokens: what the session asks its source for, what it gets, and how it presents it."""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from extauthz.client.system import Machine


_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""`b64token` of RFC 6750 section 2.1; `token68` of RFC 9110."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """What the next token must be good for.

    Attributes:
        resource: identifier of the resource, for the token's audience (RFC 8707).
        scopes: everything asked for so far in this session, sorted; empty when nothing was named.
        acr_values: acceptable authentication contexts in order of preference (RFC 9470); empty when any will do.
        max_age: seconds that the sign-in may lie back; None when its age does not matter.
        proof_algorithms: JWS algorithms of DPoP proofs that the resource takes; empty where it asks for none.
        authorization_servers: who gives out tokens for the resource, by its own validated metadata; may be empty.
        rejected: the token that was refused as invalid, so that a cache does not give it out again; None when none was.
    """

    resource: str
    scopes: tuple[str, ...] = ()
    acr_values: tuple[str, ...] = ()
    max_age: int | None = None
    proof_algorithms: tuple[str, ...] = ()
    authorization_servers: tuple[str, ...] = ()
    rejected: Token | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """An access token.

    Attributes:
        value: as it goes into `Authorization`.
        sign: signs the claims of a DPoP proof with the key that the token is bound to, and returns the compact JWS with
            `typ` `dpop+jwt` and the public key as `jwk` (RFC 9449 section 4.2); None for a bearer token.

    Raises:
        ValueError: the value cannot stand in a header as a token.
    """

    value: str = field(repr=False)
    sign: Callable[[Mapping[str, Any]], str] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse what would be read as something else than one token."""
        if _TOKEN.fullmatch(self.value) is None:
            message = "not a token: only letters, digits and -._~+/ with = at the end"
            raise ValueError(message)

    @property
    def scheme(self) -> str:
        """Return the authentication scheme it is presented in, in lower case."""
        return "bearer" if self.sign is None else "dpop"

    def present(self, method: str, url: str, nonce: str, machine: Machine) -> dict[str, str]:
        """Return the headers that present it with this request; `nonce` is empty where none is known."""
        if self.sign is None:
            return {"authorization": f"Bearer {self.value}"}
        claims: dict[str, Any] = {
            "jti": machine.unique(),
            "htm": method,
            "htu": urlunsplit((*urlsplit(url)[:3], "", "")),
            "iat": int(machine.now()),
            "ath": urlsafe_b64encode(hashlib.sha256(self.value.encode("ascii")).digest()).rstrip(b"=").decode(),
        }
        if nonce:
            claims["nonce"] = nonce
        return {"authorization": f"DPoP {self.value}", "dpop": self.sign(claims)}


class TokenSource(Protocol):
    """Fetches tokens; the only part that knows an authorization server and a secret."""

    def __call__(self, request: TokenRequest) -> Token | None:
        """Return a token, as near to what is asked for as can be had; None when none can be had.

        A source that has nobody to send to a sign-in page returns None when it is asked for `acr_values` or `max_age`.
        It is called once when the session starts with nothing named, and then whenever a refusal asks for more.
        """
        ...
