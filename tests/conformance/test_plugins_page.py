"""The page on plug-ins can be pasted: its plug-in is installed, pinned by the page's digest, loaded and asked."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from extauthz.config.settings import Settings
from extauthz.errors import ConfigError, PolicyError
from extauthz.model.reason import REASONS, Reason
from extauthz.model.verdict import Allow, Deny
from extauthz.plugin import GROUP
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.policy.evaluate import evaluate
from extauthz.policy.requirements.plugin import MAX_DETAIL_CHARACTERS
from extauthz.server.policyfaces import policy_context
from tests.simulators.distributions import install, on_path, pin
from tests.simulators.policies import AT, make_facts, make_request

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
BLOCKS = {
    block.split("\n", 1)[0].removeprefix("# "): block
    for block in re.findall(r"```(?:yaml|python|toml)\n(.*?)```", PAGE, re.DOTALL)
}
KIND = "acme.ticket-age"
POLICY = {"policy.yaml": BLOCKS["policy.yaml"].encode()}


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Path]:
    """Install the page's plug-in, as its `pyproject.toml` describes it."""
    project = tomllib.loads(BLOCKS["pyproject.toml"])["project"]
    ((kind, point),) = project["entry-points"][GROUP].items()
    files = {"acme_extauthz.py": BLOCKS["acme_extauthz.py"]}
    install(tmp_path, files, name=project["name"], version=project["version"], point=point, kind=kind)
    with on_path(tmp_path):
        yield tmp_path


def settings(**changes: Any) -> Settings:
    """Return the page's settings."""
    return Settings.model_validate({**yaml.safe_load(BLOCKS["extauthz.yaml"]), **changes})


@pytest.mark.usefixtures("installed")
def test_the_page_works_as_it_stands() -> None:
    """An old ticket is refused, one of the day of the decision is not, and one without a day fails."""
    assert [each.model_dump() for each in settings().plugins] == [pin(KIND)]
    request = make_request("POST", "api.example.com/deployments/CHG-1")
    rules = compile_policy(POLICY, policy_context(settings())).route(request).rules
    today = datetime.fromtimestamp(AT, UTC).strftime("%Y%m%d")
    tickets = (f"CHG-{today}-1", "CHG-20200101-1", "x")
    verdicts = [evaluate(rules, make_facts(None, {"ticket": ticket})) for ticket in tickets]
    assert isinstance(verdicts[0], Allow)
    assert [each.reason for each in verdicts[1:] if isinstance(each, Deny)] == [
        Reason.PLUGIN_DENIED,
        Reason.EVALUATION_FAILED,
    ]


def test_a_wrong_page_would_be_found(installed: Path) -> None:
    """Another file, another argument, and a policy without settings."""
    context = policy_context(settings())
    with pytest.raises(PolicyError, match="write how many days old a ticket may be"):
        compile_policy({"p": POLICY["policy.yaml"].replace(b"age: 7", b"age: week")}, context)
    with pytest.raises(PolicyError, match="say which with --config"):
        compile_policy(POLICY, PolicyContext())
    (installed / "acme_extauthz.py").write_text(BLOCKS["acme_extauthz.py"] + "\n")
    with pytest.raises(ConfigError, match="not those that are pinned"):
        policy_context(settings())
    with pytest.raises(ValueError, match="the same `kind`"):
        settings(plugins=[pin(KIND), pin(KIND)])


def test_numbers_and_codes() -> None:
    """They are the code's."""
    assert f"{MAX_DETAIL_CHARACTERS} characters at most" in PAGE
    assert f"{REASONS[Reason.PLUGIN_DENIED].status} `{Reason.PLUGIN_DENIED.value}`" in PAGE
    assert f"`{Reason.EVALUATION_FAILED.value}`" in PAGE
