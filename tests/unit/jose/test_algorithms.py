"""A signature verifies with one key for one algorithm, or not at all."""

import dataclasses

import pytest

from extauthz.errors import JoseError
from extauthz.jose.algorithms import ALGORITHMS, fitting_algorithms, verify_signature
from extauthz.jose.compact import parse_compact
from tests.simulators.tokens import TokenMaker


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_each_algorithm_accepts_its_own_signature_and_no_other(name: str) -> None:
    """The right key verifies; another key, another message and a changed signature do not."""
    maker = TokenMaker(alg=name)
    jws = parse_compact(maker.mint())
    verify_signature(jws, maker.verification_key())
    wrong = [
        (jws, TokenMaker(alg=name, kid="other").verification_key()),
        (dataclasses.replace(jws, signing_input=jws.signing_input + b"A"), maker.verification_key()),
        (dataclasses.replace(jws, signature=jws.signature[:-1]), maker.verification_key()),
        (dataclasses.replace(jws, signature=bytes(len(jws.signature))), maker.verification_key()),
        (dataclasses.replace(jws, signature=b""), maker.verification_key()),
    ]
    for unverified, key in wrong:
        with pytest.raises(JoseError, match="does not verify"):
            verify_signature(unverified, key)


@pytest.mark.parametrize("alg", ["none", "None", "HS256", "es256", "RS256", "ES384", ""])
def test_the_token_does_not_choose_the_algorithm(alg: str) -> None:
    """A header that names anything but the key's algorithm is refused before any cryptography."""
    maker = TokenMaker()
    jws = dataclasses.replace(parse_compact(maker.mint()), algorithm=alg)
    with pytest.raises(JoseError, match="another algorithm"):
        verify_signature(jws, maker.verification_key())


@pytest.mark.parametrize("alg", ["none", "HS256", "ES256K"])
def test_a_key_bound_outside_the_table_verifies_nothing(alg: str) -> None:
    """Even if a key source made such a key, no signature would verify with it."""
    maker = TokenMaker()
    jws = dataclasses.replace(parse_compact(maker.mint()), algorithm=alg)
    key = dataclasses.replace(maker.verification_key(), algorithm=alg)
    with pytest.raises(JoseError, match="not in the table"):
        verify_signature(jws, key)


def test_there_are_no_symmetric_algorithms() -> None:
    """No table row takes an octet key, so no public key can pass for a shared secret."""
    assert {row.key_type for row in ALGORITHMS.values()} == {"EC", "RSA", "OKP"}
    assert fitting_algorithms("oct", "") == ()


@pytest.mark.parametrize(
    ("key_type", "curve", "names"),
    [
        ("EC", "P-256", ("ES256",)),
        ("EC", "P-384", ("ES384",)),
        ("EC", "P-521", ("ES512",)),
        ("EC", "secp256k1", ()),
        ("RSA", "", ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
        ("OKP", "Ed25519", ("EdDSA", "Ed25519")),
        ("OKP", "Ed448", ()),
        ("OKP", "X25519", ()),
    ],
)
def test_key_type_and_curve_fix_the_algorithms(key_type: str, curve: str, names: tuple[str, ...]) -> None:
    """A key serves the algorithms of its type and curve and no other."""
    assert fitting_algorithms(key_type, curve) == names
