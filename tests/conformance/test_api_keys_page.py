"""The page on API keys can be pasted: its settings load, its policy compiles with them, its claims are the code's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from extauthz.config.settings import Settings
from extauthz.errors import PolicyError
from extauthz.identity.apikey import ISSUER
from extauthz.identity.keyformat import ID_BYTES, SECRET_BYTES, make_key_text
from extauthz.model.carriers import API_KEY_HEADERS
from extauthz.model.reason import REASONS, Reason
from extauthz.policy.compile import compile_policy
from extauthz.server.policyfaces import policy_context

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "credentials" / "api-keys.md").read_text(encoding="utf-8")
BLOCKS = {
    block.split("\n", 1)[0].removeprefix("# "): block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
}


def settings(**changes: Any) -> Settings:
    """Return the page's settings; `changes` replace whole sections."""
    return Settings.model_validate({**yaml.safe_load(BLOCKS["extauthz.yaml"]), **changes})


def test_settings_and_policy_fit_together() -> None:
    """The policy's resource asks for keys that the settings accept."""
    ruleset = compile_policy({"policy.yaml": BLOCKS["policy.yaml"].encode()}, policy_context(settings()))
    assert ruleset.counts.resources == 1


def test_a_wrong_page_would_be_found() -> None:
    """Without the part about keys the same policy is refused, and without the state the same settings."""
    profiles = {"machines": {"issuers": ["https://i.example"], "audience": "https://api.example.com"}}
    issuers = [{"issuer": "https://i.example", "keys": {"discovery": True}}]
    with pytest.raises(PolicyError, match="accepts no API keys"):
        compile_policy(
            {"policy.yaml": BLOCKS["policy.yaml"].encode()},
            policy_context(settings(profiles=profiles, issuers=issuers)),
        )
    with pytest.raises(ValueError, match="state"):
        settings(state=None)


def test_envoy_settings_are_those_of_the_examples() -> None:
    """What the page shows of Envoy stands in the files that are run."""
    shown = yaml.safe_load(BLOCKS["envoy.yaml, the ext_authz filter"])
    for name in ("minimal", "hardened"):
        text = (ROOT / "envoy" / f"{name}.yaml").read_text(encoding="utf-8")
        assert [key for key, value in shown.items() if f"{key}: {str(value).lower()}" not in text] == []


def test_the_pattern_for_scanners_finds_keys() -> None:
    """And nothing shorter."""
    pattern = re.search(r"`(xak_\[.*?)`", PAGE)
    assert pattern is not None
    text = make_key_text(bytes(range(ID_BYTES)), bytes(range(SECRET_BYTES))).whole
    assert re.fullmatch(pattern[1], text)
    assert re.fullmatch(pattern[1], text[:-1]) is None


def test_headers_issuer_and_codes() -> None:
    """The list of headers is whole, and each reason stands with its status."""
    listed = PAGE.split("`header` is one of")[1].split(". ")[0]
    assert re.findall(r"`([a-z-]+)`", listed) == list(API_KEY_HEADERS)
    assert f"`{ISSUER}`" in PAGE
    table = PAGE.split("## What is checked, and what clients are told")[1].split("\n\n")[1]
    codes = re.findall(r"\| (\d+) `([a-z_]+)`", table)
    assert len(codes) == len(table.splitlines()) - 2
    assert [code for status, code in codes if REASONS[Reason(code)].status != int(status)] == []
