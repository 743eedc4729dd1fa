"""The closed table of signature algorithms, and the only place that checks a signature.

A key is bound to one algorithm before a token is seen (`ports.VerificationKey`), so a token cannot choose how its key
is used (RFC 8725 sections 2.1 and 3.1). There is no symmetric algorithm in the table, so a public key can never serve
as a secret, and no `none`. `EdDSA` means Ed25519 only, which RFC 9864 calls by its own name; both spellings are
accepted, each only where an issuer lists it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, SECP521R1, EllipticCurve
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm, RSAPSSAlgorithm

from extauthz.errors import JoseError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.jose.compact import UnverifiedJws
    from extauthz.ports import VerificationKey

KeyType = Literal["EC", "RSA", "OKP"]
"""The `kty` values that hold keys for our algorithms (RFC 7518 section 6.1, RFC 8037 section 2)."""

CURVES: Final[Mapping[str, type[EllipticCurve]]] = {"P-256": SECP256R1, "P-384": SECP384R1, "P-521": SECP521R1}
"""`crv` → elliptic curve (RFC 7518 section 6.2.1.1)."""


@dataclass(frozen=True, slots=True)
class SignatureAlgorithm:
    """How one JWS algorithm is verified, and which keys fit it.

    Attributes:
        name: `alg` value, case-sensitive.
        key_type: `kty` of its keys.
        curve: `crv` of its keys; empty for RSA.
        primitive: PyJWT's implementation.
    """

    name: str
    key_type: KeyType
    curve: str
    primitive: Any


def _table() -> dict[str, SignatureAlgorithm]:
    # The primitives are given no expectation of a curve: `keyset.py` binds curve and algorithm when it reads the key.
    rows = (
        SignatureAlgorithm("ES256", "EC", "P-256", ECAlgorithm(ECAlgorithm.SHA256)),
        SignatureAlgorithm("ES384", "EC", "P-384", ECAlgorithm(ECAlgorithm.SHA384)),
        SignatureAlgorithm("ES512", "EC", "P-521", ECAlgorithm(ECAlgorithm.SHA512)),
        SignatureAlgorithm("RS256", "RSA", "", RSAAlgorithm(RSAAlgorithm.SHA256)),
        SignatureAlgorithm("RS384", "RSA", "", RSAAlgorithm(RSAAlgorithm.SHA384)),
        SignatureAlgorithm("RS512", "RSA", "", RSAAlgorithm(RSAAlgorithm.SHA512)),
        SignatureAlgorithm("PS256", "RSA", "", RSAPSSAlgorithm(RSAPSSAlgorithm.SHA256)),
        SignatureAlgorithm("PS384", "RSA", "", RSAPSSAlgorithm(RSAPSSAlgorithm.SHA384)),
        SignatureAlgorithm("PS512", "RSA", "", RSAPSSAlgorithm(RSAPSSAlgorithm.SHA512)),
        SignatureAlgorithm("EdDSA", "OKP", "Ed25519", OKPAlgorithm()),
        SignatureAlgorithm("Ed25519", "OKP", "Ed25519", OKPAlgorithm()),
    )
    return {row.name: row for row in rows}


ALGORITHMS: Final[Mapping[str, SignatureAlgorithm]] = _table()
"""Every algorithm there is for us."""


def fitting_algorithms(key_type: str, curve: str) -> tuple[str, ...]:
    """Return the names of the algorithms that a key of this type and curve can serve, in table order."""
    return tuple(name for name, row in ALGORITHMS.items() if (row.key_type, row.curve) == (key_type, curve))


def verify_signature(jws: UnverifiedJws, key: VerificationKey) -> None:
    """Verify that `key` signed `jws` with the one algorithm that `key` is good for.

    Raises:
        JoseError: the header names another algorithm, or the signature is wrong.
    """
    if jws.algorithm != key.algorithm:
        message = "the header names another algorithm than the key's"
        raise JoseError(message)
    algorithm = ALGORITHMS.get(key.algorithm)
    if algorithm is None:
        message = "the key is bound to an algorithm that is not in the table"
        raise JoseError(message)
    # PyJWT answers with a boolean; anything but the value True is a refusal.
    if algorithm.primitive.verify(jws.signing_input, key.key, jws.signature) is not True:
        message = "the signature does not verify"
        raise JoseError(message)
