"""API keys in answers: where a key belongs is said, and no header that may hold one goes further undeclared."""

from __future__ import annotations

from typing import get_args

from extauthz.config.state import ApiKeyProfileSettings
from extauthz.model.carriers import API_KEY_HEADERS, ApiKeyHeader
from extauthz.model.decision import Target
from extauthz.model.reason import Reason
from extauthz.response.challenge import find_challenge
from extauthz.response.credentials import CREDENTIAL_HEADERS
from tests.simulators.decisions import denial
from tests.unit.response.auth_params import parse_challenge

TARGET = Target(
    resource="thing", action="read", realm="machines", carrier="x-service-token", verify="m", credential="api_key"
)


def test_the_challenge_names_the_header() -> None:
    """In a scheme of its own: `Bearer` would ask for what does not help."""
    challenge = find_challenge(denial(Reason.NO_CREDENTIALS), TARGET)
    assert challenge is not None
    assert parse_challenge(challenge) == ("ApiKey", {"realm": "machines", "header": "x-service-token"})


def test_what_was_wrong_is_said_as_with_tokens() -> None:
    """By error and description."""
    challenge = find_challenge(denial(Reason.TOKEN_REVOKED, detail="Have a new one made."), TARGET)
    assert challenge is not None
    scheme, parameters = parse_challenge(challenge)
    assert (scheme, parameters["error"]) == ("ApiKey", "invalid_token")
    assert parameters["error_description"] == "Have a new one made."


def test_every_header_that_may_carry_a_key_is_known_to_carry_credentials() -> None:
    """So it is removed wherever it is not the declared carrier."""
    assert set(API_KEY_HEADERS) <= CREDENTIAL_HEADERS
    assert get_args(ApiKeyHeader) == API_KEY_HEADERS
    assert ApiKeyProfileSettings().header in API_KEY_HEADERS
