"""A signature that was found right is not verified again, and nothing else is taken for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from extauthz.errors import Refusal
from extauthz.identity.signed import MAX_VERIFIED, parse_token, verify_signed
from extauthz.model.reason import Reason
from tests.simulators.tokens import TokenMaker

MAKER = TokenMaker()


def test_a_right_signature_is_verified_once() -> None:
    """The second time not even the public key is looked at."""
    key = MAKER.verification_key()
    jws, _ = parse_token(MAKER.mint())
    verify_signed(jws, key)
    unusable = replace(key, key=None, verified=key.verified)
    verify_signed(jws, unusable)
    with pytest.raises(AttributeError):  # The control: without what is known, the key would have been used.
        verify_signed(jws, replace(unusable, verified={}))


def test_another_signature_or_payload_is_verified_for_itself() -> None:
    """What is known is known of these bytes with this signature."""
    key = MAKER.verification_key()
    one, other = (parse_token(MAKER.mint(jti=name))[0] for name in ("one", "other"))
    verify_signed(one, key)
    turned = one.signature[:-1] + bytes([one.signature[-1] ^ 1])
    forgeries = [replace(one, signature=turned), replace(one, signature=other.signature)]
    for between in (b"", b"."):  # Bytes that change sides.
        text = one.signing_input + between + one.signature[:8]
        forgeries.append(replace(one, signing_input=text, signature=one.signature[8:]))
    for forged in forgeries:
        with pytest.raises(Refusal) as refusal:
            verify_signed(forged, key)
        assert refusal.value.reason is Reason.SIGNATURE_INVALID
    assert len(key.verified) == 1


def test_what_one_key_signed_another_has_not() -> None:
    """A key knows only its own; the next key set begins with none."""
    jws, _ = parse_token(MAKER.mint())
    verify_signed(jws, MAKER.verification_key())
    with pytest.raises(Refusal):
        verify_signed(jws, TokenMaker(kid="another").verification_key())
    assert not MAKER.verification_key().verified


def test_keys_remember_digests_and_a_bounded_number_of_them() -> None:
    """No token stays in memory, and a full memory begins anew."""
    key = MAKER.verification_key()
    key.verified.update(dict.fromkeys(number.to_bytes(32, "big") for number in range(MAX_VERIFIED)))
    jws, _ = parse_token(MAKER.mint())
    verify_signed(jws, key)
    assert [len(digest) for digest in key.verified] == [32]
