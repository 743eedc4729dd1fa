"""The pages on the registry and on tokens tell the truth: examples load, keys and reasons are complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from extauthz.cli.token import token_app
from extauthz.config.settings import Settings
from extauthz.errors import RegistryError
from extauthz.model.reason import Reason
from extauthz.model.registry import Standing
from extauthz.registry.build import build_registry
from extauthz.registry.document import IdentityPart, MatchedBindingPart, MatchPart
from extauthz.server.profiles import from_settings
from extauthz.tokentools.steps import STEPS
from extauthz.yamlfile import read_yaml

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "registry.md").read_text("utf-8")
INSPECT = (DOCS / "token-inspect.md").read_text("utf-8")
REGISTRY, SETTINGS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_the_registry_loads() -> None:
    """It can be pasted into a file and used."""
    assert build_registry({"registry.yaml": REGISTRY.encode()}).summary == "2 identities, 2 bindings"


def test_a_wrong_example_would_be_found() -> None:
    """Loading is a check: one misspelt key is refused."""
    with pytest.raises(RegistryError, match="ownr"):
        build_registry({"registry.yaml": REGISTRY.replace("owner:", "ownr:").encode()})


def test_the_settings_load() -> None:
    """With the effect that their comments state: one profile refuses who is unknown, the other does not."""
    settings = Settings.model_validate(read_yaml("settings", SETTINGS.encode()).data)
    profiles = from_settings(settings)
    assert {name: profile.refuses_unknown for name, profile in profiles.items()} == {"default": True, "open": False}


@pytest.mark.parametrize("part", [IdentityPart, MatchPart, MatchedBindingPart])
def test_every_key_is_shown(part: type[IdentityPart]) -> None:
    """No key of a registry file is missing from the page."""
    assert [key for key in part.model_fields if re.search(rf"\b{key}\b", PAGE) is None] == []
    assert [standing for standing in Standing if standing.value not in PAGE] == []


def test_every_reason_exists() -> None:
    """The table names reason codes as clients see them."""
    named = re.findall(r"\| `([a-z_]+)` \|$", PAGE, re.MULTILINE)
    assert len(named) == 7
    assert set(named) <= {reason.value for reason in Reason}


def test_every_option_and_step_is_true() -> None:
    """The table of options is that of the command; the steps in the example are steps."""
    (command,) = token_app.registered_commands
    assert command.callback is not None
    options = set(re.findall(r"^\| `--([a-z]+)", INSPECT, re.MULTILINE))
    parameters = {name.removeprefix("as_") for name in command.callback.__annotations__} - {"return", "given"}
    assert options == parameters - {"config"}
    shown = re.findall(r"^  (?:ok|REFUSED) +(.*)$", INSPECT, re.MULTILINE)
    assert len(shown) == 10
    assert set(shown) <= set(STEPS.values())
