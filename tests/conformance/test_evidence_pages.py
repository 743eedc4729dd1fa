"""The pages on opaque tokens, status lists and calling out can be pasted, and their numbers are the code's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from extauthz.config.introspection import IntrospectionSettings
from extauthz.config.settings import Settings
from extauthz.config.statuslists import StatusListSettings
from extauthz.errors import PolicyError
from extauthz.limits import MAX_STATUS_LISTS_BYTES
from extauthz.model.reason import REASONS, Reason
from extauthz.policy.compile import compile_policy
from extauthz.server.breaker import FAILURES, FIRST_PAUSE, LONGEST_PAUSE
from extauthz.server.egress import rules_of
from extauthz.server.policyfaces import policy_context
from extauthz.telemetry.metrics import Metrics

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    name: (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    for name in ("credentials/opaque-tokens", "credentials/status-lists", "egress")
}
OPAQUE, LISTS, EGRESS = PAGES.values()


def blocks(page: str) -> dict[str, str]:
    """Return a page's YAML by the name in its first line."""
    found = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    return {block.split("\n", 1)[0].removeprefix("# "): block for block in found}


def settings(page: str, **changes: Any) -> Settings:
    """Return a page's settings; `changes` replace whole sections."""
    return Settings.model_validate({**yaml.safe_load(blocks(page)["extauthz.yaml"]), **changes})


@pytest.mark.parametrize("page", PAGES)
def test_settings_load(page: str) -> None:
    """As they stand; one misspelt key would be found."""
    assert settings(PAGES[page]).issuers
    wrong = PAGES[page].replace("issuers:", "isuers:")
    with pytest.raises(ValueError, match="isuers"):
        settings(wrong)


def test_the_policy_fits_the_settings() -> None:
    """A fresh look is asked for where the issuer can be asked; without that the same policy is refused."""
    policy = {"policy.yaml": blocks(OPAQUE)["policy.yaml"].encode()}
    assert compile_policy(policy, policy_context(settings(OPAQUE))).counts.guards == 1
    silent = [{"issuer": "https://issuer.example.com", "keys": {"discovery": True}}]
    with pytest.raises(PolicyError, match="cannot be asked"):
        compile_policy(policy, policy_context(settings(OPAQUE, issuers=silent)))
    signing = yaml.safe_load(blocks(OPAQUE)["issuers of JWTs"])["issuers"]
    both = settings(OPAQUE, issuers=[{**signing[0], "issuer": "https://issuer.example.com"}])
    assert compile_policy(policy, policy_context(both)).counts.guards == 1


def test_values_shown_are_the_defaults() -> None:
    """Where the page shows a number that nobody has to write."""
    asked = settings(OPAQUE).issuers[0].introspection
    assert asked is not None
    fields = IntrospectionSettings.model_fields
    for name in ("cache", "cache_inactive", "timeout", "slots", "rate"):
        assert getattr(asked, name) == fields[name].default
    lists = settings(LISTS).issuers[0].status_list
    assert lists is not None
    for name in ("shortest", "longest", "max_bytes"):
        assert getattr(lists, name) == StatusListSettings.model_fields[name].default


def test_numbers_in_words() -> None:
    """Of the breaker, and of what lists may take."""
    assert (FAILURES, FIRST_PAUSE, LONGEST_PAUSE) == (5, 0.5, 30.0)
    assert "After five failures in a row" in OPAQUE
    assert "first for half a second, then for up to half a minute" in OPAQUE
    assert f"{MAX_STATUS_LISTS_BYTES // (1024 * 1024)} MiB" in LISTS


def test_answers_and_metrics_are_the_ones_that_exist() -> None:
    """Each reason stands with its status; each metric is one of ours."""
    known = {f"{spec.status} `{reason.value}`" for reason, spec in REASONS.items()}
    for page in PAGES.values():
        named = set(re.findall(r"\b[1-5][0-9]{2} `[a-z_]+`", page))
        assert named <= known
    assert f"503 `{Reason.EVIDENCE_UNAVAILABLE.value}`" in EGRESS
    metrics = Metrics()
    metrics.follow_breakers(dict)
    shown = metrics.exposition().decode()
    for page in (OPAQUE, EGRESS):
        for name in re.findall(r"`(extauthz_[a-z_]+)`", page):
            assert f"# TYPE {name} " in shown


def test_the_list_of_hosts_is_as_described() -> None:
    """Issuers with discovery, and what is named besides."""
    rules = rules_of(settings(EGRESS))
    assert rules.hosts == {"issuer.example.com", "www.keys.example.com"}
    assert rules.proxy == ("proxy.example.com", 3128)
