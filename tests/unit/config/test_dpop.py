"""Settings of DPoP proofs."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from extauthz.config.settings import Settings
from extauthz.server.policyfaces import policy_context
from extauthz.server.profiles import from_settings

ORIGIN = "https://api.example.com"


def settings_with(proofs: dict[str, Any] | None, **changes: Any) -> Settings:
    """Return settings whose one profile accepts these proofs."""
    profile: dict[str, Any] = {"issuers": ["i"], "audience": "a", "dpop": proofs}
    base = {
        "policy": ["p"],
        "issuers": [{"issuer": "i", "keys": {"file": "keys.json"}}],
        "profiles": {"default": profile},
        "state": {"memory": True},
    }
    return Settings.model_validate({**base, **changes})


def test_settings_become_rules_and_policy_knows_the_algorithms() -> None:
    """With defaults, and with everything said."""
    (profile,) = from_settings(settings_with({"origin": ORIGIN})).values()
    assert profile.dpop is not None
    assert (str(profile.dpop.origin), profile.dpop.max_age, profile.dpop.skew) == (ORIGIN, 60.0, 5.0)
    assert not profile.dpop.nonce
    said = {"origin": "http://127.0.0.1:80", "algorithms": ["RS256"], "max_age": "2m", "skew": 0, "nonce": "required"}
    settings = settings_with(said)
    (profile,) = from_settings(settings).values()
    assert profile.dpop is not None
    assert (str(profile.dpop.origin), profile.dpop.max_age, profile.dpop.skew) == ("http://127.0.0.1", 120.0, 0.0)
    assert profile.dpop.nonce
    faces = policy_context(settings).profiles
    assert faces is not None
    assert faces["default"].proof_algorithms == ("RS256",)


def test_without_proofs_there_are_no_rules() -> None:
    """Neither here nor for policy, and no state is needed."""
    settings = settings_with(None, state=None)
    (profile,) = from_settings(settings).values()
    assert profile.dpop is None
    faces = policy_context(settings).profiles
    assert faces is not None
    assert faces["default"].proof_algorithms == ()


def test_proofs_need_a_state() -> None:
    """Without memory of what was used a proof would be good for more than one request."""
    with pytest.raises(ValidationError, match="remembered in the state; set `state: "):
        settings_with({"origin": ORIGIN}, state=None)


@pytest.mark.parametrize(
    "proofs",
    [
        {},
        {"origin": "api.example.com"},
        {"origin": "https://api.example.com/"},
        {"origin": "https://api.example.com/v1"},
        {"origin": "https://API.example.com"},
        {"origin": "https://user@api.example.com"},
        {"origin": "https://api.example.com\n"},
        {"origin": "ftp://api.example.com"},
        {"origin": ORIGIN, "algorithms": []},
        {"origin": ORIGIN, "algorithms": ["HS256"]},
        {"origin": ORIGIN, "algorithms": ["none"]},
        {"origin": ORIGIN, "max_age": 0},
        {"origin": ORIGIN, "max_age": "1h"},
        {"origin": ORIGIN, "skew": "5m"},
        {"origin": ORIGIN, "nonce": "optional"},
        {"origin": ORIGIN, "nonces": "required"},
    ],
)
def test_settings_that_make_no_sense_are_refused(proofs: dict[str, Any]) -> None:
    """An origin without path, algorithms with public keys only, short times."""
    with pytest.raises(ValidationError):
        settings_with(proofs)
