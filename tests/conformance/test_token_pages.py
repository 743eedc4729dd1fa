"""The pages on tokens can be pasted: settings load, policies fit, and codes and bounds are true."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from extauthz.config.settings import Settings
from extauthz.errors import ConfigError, PolicyError
from extauthz.identity.shapes import SHAPES
from extauthz.limits import MAX_DELEGATION_DEPTH
from extauthz.model.reason import REASONS, Reason
from extauthz.policy.compile import compile_policy
from extauthz.server.policyfaces import policy_context
from extauthz.server.profiles import from_settings
from tests.simulators.shapes import identify

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("jwt", "github-actions", "gitlab-ci", "kubernetes", "jwt-svid", "transaction-tokens", "delegation")
PAGES = {name: (ROOT / "docs" / "credentials" / f"{name}.md").read_text(encoding="utf-8") for name in NAMES}
SHAPE_OF = {
    "github-actions": "github_actions",
    "gitlab-ci": "gitlab_ci",
    "kubernetes": "kubernetes",
    "jwt-svid": "spiffe",
}


def blocks(name: str) -> dict[str, str]:
    """Return the YAML blocks of a page by the comment that they begin with."""
    found = re.findall(r"```yaml\n# (.*?)\n(.*?)```", PAGES[name], re.DOTALL)
    assert len(found) == len(re.findall("```yaml", PAGES[name])), "a block without a title"
    return dict(found)


def settings(name: str, **changes: Any) -> Settings:
    """Return a page's settings; `changes` replace whole sections."""
    return Settings.model_validate({**yaml.safe_load(blocks(name)["extauthz.yaml"]), **changes})


@pytest.mark.parametrize("name", NAMES)
def test_settings_and_policy_fit_together(name: str) -> None:
    """Pasted as they are."""
    loaded = settings(name)
    assert from_settings(loaded)
    ruleset = compile_policy({"policy.yaml": blocks(name)["policy.yaml"].encode()}, policy_context(loaded))
    assert ruleset.counts.resources == 1


def test_wrong_pages_would_be_found() -> None:
    """A misspelt fact, a misspelt key and a misspelt kind are refused."""
    policy = blocks("delegation")["policy.yaml"].replace("delegation.depth", "delegation.deph")
    with pytest.raises(PolicyError, match="deph"):
        compile_policy({"policy.yaml": policy.encode()}, policy_context(settings("delegation")))
    text = blocks("jwt")["extauthz.yaml"].replace("'service'", "'servce'")
    with pytest.raises(ConfigError, match="servce"):
        from_settings(Settings.model_validate(yaml.safe_load(text)))


@pytest.mark.parametrize("name", NAMES)
def test_envoy_settings_are_those_of_the_examples(name: str) -> None:
    """What a page shows of Envoy stands in the files that are run."""
    shown = yaml.safe_load(blocks(name)["envoy.yaml, the ext_authz filter"])
    for file in ("minimal", "hardened"):
        text = (ROOT / "envoy" / f"{file}.yaml").read_text(encoding="utf-8")
        assert [key for key, value in shown.items() if f"{key}: {str(value).lower()}" not in text] == []


@pytest.mark.parametrize("name", sorted(SHAPE_OF))
def test_what_a_page_says_of_an_identity_is_so(name: str) -> None:
    """The workload key of its policy is that of a token; the groups it lists are those that a token gives."""
    shape = SHAPE_OF[name]
    identity = identify(shape)
    (profile,) = from_settings(settings(name)).values()
    (rules,) = profile.issuers.values()
    assert rules.shape is SHAPES[shape]
    quoted = identity.workload.removeprefix(identity.subject.issuer).removeprefix("|")
    policy = blocks(name)["policy.yaml"]
    assert shape in {"kubernetes", "spiffe"} or quoted in policy
    listed = re.search(r"\| groups \| `NAME:value` of (.*) \|", PAGES[name])
    if listed is not None:
        assert {group.split(":")[0] for group in identity.groups} <= set(re.findall(r"`(\w+)`", listed[1]))


def test_the_table_of_profiles_is_complete() -> None:
    """Each shape with its types."""
    for shape in SHAPES.values():
        row = next(line for line in PAGES["jwt"].splitlines() if line.startswith(f"| `{shape.name}` |"))
        types = {name.lower() for name in re.findall(r"`([\w+]+)`", row.split("|")[3])}
        assert types == {name for name in shape.types if "/" not in name}
        assert ("none" in row.split("|")[3]) is shape.untyped
        assert all(f"`{client}`" in row for client in shape.clients)


def test_every_reason_of_the_page_is_answered_as_it_says() -> None:
    """Codes and statuses."""
    rows = re.findall(r"\| (\d{3}) ((?:`\w+`(?:, )?)+) \|", PAGES["jwt"])
    assert len(rows) == 10
    for status, codes in rows:
        assert all(REASONS[Reason(code)].status == int(status) for code in re.findall(r"`(\w+)`", codes))
    spec = REASONS[Reason.AUTHORIZATION_DETAILS_MISSING]
    assert f"`authorization_details_missing`, {spec.status}" in PAGES["delegation"]


def test_the_longest_chain_is_as_the_page_says() -> None:
    """In words."""
    words = ("no", "one", "two", "three", "four", "five")
    assert f"more than {words[MAX_DELEGATION_DEPTH]} actors" in PAGES["delegation"]


def test_the_mapping_of_kubernetes_gives_the_namespace() -> None:
    """The page's own expression, on a token."""
    (profile,) = from_settings(settings("kubernetes")).values()
    (rules,) = profile.issuers.values()
    own = replace(rules, issuer="https://kubernetes.default.svc.cluster.local", algorithms=("ES256",))
    identity = identify("kubernetes", rules=own)
    assert (identity.tenant, identity.environment) == ("payments", "production")
