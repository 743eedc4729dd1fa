"""A maker of keys and tokens for tests: well-formed by default, hostile on request.

`TokenMaker().mint()` is an access token that the profile for `https://api.example.com` accepts at `NOW`; each argument
changes one thing. Keys are made once per process and name, so that a maker costs nothing.
"""

from __future__ import annotations

import base64
import functools
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import Algorithm, ECAlgorithm, OKPAlgorithm, RSAAlgorithm, RSAPSSAlgorithm

from extauthz.clock import Instant
from extauthz.ports import VerificationKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.model.state import StateName

NOW: Final = Instant(1_790_000_000.0)
"""The instant at which default tokens are issued."""

ISSUER: Final = "https://issuer.example"
AUDIENCE: Final = "https://api.example.com"


def to_base64url(raw: bytes) -> str:
    """Return the unpadded base64url text of `raw` (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@functools.cache
def _ec_algorithm(name: str) -> ECAlgorithm:
    digests: dict[str, Any] = {
        "ES256": (ECAlgorithm.SHA256, ec.SECP256R1),
        "ES384": (ECAlgorithm.SHA384, ec.SECP384R1),
        "ES512": (ECAlgorithm.SHA512, ec.SECP521R1),
    }
    return ECAlgorithm(*digests[name])


@functools.cache
def algorithm_of(name: str) -> Algorithm:
    """Return PyJWT's algorithm object for a JWS algorithm name."""
    if name.startswith("ES"):
        return _ec_algorithm(name)
    if name in {"EdDSA", "Ed25519"}:
        return OKPAlgorithm()
    maker = RSAAlgorithm if name.startswith("RS") else RSAPSSAlgorithm
    return maker(getattr(maker, f"SHA{name[2:]}"))


@functools.cache
def private_key(alg: str, name: str, rsa_bits: int = 2048) -> Any:
    """Return the private key called `name` that fits `alg`; the same one for the same arguments in this process."""
    curves: dict[str, ec.EllipticCurve] = {
        "ES256": ec.SECP256R1(),
        "ES384": ec.SECP384R1(),
        "ES512": ec.SECP521R1(),
    }
    if alg in curves:
        return ec.generate_private_key(curves[alg])
    if alg in {"EdDSA", "Ed25519"}:
        return ed25519.Ed25519PrivateKey.generate()
    return _rsa_key(name, rsa_bits)


@functools.cache
def _rsa_key(_name: str, bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@dataclass
class MemoryKeys:
    """An in-memory `KeySource`.

    Attributes:
        keys: (issuer, kid, algorithm) → key.
        asked: every question, in order.
    """

    keys: dict[tuple[str, str, str], VerificationKey] = field(default_factory=dict)
    asked: list[tuple[str, str | None, str]] = field(default_factory=list)
    changes: int = 0

    def find_key(self, issuer: str, kid: str | None, algorithm: str) -> VerificationKey | None:
        """Return the key, or without `kid` the only one of the issuer for the algorithm."""
        self.asked.append((issuer, kid, algorithm))
        if kid is not None:
            return self.keys.get((issuer, kid, algorithm))
        fitting = [key for (owner, _, name), key in self.keys.items() if (owner, name) == (issuer, algorithm)]
        return fitting[0] if len(fitting) == 1 else None

    def add(self, maker: TokenMaker) -> MemoryKeys:
        """Put a maker's public key in and return the same source."""
        self.keys[maker.issuer, maker.kid, maker.alg] = maker.verification_key()
        self.changes += 1
        return self

    def remove(self, maker: TokenMaker) -> MemoryKeys:
        """Withdraw a maker's public key and return the same source."""
        del self.keys[maker.issuer, maker.kid, maker.alg]
        self.changes += 1
        return self

    def read_epochs(self, names: tuple[StateName, ...]) -> tuple[int, ...]:
        """Return how often keys were changed, for every issuer alike."""
        return tuple(self.changes for _ in names)


@dataclass(frozen=True)
class TokenMaker:
    """One signing key of one issuer.

    Attributes:
        issuer: the `iss`.
        alg: JWS algorithm.
        kid: key name; another one is another key.
        audience: default `aud`.
        kind: default `kind` claim.
    """

    issuer: str = ISSUER
    alg: str = "ES256"
    kid: str = "k1"
    audience: str = AUDIENCE
    kind: str = "ci"

    @property
    def private(self) -> Any:
        """Return the private key."""
        return private_key(self.alg, f"{self.issuer} {self.kid}")

    def jwk(self, **members: Any) -> dict[str, Any]:
        """Return the public JWK; `members` are added, None removes one."""
        public: Any = algorithm_of(self.alg)
        jwk = dict(public.to_jwk(self.private.public_key(), as_dict=True))
        jwk.pop("key_ops", None)
        jwk |= {"kid": self.kid, "alg": self.alg, "use": "sig", **members}
        return {name: value for name, value in jwk.items() if value is not None}

    def jwks(self, *others: TokenMaker) -> dict[str, Any]:
        """Return the JWK set of this key and those of `others`."""
        return {"keys": [maker.jwk() for maker in (self, *others)]}

    def claims(self, *, now: float = NOW, lifetime: float = 300, **changes: Any) -> dict[str, Any]:
        """Return valid RFC 9068 claims; `changes` replace, None removes."""
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": "deployer",
            "client_id": "pipeline",
            "iat": int(now),
            "exp": int(now + lifetime),
            "jti": "t-1",
            "scope": "",
            "kind": self.kind,
            "tenant": "acme",
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def mint(
        self,
        *,
        now: float = NOW,
        lifetime: float = 300,
        typ: str | None = "at+jwt",
        headers: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        """Return a signed compact JWS.

        Args:
            now: `iat`, in seconds since the epoch.
            lifetime: `exp` less `iat`, in seconds.
            typ: header `typ`; None leaves it out.
            headers: header parameters added or replaced; None as a value removes one.
            changes: claims added or replaced; None removes one.
        """
        header = {"alg": self.alg, "kid": self.kid, "typ": typ, **(headers or {})}
        header = {name: value for name, value in header.items() if value is not None}
        payload = self.claims(now=now, lifetime=lifetime, **changes)
        return self.mint_raw(json.dumps(header).encode(), json.dumps(payload).encode())

    def mint_raw(self, header: bytes, payload: bytes) -> str:
        """Return a compact JWS over exactly these bytes, rightly signed, however wrong they are."""
        signing_input = f"{to_base64url(header)}.{to_base64url(payload)}"
        signature = algorithm_of(self.alg).sign(signing_input.encode(), self.private)
        return f"{signing_input}.{to_base64url(signature)}"

    def forge(self, **arguments: Any) -> str:
        """Return a token that names this key and is signed with another one of the same type."""
        impostor = TokenMaker(issuer="https://impostor.example", alg=self.alg, kid="stolen-name")
        headers = {"kid": self.kid, **(arguments.pop("headers", None) or {})}
        return impostor.mint(headers=headers, **{"iss": self.issuer, "aud": self.audience, **arguments})

    def verification_key(self) -> VerificationKey:
        """Return the public half as the core uses it."""
        return VerificationKey(kid=self.kid, algorithm=self.alg, key=self.private.public_key())

    def key_source(self, *others: TokenMaker) -> MemoryKeys:
        """Return a `KeySource` that holds this key and those of `others`."""
        source = MemoryKeys()
        for maker in (self, *others):
            source.add(maker)
        return source
