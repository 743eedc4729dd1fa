"""The pages on certificates can be pasted: settings load, policies compile with them, Envoy's part is in examples."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from extauthz.config.certificates import CertificateSettings
from extauthz.config.settings import Settings
from extauthz.errors import PolicyError, Refusal
from extauthz.identity.binding import verify_way
from extauthz.identity.certificate_rules import BindingRule
from extauthz.model.identity import Binding
from extauthz.model.reason import REASONS, Reason
from extauthz.policy.compile import compile_policy
from extauthz.server.policyfaces import policy_context
from extauthz.server.profiles import from_settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("client-certificates", "spiffe", "bound-tokens")


def text_of(page: str) -> str:
    """Return a page."""
    return (ROOT / "docs" / "credentials" / f"{page}.md").read_text(encoding="utf-8")


def blocks_of(page: str) -> dict[str, str]:
    """Return the YAML of a page by its first line, a comment that says where it belongs."""
    found = re.findall(r"```yaml\n# ([^\n]*)\n(.*?)```", text_of(page), re.DOTALL)
    return dict(found)


def settings_of(page: str) -> Settings:
    """Return the settings of a page."""
    return Settings.model_validate(yaml.safe_load(blocks_of(page)["extauthz.yaml"]))


@pytest.mark.parametrize("page", PAGES)
def test_settings_and_policy_fit_together(page: str) -> None:
    """And become profiles."""
    settings = settings_of(page)
    ruleset = compile_policy({"policy.yaml": blocks_of(page)["policy.yaml"].encode()}, policy_context(settings))
    assert ruleset.counts.resources == 1
    assert from_settings(settings)


def test_a_wrong_page_would_be_found() -> None:
    """Without the part about certificates the policies that need it are refused."""
    without = policy_context(settings_of("bound-tokens"))
    policy = blocks_of("spiffe")["policy.yaml"].replace("verify: mesh", "verify: default")
    with pytest.raises(PolicyError, match="accepts no client certificates"):
        compile_policy({"policy.yaml": policy.encode()}, without)


@pytest.mark.parametrize("page", ["client-certificates", "bound-tokens"])
def test_envoy_settings_are_those_of_the_example(page: str) -> None:
    """What the pages show of Envoy stands in the file that is run."""
    example = (ROOT / "envoy" / "hardened.yaml").read_text(encoding="utf-8")
    shown = [yaml.safe_load(block) for name, block in blocks_of(page).items() if name.startswith("envoy.yaml")]
    keys = [key for block in shown for key in _keys(block)]
    assert {"include_peer_certificate", "trusted_ca", "require_client_certificate"} <= set(keys)
    assert [key for key in keys if f"{key}:" not in example] == []


def _keys(part: Any) -> list[str]:
    return [key for name, value in part.items() for key in (name, *_keys(value))] if isinstance(part, dict) else []


@pytest.mark.parametrize("page", PAGES)
def test_codes_exist(page: str) -> None:
    """Every reason in a table is one of ours."""
    rows = re.findall(r"^\| (`[a-z_]+`(?:, `[a-z_]+`)*) \|", text_of(page).split("## Answers")[-1], re.MULTILINE)
    codes = [code for row in rows for code in re.findall(r"`([a-z_]+)`", row)]
    assert [code for code in codes if code not in REASONS] == []
    assert Reason.BINDING_MISSING in REASONS


def test_what_the_header_is_worth_is_said_line_by_line() -> None:
    """The table has every choice, and the default is the one that is marked."""
    section = text_of("client-certificates").split("| `certificates.x_forwarded_client_cert` |")[1].split("\n\n")[0]
    rows = dict(re.findall(r"^\| `(\w+)`( \(default\))? \|", section, re.MULTILINE))
    field = CertificateSettings.model_fields["x_forwarded_client_cert"]
    assert set(rows) == set(field.annotation.__args__)  # type: ignore[union-attr] # a Literal has arguments
    assert [name for name, mark in rows.items() if mark] == [field.default]


def test_the_table_of_bindings_is_what_the_code_does() -> None:
    """Cell by cell."""
    section = text_of("bound-tokens").split("| `binding` |")[1].split("\n\n")[0]
    rows = re.findall(
        r"^\| `(\w+)`(?: \(default\))? \| (\w+)[^|]* \| (\w+)[^|]* \| (\w+)[^|]* \|", section, re.MULTILINE
    )
    assert [row[0] for row in rows] == ["any", "none", "required", "mtls", "dpop"]
    for name, *cells in rows:
        for way, cell in zip((Binding.NONE, Binding.MTLS, Binding.DPOP), cells, strict=True):
            assert cell == _judged(way, BindingRule(name)), (name, way)


def _judged(way: Binding, rule: BindingRule) -> str:
    try:
        verify_way(way, rule)
    except Refusal:
        return "refused"
    return "accepted"
