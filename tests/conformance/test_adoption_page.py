"""The tutorial on adoption: its settings load, its policies compile, its commands exist."""

from __future__ import annotations

import re
import shlex

import pytest
import typer.main

from extauthz.cli.policy import policy_app
from extauthz.config.insecure import weakenings
from extauthz.config.settings import Settings
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.yamlfile import read_yaml
from tests.house.tree import ROOT

PAGE = (ROOT / "docs" / "tutorial-adoption.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"^\$ extauthz policy (.*)$", PAGE, re.MULTILINE)
START = ROOT / "examples" / "adoption" / "start.yaml"


def test_there_is_something_to_check() -> None:
    """Three settings and a policy, and as many commands as steps need."""
    assert ["mode" in block for block in BLOCKS] == [True, False, True, True]
    assert [command.split()[0] for command in COMMANDS] == ["propose", "check", "replay"]


@pytest.mark.parametrize("block", [block for block in BLOCKS if "mode" in block])
def test_settings_load(block: str) -> None:
    """And say loudly what they weaken."""
    settings = Settings.model_validate(read_yaml("settings.yaml", block.encode()).data)
    said = [sentence for sentence in weakenings(settings) if sentence.startswith("mode=observe")]
    assert len(said) == (settings.mode == "observe")
    assert all(host in said[0] for host in settings.enforced_hosts)


def test_enforced_hosts_mean_nothing_when_all_are_enforced() -> None:
    """A slip in `mode` must not leave somebody believing that only some hosts are enforced."""
    for name in ("enforced_hosts", "enforced_namespaces"):
        with pytest.raises(ValueError, match=f"{name}: everything is enforced"):
            Settings.model_validate({"policy": ["p"], name: ["a"]})


@pytest.mark.parametrize("host", ["", "https://a.example", "a.example/x", "*.*.example", "*", "a example"])
def test_enforced_hosts_are_hosts(host: str) -> None:
    """What is none would be enforced nowhere."""
    with pytest.raises(ValueError, match="is no host"):
        Settings.model_validate({"policy": ["p"], "mode": "observe", "enforced_hosts": [host]})


def test_policies_compile() -> None:
    """The excerpt, and the policy to start with, which permits nothing."""
    (excerpt,) = (block for block in BLOCKS if "mode" not in block)
    compile_policy({"proposed.yaml": excerpt.encode()}, PolicyContext(profiles=None))
    start = compile_policy({"start.yaml": START.read_bytes()}, PolicyContext(profiles=None))
    assert (start.counts.permits, start.counts.guards) == (0, 0)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_take_these_options(command: str) -> None:
    """Names and options are the command line's."""
    name, *words = shlex.split(command)
    group = typer.main.get_group(policy_app)
    known = {option for parameter in group.commands[name].params for option in parameter.opts}
    assert {word for word in words if word.startswith("-")} <= known
