"""A client that holds a key: tokens bound to it, and DPoP proofs, well-formed by default and hostile on request.

`ProofMaker().prove(token)` is a proof for `GET https://api.example.com/` that is accepted at `NOW`; each argument
changes one thing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from extauthz.identity.dpop import DpopRules
from extauthz.identity.htu import Origin
from extauthz.ports import SpendOutcome, Spent
from tests.simulators.tokens import NOW, TokenMaker, to_base64url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.model.spend import Spend

ORIGIN: Final = "https://api.example.com"
RULES: Final = DpopRules(
    origin=Origin("https", "api.example.com", ""),
    algorithms=("ES256", "EdDSA", "RS256"),
    max_age=60.0,
    skew=5.0,
    nonce=False,
)


def thumbprint_of(jwk: Mapping[str, Any]) -> str:
    """Return the RFC 7638 thumbprint of a public key, worked out from the standard's text."""
    members = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}[jwk["kty"]]
    required = {name: jwk[name] for name in members}
    return to_base64url(sha256(json.dumps(required, sort_keys=True, separators=(",", ":")).encode()).digest())


def token_digest(token: str) -> str:
    """Return the `ath` for a token."""
    return to_base64url(sha256(token.encode("ascii")).digest())


@dataclass(frozen=True)
class ProofMaker:
    """A client's key.

    Attributes:
        alg: JWS algorithm.
        name: another one is another key.
    """

    alg: str = "ES256"
    name: str = "client"

    @property
    def key(self) -> TokenMaker:
        """Return what signs."""
        return TokenMaker(issuer=f"https://{self.name}.client.example", alg=self.alg, kid=self.name)

    @property
    def jwk(self) -> dict[str, Any]:
        """Return the public key, with nothing but its required members."""
        return self.key.jwk(kid=None, alg=None, use=None)

    @property
    def thumbprint(self) -> str:
        """Return the `jkt` that tokens for this client hold."""
        return thumbprint_of(self.jwk)

    def bind(self, issuer: TokenMaker, **changes: Any) -> str:
        """Return an access token that is bound to this key; `changes` as in `TokenMaker.mint`."""
        return issuer.mint(**{"cnf": {"jkt": self.thumbprint}, **changes})

    def prove(
        self,
        token: str,
        method: str = "GET",
        address: str = f"{ORIGIN}/",
        *,
        now: float = NOW,
        headers: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        """Return a proof.

        Args:
            token: what `ath` is the digest of.
            method: `htm`.
            address: `htu`.
            now: `iat`, in seconds since the epoch.
            headers: header parameters added or replaced; None as a value removes one.
            changes: claims added or replaced; None removes one.
        """
        header = {"typ": "dpop+jwt", "alg": self.alg, "jwk": self.jwk, **(headers or {})}
        claims = {"jti": "p-1", "htm": method, "htu": address, "iat": int(now), "ath": token_digest(token), **changes}
        return self.key.mint_raw(_json(header), _json(claims))


def _json(members: Mapping[str, Any]) -> bytes:
    return json.dumps({name: value for name, value in members.items() if value is not None}).encode()


@dataclass
class MemoryTill:
    """A `Spender` that remembers what was spent and forgets nothing.

    Attributes:
        spent: key → the question that spent it.
    """

    spent: dict[bytes, bytes] = field(default_factory=dict)

    def spend(self, spends: tuple[Spend, ...], question: bytes, timeout: float) -> Spent:
        """Take all of `spends` or none; the same question takes nothing twice."""
        del timeout
        for one in spends:
            if self.spent.get(one.key, question) != question:
                return Spent(SpendOutcome.REFUSED, one)
        self.spent.update({one.key: question for one in spends})
        return Spent(SpendOutcome.DONE)
