"""The page on connecting transmitters: settings can be pasted, commands exist, answers are the receiver's."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_group

from extauthz.cli.signals import signals_app
from extauthz.config.settings import Settings
from extauthz.receiver.push_http import _SENTENCES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "signals-connect.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


@pytest.mark.parametrize("block", BLOCKS)
def test_settings_can_be_pasted(block: str) -> None:
    """Into settings that have the issuer and a state."""
    base: dict[str, Any] = {
        "policy": ["policy.yaml"],
        "issuers": [{"issuer": "https://login.example.com", "keys": {"discovery": True}}],
        "state": {"memory": True},
    }
    signals = Settings.model_validate({**base, **yaml.safe_load(block)}).signals
    assert signals.streams or signals.receiver.certificate


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_exist(command: str) -> None:
    """With all of their options."""
    program, group, name, *rest = shlex.split(command)
    assert (program, group) == ("extauthz", "signals")
    known = get_group(signals_app).commands[name]
    options = {option for parameter in known.params for option in parameter.opts}
    assert {word for word in rest if word.startswith("--")} <= options


def test_there_is_something_to_check() -> None:
    """Both kinds of delivery, and what comes after them."""
    assert len(BLOCKS) == 2
    assert len(COMMANDS) == 5


def test_the_table_has_every_status_of_the_receiver() -> None:
    """And no other."""
    table = PAGE.split("| answer | when |")[1].split("\n\n")[0]
    named = {int(status) for status in re.findall(r"\b[2345]\d\d\b", table.replace("2.0", ""))}
    assert named == {202, 400, *_SENTENCES}


def test_messages_in_the_table_are_ours() -> None:
    """What somebody looks for is what is printed."""
    table = PAGE.split("| you see | why | what to do |")[1]
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "extauthz").glob("[rsc]*/*.py"))
    quoted = re.findall(r"^\| log: `([^`]+)`", table, re.MULTILINE)
    told = [
        part.strip() for text in re.findall(r"^\| `connect`: (.+?) \|", table, re.MULTILINE) for part in text.split("…")
    ]
    assert len(quoted) == 4
    assert [text for text in (*quoted, *filter(None, told)) if text not in source] == []
