"""The page on DPoP can be pasted: its settings load, its policy compiles with them, its numbers are the code's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from extauthz.config.settings import Settings
from extauthz.errors import PolicyError
from extauthz.limits import MAX_PROOF_BYTES, MAX_PROOF_ID_CHARACTERS, MAX_RSA_BITS, MIN_RSA_BITS
from extauthz.model.reason import REASONS, Reason
from extauthz.policy.compile import compile_policy
from extauthz.server.policyfaces import policy_context

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "credentials" / "dpop.md").read_text(encoding="utf-8")
BLOCKS = {
    block.split("\n", 1)[0].removeprefix("# "): block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
}


def settings(**changes: Any) -> Settings:
    """Return the page's settings; `changes` replace whole sections."""
    return Settings.model_validate({**yaml.safe_load(BLOCKS["extauthz.yaml"]), **changes})


def test_settings_and_policy_fit_together() -> None:
    """The policy's resource asks for proofs that the settings describe."""
    ruleset = compile_policy({"policy.yaml": BLOCKS["policy.yaml"].encode()}, policy_context(settings()))
    assert ruleset.counts.resources == 1
    assert settings().profiles["default"].dpop is not None


def test_a_wrong_page_would_be_found() -> None:
    """Without the part about proofs the same policy is refused, and without the state the same settings."""
    profile = {"issuers": ["https://issuer.example.com"], "audience": "https://api.example.com"}
    with pytest.raises(PolicyError, match="accepts no DPoP proofs"):
        compile_policy(
            {"policy.yaml": BLOCKS["policy.yaml"].encode()}, policy_context(settings(profiles={"default": profile}))
        )
    with pytest.raises(ValueError, match="state"):
        settings(state=None)


def test_envoy_settings_are_those_of_the_examples() -> None:
    """What the page shows of Envoy stands in the files that are run."""
    shown = yaml.safe_load(BLOCKS["envoy.yaml, the ext_authz filter"])
    for name in ("minimal", "hardened"):
        text = (ROOT / "envoy" / f"{name}.yaml").read_text(encoding="utf-8")
        assert [key for key, value in shown.items() if f"{key}: {str(value).lower()}" not in text] == []


def test_bounds_and_codes() -> None:
    """Numbers come from the code, and each reason stands with its status and error."""
    for number in (MAX_PROOF_BYTES, MAX_PROOF_ID_CHARACTERS, MIN_RSA_BITS, MAX_RSA_BITS):
        assert re.search(rf"\b{number}\b", PAGE)
    for reason in (Reason.PROOF_INVALID, Reason.PROOF_REPLAYED, Reason.PROOF_NONCE_REQUIRED):
        spec = REASONS[reason]
        assert f'{spec.status} `{reason.value}`, `error="{spec.error}"`' in PAGE
