"""Demo access tokens (RFC 9068) and the keys that sign them. No I/O; the instant is an argument."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from extauthz.demo.clients import AUDIENCE, PASSWORD, SIGNED_IN_SECONDS_AGO

if TYPE_CHECKING:
    from extauthz.clock import Instant
    from extauthz.demo.clients import DemoClient

ACCESS_TOKEN: Final = "at+jwt"  # noqa: S105 — a media type
"""`typ` of an access token (RFC 9068)."""

DEFAULT_LIFETIME: Final = 900
"""Seconds that a demo token lives unless asked otherwise."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An ES256 key with a name."""

    kid: str
    private: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def to_jwk(self) -> dict[str, Any]:
        """Return the public half as a JWK (RFC 7517)."""
        jwk = ECAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return {**jwk, "kid": self.kid, "alg": "ES256", "use": "sig"}

    def sign(self, claims: dict[str, Any], kind: str = ACCESS_TOKEN) -> str:
        """Return `claims` as a compact JWS whose `typ` is `kind`."""
        return jwt.encode(claims, self.private, algorithm="ES256", headers={"kid": self.kid, "typ": kind})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a token request asks for beyond the client's own facts.

    Attributes:
        scope: space-separated; None means everything the client may have.
        audience: `aud`.
        acr: a stronger sign-in that the person performs now; empty for none.
        lifetime: seconds until `exp`, negative for a token that has already expired.
    """

    scope: str | None = None
    audience: str = AUDIENCE
    acr: str = ""
    lifetime: int = DEFAULT_LIFETIME


def to_claims(issuer: str, client: DemoClient, wish: Wish, now: Instant) -> dict[str, Any]:
    """Return the claims of a token for `client`."""
    issued = int(now) + min(0, wish.lifetime - DEFAULT_LIFETIME)
    claims: dict[str, Any] = {
        "iss": issuer,
        "sub": client.subject,
        "client_id": client.client_id,
        "aud": wish.audience,
        "iat": issued,
        "exp": int(now) + wish.lifetime,
        "jti": secrets.token_hex(8),
        "scope": " ".join(client.scopes) if wish.scope is None else wish.scope,
        "kind": client.kind,
        "tenant": client.tenant,
        "roles": list(client.roles),
    }
    if client.kind == "user":
        claims["acr"] = wish.acr or PASSWORD
        claims["auth_time"] = int(now) - (0 if wish.acr else SIGNED_IN_SECONDS_AGO)
    if client.agent:
        claims["act"] = {"sub": client.agent, "kind": "agent", "roles": list(client.roles)}
    return claims
