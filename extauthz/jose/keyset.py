"""Reads the JWK set of an issuer (RFC 7517) into keys that are each good for exactly one algorithm.

1. The text is strict JSON within `MAX_JWKS_BYTES`, an object with a list `keys` of at most `MAX_KEYS_PER_ISSUER`.
2. Keys that are not for verifying (`use`, `key_ops`), of another kind (`oct` above all), on other curves or for other
   algorithms than the issuer's are skipped: sets are shared with other users of the issuer. In the bundle of a SPIFFE
   trust domain only keys with `use: jwt-svid` and a name sign tokens.
3. A key with private members is refused: whoever published it let everybody sign (and `oct` is nothing but private).
4. Two keys of one name are both refused, since a token could not say which it means. Keys without a name are kept.
5. RSA keys have 2048 to 8192 bits and an odd exponent up to 32 bits.
6. A set without any usable key is an error, so that a last good set is kept instead of being emptied.

One bad key does not spoil the others: it is left out and counted. `x5c`, `x5u` and the like are left unread.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

from extauthz.errors import JoseError, StrictJsonError
from extauthz.jose.algorithms import CURVES, fitting_algorithms
from extauthz.jose.base64url import from_base64url
from extauthz.limits import MAX_JWKS_BYTES, MAX_KEYS_PER_ISSUER, MAX_KID_BYTES, MAX_RSA_BITS, MIN_RSA_BITS
from extauthz.ports import VerificationKey
from extauthz.strictjson import load_object

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

SIGNATURES: Final = "sig"
"""`use` of keys that verify signatures (RFC 7517 section 4.2)."""

JWT_SVIDS: Final = "jwt-svid"
"""`use` of the keys in a bundle that verify JWT-SVIDs."""

_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_MAX_RSA_EXPONENT_BITS: Final = 32
"""Larger exponents make verification as slow as signing; everybody uses 65537."""
_ED25519_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class KeySet:
    """The usable keys of one issuer.

    Attributes:
        keys: (kid, algorithm) → key, for keys that have a name.
        only: algorithm → the key to use for tokens without `kid`; present where exactly one key fits.
        left_out: why keys were skipped or refused → how many, for the log.
    """

    keys: Mapping[tuple[str, str], VerificationKey]
    only: Mapping[str, VerificationKey]
    left_out: Mapping[str, int] = field(default_factory=dict)

    def find(self, kid: str | None, algorithm: str) -> VerificationKey | None:
        """Return the key named `kid`, or without `kid` the only one, for `algorithm`; None when there is none."""
        return self.only.get(algorithm) if kid is None else self.keys.get((kid, algorithm))

    @property
    def names(self) -> tuple[str, ...]:
        """Return the key names, sorted, for the log."""
        return tuple(sorted({kid for kid, _ in self.keys}))


class _LeftOutError(JoseError):
    """This key is not used; the message says why."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    kid: str
    algorithms: tuple[str, ...]
    key: Any


def parse_keyset(raw: bytes, algorithms: Collection[str], use: str = SIGNATURES) -> KeySet:
    """Return the keys in `raw` that verify one of `algorithms`.

    Args:
        raw: the JWK set as the issuer serves it.
        algorithms: what the issuer may sign with.
        use: what the keys are published for; see rule 2.

    Raises:
        JoseError: `raw` is not a JWK set, holds too many keys, or none that is usable.
    """
    left_out: Counter[str] = Counter()
    candidates = []
    for jwk in _members(raw):
        try:
            candidates.append(_candidate(jwk, algorithms, use))
        except _LeftOutError as reason:
            left_out[str(reason)] += 1
    named = Counter(candidate.kid for candidate in candidates if candidate.kid)
    usable = [candidate for candidate in candidates if named[candidate.kid] <= 1]
    if len(usable) < len(candidates):
        left_out["the same kid twice"] += len(candidates) - len(usable)
    if not usable:
        message = "the key set has no usable key" + "".join(f"; {why}: {count}" for why, count in left_out.items())
        raise JoseError(message)
    return _keyset(usable, left_out)


def read_public_key(jwk: Mapping[str, Any], algorithm: str) -> VerificationKey:
    """Return a single key by rules 2, 3 and 5, good for `algorithm` and without a name.

    Raises:
        JoseError: it breaks one of them.
    """
    return VerificationKey("", algorithm, _candidate(jwk, (algorithm,), SIGNATURES).key)


def _members(raw: bytes) -> Iterable[object]:
    try:
        keys = load_object(raw, max_bytes=MAX_JWKS_BYTES).get("keys")
    except StrictJsonError:
        message = "the key set is not a strict JSON object"
        raise JoseError(message) from None
    if not isinstance(keys, list):
        message = "the key set has no list `keys`"
        raise JoseError(message)
    if len(keys) > MAX_KEYS_PER_ISSUER:
        message = "the key set has too many keys"
        raise JoseError(message)
    return keys


def _keyset(usable: list[_Candidate], left_out: Mapping[str, int]) -> KeySet:
    bound = [
        VerificationKey(candidate.kid, algorithm, candidate.key)
        for candidate in usable
        for algorithm in candidate.algorithms
    ]
    how_many = Counter(key.algorithm for key in bound)
    return KeySet(
        keys={(key.kid, key.algorithm): key for key in bound if key.kid},
        only={key.algorithm: key for key in bound if how_many[key.algorithm] == 1},
        left_out=dict(left_out),
    )


def _candidate(jwk: object, allowed: Collection[str], use: str) -> _Candidate:
    if not isinstance(jwk, dict):
        message = "not an object"
        raise _LeftOutError(message)
    _require_for_verifying(jwk, use)
    if not _PRIVATE_MEMBERS.isdisjoint(jwk):
        message = "with private members"
        raise _LeftOutError(message)
    kid = jwk.get("kid", "")
    if not isinstance(kid, str) or len(kid) > MAX_KID_BYTES:
        message = "kid not a short string"
        raise _LeftOutError(message)
    algorithms = _algorithms(jwk, allowed)
    try:
        return _Candidate(kid, algorithms, _public_key(jwk))
    except (JoseError, ValueError):
        # `cryptography` raises ValueError for points off the curve and impossible exponents.
        message = "malformed or weak"
        raise _LeftOutError(message) from None


def _require_for_verifying(jwk: Mapping[str, Any], use: str) -> None:
    operations = jwk.get("key_ops", ["verify"])
    # Without `use` a key of an issuer may sign; a bundle holds keys for several things, so there it must say which.
    fits = jwk.get("use", SIGNATURES) == use and (use == SIGNATURES or bool(jwk.get("kid")))
    if not fits or not isinstance(operations, list) or "verify" not in operations:
        message = "not for verifying"
        raise _LeftOutError(message)


def _algorithms(jwk: Mapping[str, Any], allowed: Collection[str]) -> tuple[str, ...]:
    # `kty` and `crv` may be of any type in hostile sets; text is all that they are compared as.
    key_type = str(jwk.get("kty"))
    curve = "" if key_type == "RSA" else str(jwk.get("crv"))
    fitting = [name for name in fitting_algorithms(key_type, curve) if name in allowed]
    if "alg" in jwk:
        fitting = [name for name in fitting if name == jwk["alg"]]
    if not fitting:
        message = "for no accepted algorithm"
        raise _LeftOutError(message)
    return tuple(fitting)


def _public_key(jwk: Mapping[str, Any]) -> Any:
    key_type = jwk["kty"]
    if key_type == "RSA":
        return _rsa_key(_octets(jwk, "n"), _octets(jwk, "e"))
    if key_type == "EC":
        curve = CURVES[jwk["crv"]]()
        x, y = _octets(jwk, "x"), _octets(jwk, "y")
        _require(len(x) == len(y) == (curve.key_size + 7) // 8)  # RFC 7518 section 6.2.1.2: full length
        return EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), curve).public_key()
    x = _octets(jwk, "x")
    _require(len(x) == _ED25519_BYTES)
    return Ed25519PublicKey.from_public_bytes(x)


def _rsa_key(modulus: bytes, exponent: bytes) -> Any:
    n, e = int.from_bytes(modulus), int.from_bytes(exponent)
    _require(MIN_RSA_BITS <= n.bit_length() <= MAX_RSA_BITS)
    _require(e.bit_length() <= _MAX_RSA_EXPONENT_BITS)
    return RSAPublicNumbers(e, n).public_key()


def _octets(jwk: Mapping[str, Any], name: str) -> bytes:
    value = jwk.get(name)
    _require(isinstance(value, str))
    return from_base64url(str(value))


def _require(condition: bool) -> None:  # noqa: FBT001 — the condition is all there is to say
    if not condition:
        message = "a member of the key is missing or out of range"
        raise JoseError(message)
