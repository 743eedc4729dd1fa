"""A client's own key and its name."""

from __future__ import annotations

from typing import Any

import pytest

from extauthz.errors import JoseError
from extauthz.jose.jwk import parse_public_jwk
from tests.simulators.dpop import ProofMaker, thumbprint_of

EC_KEY = {
    "kty": "EC",
    "crv": "P-256",
    "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
    "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
}
"""The key of RFC 9449 section 4.1."""

RSA_MODULUS = (
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhM"
    "stn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5"
    "hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
)
"""Of the key of RFC 7638 section 3.1."""


@pytest.mark.parametrize(
    ("jwk", "algorithm", "thumbprint"),
    [
        (EC_KEY, "ES256", "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"),
        ({"kty": "RSA", "n": RSA_MODULUS, "e": "AQAB"}, "RS256", "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
        (
            {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
            "EdDSA",
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        ),
    ],
    ids=["RFC 9449", "RFC 7638", "RFC 8037"],
)
def test_thumbprints_of_the_standards(jwk: dict[str, Any], algorithm: str, thumbprint: str) -> None:
    """Members that a thumbprint leaves out, and their order, change nothing."""
    for same in (jwk, {"kid": "a", "use": "sig", "key_ops": ["verify"], **dict(reversed(jwk.items()))}):
        key, name = parse_public_jwk(same, algorithm)
        assert name == thumbprint
        assert key.algorithm == algorithm
    assert thumbprint_of(jwk) == thumbprint


@pytest.mark.parametrize(
    ("algorithm", "member", "value"),
    [
        *(("ES256", name, "AA") for name in ("d", "p", "q", "dp", "dq", "qi", "oth", "k")),
        ("ES256", "crv", "P-384"),
        ("ES256", "crv", "secp256k1"),
        ("ES256", "crv", ["P-256"]),
        ("ES256", "kty", "oct"),
        ("ES256", "kty", None),
        ("ES256", "x", None),
        ("ES256", "x", 7),
        ("ES256", "x", EC_KEY["x"] + "="),
        ("ES256", "x", EC_KEY["x"][:-1]),
        ("ES256", "y", EC_KEY["x"]),
        ("ES256", "use", "enc"),
        ("ES256", "key_ops", ["sign"]),
        ("ES256", "alg", "ES384"),
        ("ES256", "kid", "k" * 300),
        ("RS256", "n", "AQAB"),
        ("RS256", "e", "A" * 100),
        ("EdDSA", "x", "AQAB"),
    ],
)
def test_bad_keys_are_refused(algorithm: str, member: str, value: object) -> None:
    """Private members, wrong kinds, lengths and curves; each beside the same key as it should be."""
    jwk = ProofMaker(alg=algorithm).jwk
    assert parse_public_jwk(jwk, algorithm)[1] == thumbprint_of(jwk)
    with pytest.raises(JoseError):
        parse_public_jwk({**jwk, member: value}, algorithm)


@pytest.mark.parametrize("value", [None, "key", [EC_KEY], 1, {}])
def test_what_is_no_key_is_refused(value: object) -> None:
    """A key is an object with the members of its type."""
    with pytest.raises(JoseError):
        parse_public_jwk(value, "ES256")


@pytest.mark.parametrize("algorithm", ["ES384", "RS256", "EdDSA", "HS256", "none"])
def test_a_key_is_good_for_its_algorithm_only(algorithm: str) -> None:
    """Also when the algorithm is none of ours."""
    with pytest.raises(JoseError):
        parse_public_jwk(EC_KEY, algorithm)
