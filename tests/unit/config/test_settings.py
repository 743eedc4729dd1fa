"""Rules between settings that no single field can state."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from extauthz.config.settings import Settings

KEYS = {"file": "keys.json"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"issuers": [{"issuer": "i", "keys": {}}]}, "give exactly one of discovery, url, file"),
        ({"issuers": [{"issuer": "i", "keys": {**KEYS, "discovery": True}}]}, "give exactly one of discovery"),
        ({"issuers": [{"issuer": "i", "keys": KEYS, "map": {"kind": {}}}]}, "give exactly one of claim, value"),
        ({"issuers": [{"issuer": "i", "keys": KEYS}] * 2}, "two issuers have the same `issuer`"),
        ({"issuers": [{"issuer": "i", "keys": KEYS, "map": {"kind": {"value": "agnet"}}}]}, "must be one of user, "),
        ({"profiles": {"p": {"issuers": ["x"], "audience": "a"}}}, "issuer 'x' is not configured"),
        ({"proxies": [{"name": "a", "unix_socket": True}] * 2}, "two proxies have the same `name`"),
        ({"proxies": [{"name": "a"}]}, "give exactly one of token, token_file"),
        ({"server": {"threads": 4, "fetch_slots": 4}}, "fetch_slots must be smaller than threads"),
        ({"policy": []}, "at least 1 item"),
        ({"surprise": 1}, "Extra inputs are not permitted"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, Any], message: str) -> None:
    """Each with a sentence that says what to do."""
    with pytest.raises(ValidationError, match=message):
        Settings.model_validate({"policy": ["p"], **changes})


def test_settings_that_fit_together_are_accepted() -> None:
    """The refusals above are not refusals of everything."""
    settings = Settings.model_validate(
        {
            "policy": ["p"],
            "issuers": [{"issuer": "i", "keys": KEYS}],
            "profiles": {"p": {"issuers": ["i"], "audience": "a"}},
            "proxies": [{"name": "a", "unix_socket": True}, {"name": "b", "token": "x"}],
        }
    )
    assert [proxy.name for proxy in settings.proxies] == ["a", "b"]
