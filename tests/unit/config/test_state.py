"""The state and API keys: what needs a state says so where the settings are loaded, not when somebody comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from extauthz.config.insecure import cautions
from extauthz.config.settings import Settings
from extauthz.errors import PolicyError
from extauthz.model.request import Request
from extauthz.policy.compile import compile_policy
from extauthz.server.policyfaces import policy_context
from extauthz.server.profiles import from_settings

STATE = {"state": {"path": "state.db"}}
KEYED = {"profiles": {"machines": {"api_keys": {"header": "api-key", "tenants": ["acme"]}}}}
POLICY = b"""
resources:
  - {name: a, action: read, match: {host: a.example, path: /a, methods: [GET]}, credential: api_key, verify: machines}
"""


def load(**parts: Any) -> Settings:
    """Return settings with these parts."""
    return Settings.model_validate({"policy": ["p"], **parts})


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"state": {}}, "give exactly one of path, memory"),
        ({"state": {"path": "s", "memory": True}}, "give exactly one of path, memory"),
        ({"state": {"path": "s", "max_spends": 1}}, "greater than or equal to 1000"),
        ({"state": {"path": "s", "max_key_lifetime": 0}}, "greater than 0"),
        (KEYED, r"profiles.machines.api_keys: API keys live in the state file; set `state: \{path: FILE\}`"),
        ({**KEYED, "state": {"memory": True}}, "API keys live in the state file"),
        ({**STATE, "profiles": {"p": {"api_keys": {"header": "x-our-key"}}}}, "x-api-key"),
        ({**STATE, "profiles": {"p": {"api_keys": {"header": "authorization"}}}}, "x-api-key"),
    ],
)
def test_contradictions_are_refused(parts: dict[str, Any], message: str) -> None:
    """Each with a sentence that says what to do."""
    with pytest.raises(ValidationError, match=message):
        load(**parts)


def test_every_setting_reaches_the_profile() -> None:
    """Header and tenants are the profile's, the longest life is the state's."""
    settings = load(state={"path": "state.db", "max_key_lifetime": "7d"}, **KEYED)
    rules = from_settings(settings)["machines"].api_keys
    assert rules is not None
    assert (rules.header, rules.max_lifetime, rules.tenants) == ("api-key", 7 * 86400.0, frozenset({"acme"}))
    assert settings.state is not None
    assert settings.state.path == Path("state.db")
    without = load(**STATE, profiles={"p": {"api_keys": {}}})
    assert from_settings(without)["p"].api_keys is not None
    assert from_settings(without)["p"].issuers == {}


def test_policy_may_ask_for_keys_where_the_profile_accepts_them() -> None:
    """The declared carrier is the profile's header; a profile without keys is a problem with its place."""
    ruleset = compile_policy({"policy.yaml": POLICY}, policy_context(load(**STATE, **KEYED)))
    asked = Request(method="GET", host="a.example", path="/a", segments=("a",))
    assert ruleset.route(asked).target.carrier == "api-key"
    issuers = [{"issuer": "https://i.example", "keys": {"file": "keys.json"}}]
    tokens = {"machines": {"issuers": ["https://i.example"], "audience": "x"}}
    with pytest.raises(PolicyError, match=r"policy.yaml:3:.*`machines` accepts no API keys.*profiles.machines"):
        compile_policy({"policy.yaml": POLICY}, policy_context(load(issuers=issuers, profiles=tokens)))


def test_a_state_in_memory_is_told_of() -> None:
    """It is safe, and hardly what was meant."""
    assert any("the state is in memory" in sentence for sentence in cautions(load(state={"memory": True})))
    assert not any("the state is in memory" in sentence for sentence in cautions(load(**STATE)))
