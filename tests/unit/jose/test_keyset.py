"""A published key set becomes usable keys; a bad key spoils itself only, a bad set spoils nothing that we hold."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import ECAlgorithm

from extauthz.errors import JoseError
from extauthz.jose.keyset import JWT_SVIDS, KeySet, parse_keyset
from extauthz.limits import MAX_JWKS_BYTES, MAX_KEYS_PER_ISSUER, MAX_KID_BYTES
from tests.simulators.tokens import TokenMaker, algorithm_of, private_key, to_base64url

ALL = ("ES256", "ES384", "ES512", "RS256", "PS256", "EdDSA")
GOOD = TokenMaker(kid="good")


def parse(*jwks: Any, algorithms: tuple[str, ...] = ALL) -> KeySet:
    """Return the key set of these JWKs."""
    return parse_keyset(json.dumps({"keys": list(jwks)}).encode(), algorithms)


def rsa_jwk(**members: Any) -> dict[str, Any]:
    """Return an RSA JWK named `r`."""
    return TokenMaker(alg="RS256", kid="r").jwk(**members)


@pytest.mark.parametrize("alg", ALL)
def test_a_published_key_is_found_by_name_and_algorithm(alg: str) -> None:
    """It is the very key that signs."""
    maker = TokenMaker(alg=alg)
    found = parse(maker.jwk()).find("k1", alg)
    assert found == maker.verification_key()


def test_a_key_is_not_found_under_another_name_or_algorithm() -> None:
    """Neither half of the name is enough."""
    keys = parse(GOOD.jwk())
    assert keys.find("good", "ES384") is None
    assert keys.find("Good", "ES256") is None
    assert keys.find("", "ES256") is None


def test_a_key_without_alg_serves_each_accepted_algorithm_by_a_key_of_its_own() -> None:
    """An RSA key serves RS256 and PS256 where the issuer may use both, each bound to one."""
    keys = parse(rsa_jwk(alg=None), algorithms=("RS256", "PS256"))
    found = [keys.find("r", name) for name in ("RS256", "PS256", "RS512")]
    assert [key and key.algorithm for key in found] == ["RS256", "PS256", None]


def test_a_key_with_alg_serves_that_one_only() -> None:
    """`alg` in the key narrows what its type would allow (RFC 8725 section 3.1)."""
    keys = parse(rsa_jwk(alg="PS256"), algorithms=("RS256", "PS256"))
    assert keys.find("r", "RS256") is None
    assert keys.find("r", "PS256") is not None


def test_without_kid_the_only_key_is_found_and_of_two_none() -> None:
    """A token without `kid` never makes us try several keys."""
    assert parse(GOOD.jwk()).find(None, "ES256") is not None
    assert parse(GOOD.jwk(kid=None)).find(None, "ES256") is not None
    assert parse(GOOD.jwk(), TokenMaker(kid="other").jwk()).find(None, "ES256") is None
    assert parse(GOOD.jwk(kid=None), TokenMaker(kid="other").jwk(kid=None)).find(None, "ES256") is None


def test_a_nameless_key_is_not_found_by_any_name() -> None:
    """A token that names a key means a key of that name."""
    assert parse(GOOD.jwk(kid=None)).find("good", "ES256") is None


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (TokenMaker(kid="enc").jwk(use="enc"), "not for verifying"),
        (TokenMaker(kid="use").jwk(use=1), "not for verifying"),
        (TokenMaker(kid="ops").jwk(key_ops=["encrypt"]), "not for verifying"),
        (TokenMaker(kid="ops").jwk(key_ops="verify"), "not for verifying"),
        (TokenMaker(kid="priv").jwk(d="AAAA"), "with private members"),
        (rsa_jwk(p="AAAA"), "with private members"),
        ({"kty": "oct", "kid": "o", "k": "c2VjcmV0"}, "with private members"),
        ({"kty": "oct", "kid": "o"}, "for no accepted algorithm"),
        ({"kty": "oct", "kid": "o", "alg": "HS256"}, "for no accepted algorithm"),
        (TokenMaker(kid="x").jwk(alg="HS256"), "for no accepted algorithm"),
        (TokenMaker(kid="x").jwk(alg="RS256"), "for no accepted algorithm"),
        (TokenMaker(kid="x").jwk(alg=["ES256"]), "for no accepted algorithm"),
        (TokenMaker(kid="x", alg="ES384").jwk(alg="ES256"), "for no accepted algorithm"),
        (TokenMaker(kid="x").jwk(crv="secp256k1"), "for no accepted algorithm"),
        (TokenMaker(kid="x").jwk(kty=["EC"]), "for no accepted algorithm"),
        (TokenMaker(kid="x").jwk(kty=None), "for no accepted algorithm"),
        (TokenMaker(kid="x").jwk(kid=7), "kid not a short string"),
        (TokenMaker(kid="x").jwk(kid="k" * 300), "kid not a short string"),
        (TokenMaker(kid="x").jwk(x="AAAA"), "malformed or weak"),
        (TokenMaker(kid="x").jwk(x=to_base64url(b"\x01" * 32)), "malformed or weak"),
        (TokenMaker(kid="x").jwk(x=None), "malformed or weak"),
        (TokenMaker(kid="x").jwk(x=5), "malformed or weak"),
        (TokenMaker(kid="x", alg="EdDSA").jwk(x="AAAA"), "malformed or weak"),
        (rsa_jwk(n="not base64url!"), "malformed or weak"),
        (rsa_jwk(n=to_base64url(b"\xff" * 127)), "malformed or weak"),
        (rsa_jwk(n=to_base64url(b"\xff" * 1025)), "malformed or weak"),
        (rsa_jwk(e=to_base64url(b"\x01" * 5)), "malformed or weak"),
        (rsa_jwk(e="AQ"), "malformed or weak"),
        ("a string", "not an object"),
        (None, "not an object"),
    ],
)
def test_a_bad_key_is_left_out_and_counted_and_the_good_one_stays(bad: Any, why: str) -> None:
    """One bad key does not take the issuer's others with it."""
    keys = parse(bad, GOOD.jwk())
    assert keys.left_out == {why: 1}
    assert keys.names == ("good",)
    assert keys.find("good", "ES256") == GOOD.verification_key()


def _weak_key() -> rsa.RSAPublicKey:
    return rsa.generate_private_key(65537, 1024).public_key()  # noqa: S505 — its weakness is what the test is about


def test_bounds_themselves_are_within_bounds() -> None:
    """The longest name, the largest exponent, the most keys."""
    assert parse(GOOD.jwk(kid="k" * MAX_KID_BYTES)).names == ("k" * MAX_KID_BYTES,)
    assert parse(rsa_jwk(e=to_base64url(b"\xff" * 4))).names == ("r",)
    assert (
        len(parse(*[GOOD.jwk(kid=f"k{number}") for number in range(MAX_KEYS_PER_ISSUER)]).names) == MAX_KEYS_PER_ISSUER
    )


def test_rsa_keys_of_1024_bits_are_too_weak_and_2048_are_enough() -> None:
    """The bound is RFC 7518 section 3.3; the weak key is a real one."""
    weak = algorithm_of("RS256").to_jwk(_weak_key(), as_dict=True)
    strong = algorithm_of("RS256").to_jwk(private_key("RS256", "strong").public_key(), as_dict=True)
    assert parse({**weak, "kid": "w"}, {**strong, "kid": "s"}).names == ("s",)


def test_a_curve_point_of_the_wrong_curve_is_refused() -> None:
    """A key that says P-256 with coordinates of P-384 is no key."""
    jwk = dict(ECAlgorithm.to_jwk(private_key("ES384", "x").public_key(), as_dict=True))
    assert parse({**jwk, "crv": "P-256", "kid": "x"}, GOOD.jwk()).left_out == {"malformed or weak": 1}


def test_a_bundle_holds_keys_for_several_things_and_each_says_for_what() -> None:
    """Of a SPIFFE bundle only keys for JWT-SVIDs that have a name sign tokens; elsewhere those do not."""
    jwks = [
        TokenMaker(kid="jwt").jwk(use="jwt-svid"),
        TokenMaker(kid="x509").jwk(use="x509-svid"),
        TokenMaker(kid="sig").jwk(use="sig"),
        TokenMaker(kid="silent").jwk(use=None),
        TokenMaker(kid="").jwk(use="jwt-svid", kid=None),
        TokenMaker(kid="empty").jwk(use="jwt-svid", kid=""),
    ]
    raw = json.dumps({"keys": jwks, "spiffe_sequence": 1, "spiffe_refresh_hint": 300}).encode()
    bundle = parse_keyset(raw, ("ES256",), JWT_SVIDS)
    assert bundle.names == ("jwt",)
    assert bundle.find(None, "ES256") is bundle.find("jwt", "ES256") is not None
    assert parse_keyset(raw, ("ES256",)).names == ("sig", "silent")


def test_two_keys_of_one_name_are_both_refused() -> None:
    """A token could not say which it means; a third of another name stays."""
    keys = parse(TokenMaker(kid="twin").jwk(), TokenMaker(kid="twin", alg="ES384").jwk(), GOOD.jwk())
    assert keys.names == ("good",)
    assert keys.left_out == {"the same kid twice": 2}


def test_an_encryption_key_of_the_same_name_does_not_count_as_a_twin() -> None:
    """Only keys that could verify compete for a name."""
    assert parse(GOOD.jwk(use="enc"), GOOD.jwk()).names == ("good",)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "strict JSON"),
        (b"<html>", "strict JSON"),
        (b"[]", "strict JSON"),
        (b'{"keys":[],"keys":[]}', "strict JSON"),
        (b"{}", "no list"),
        (b'{"keys":{}}', "no list"),
        (b'{"keys":[]}', "no usable key"),
        (json.dumps({"keys": [{}]}).encode(), "no usable key; for no accepted algorithm: 1"),
        (json.dumps({"keys": [{}] * (MAX_KEYS_PER_ISSUER + 1)}).encode(), "too many keys"),
        (b'{"keys":[' + b" " * MAX_JWKS_BYTES + b"]}", "strict JSON"),
    ],
)
def test_what_is_no_usable_set_is_an_error(raw: bytes, says: str) -> None:
    """So that whoever holds a last good set keeps it."""
    with pytest.raises(JoseError, match=says):
        parse_keyset(raw, ALL)
