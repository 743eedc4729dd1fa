"""Demo tokens and their keys."""

from __future__ import annotations

import jwt
import pytest
from jwt.algorithms import ECAlgorithm

from extauthz.clock import Instant
from extauthz.demo.clients import AUDIENCE, CLIENTS, PASSWORD, PHISHING_RESISTANT
from extauthz.demo.tokens import DEFAULT_LIFETIME, SigningKey, Wish, to_claims

NOW = Instant(1_800_000_000.5)
ISSUER = "http://127.0.0.1:9000"


def test_token_verifies_with_the_published_key() -> None:
    """The JWK that a key publishes verifies what the key signs, and names type and key in the header."""
    key = SigningKey("k1")
    token = key.sign({"sub": "x"})
    public = ECAlgorithm.from_jwk(key.to_jwk())
    assert jwt.decode(token, public, algorithms=["ES256"]) == {"sub": "x"}  # type: ignore[arg-type] # a public key
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "kid": "k1", "typ": "at+jwt"}


def test_jwk_holds_no_private_member() -> None:
    """What the issuer publishes lets nobody sign."""
    assert set(SigningKey("k1").to_jwk()) == {"kty", "crv", "x", "y", "kid", "alg", "use"}


@pytest.mark.parametrize("client", CLIENTS.values(), ids=lambda client: client.client_id)
def test_claims_are_those_of_rfc_9068(client: object) -> None:
    """Every client's token carries the required claims and lives from now for the default time."""
    claims = to_claims(ISSUER, client, Wish(), NOW)  # type: ignore[arg-type] # pytest's parameters are untyped
    assert {"iss", "exp", "aud", "sub", "client_id", "iat", "jti"} <= set(claims)
    assert claims["aud"] == AUDIENCE
    assert claims["iat"] == int(NOW)
    assert claims["exp"] - claims["iat"] == DEFAULT_LIFETIME


def test_expired_token_was_once_valid() -> None:
    """A negative lifetime gives a token that was issued and has ended, not one that ends before it begins."""
    claims = to_claims(ISSUER, CLIENTS["reporting"], Wish(lifetime=-60), NOW)
    assert claims["iat"] < claims["exp"] < NOW


def test_step_up_changes_acr_and_time_of_sign_in() -> None:
    """Asking for a stronger sign-in signs the person in now; without it the sign-in is old and weak."""
    plain = to_claims(ISSUER, CLIENTS["alice-laptop"], Wish(), NOW)
    stepped_up = to_claims(ISSUER, CLIENTS["alice-laptop"], Wish(acr=PHISHING_RESISTANT), NOW)
    assert (plain["acr"], plain["auth_time"] < NOW - 600) == (PASSWORD, True)
    assert (stepped_up["acr"], stepped_up["auth_time"]) == (PHISHING_RESISTANT, int(NOW))


def test_machine_has_no_sign_in() -> None:
    """A service's token names neither an authentication context nor its time."""
    assert not {"acr", "auth_time"} & set(to_claims(ISSUER, CLIENTS["reporting"], Wish(), NOW))


def test_agent_acts_for_its_person() -> None:
    """The assistant's token has the person as subject and the agent as actor."""
    claims = to_claims(ISSUER, CLIENTS["assistant"], Wish(), NOW)
    assert claims["sub"] == "alice"
    assert claims["act"]["sub"] == "assistant"
    assert claims["act"]["kind"] == "agent"
