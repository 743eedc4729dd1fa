"""The page for whoever is on call: its commands are ours, its record is valid, its exit codes are the code's."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer

import extauthz.audit
from extauthz.cli.keeperlink import EXIT_NO_KEEPER
from extauthz.cli.main import app
from extauthz.cli.problems import EXIT_CONFIG
from extauthz.cli.receipts import EXIT_HELD, EXIT_UNCONFIRMED
from extauthz.cli.revoke import MOST_UNASKED
from extauthz.cli.targets import mark_of
from extauthz.config.state import StateSettings
from extauthz.keeper.receipts import CONFIRM_SECONDS, REPLICA_SECONDS
from extauthz.model.reason import Reason
from extauthz.model.restriction import Form
from tests.house.tree import ROOT

PAGE = (ROOT / "docs" / "revocation.md").read_text("utf-8")
VERBS = ("revoke", "quarantine", "release", "restrictions", "sessions", "signals")
_CODE = re.compile(r"`(extauthz (?:" + "|".join(VERBS) + r")[^`\n]*)`|^\$ (extauthz [^#\n]*)", re.MULTILINE)
COMMANDS = [(first or second).strip() for first, second in _CODE.findall(PAGE)]
TARGETED = [command for command in COMMANDS if re.match(r"extauthz (revoke|quarantine) [a-z]", command)]


def parameters_of(words: list[str]) -> set[str]:
    """Return the options of a command."""
    group = typer.main.get_group(app)
    command: Any
    _, command, rest = group.resolve_command(typer.Context(group, info_name="extauthz"), words)
    command = getattr(command, "commands", {}).get(next(iter(rest), ""), command)
    return {option for parameter in command.params for option in parameter.opts}


def test_the_page_has_commands() -> None:
    """They are found where people would copy them from."""
    assert len(COMMANDS) > 15
    assert {command.split()[1] for command in COMMANDS} == set(VERBS)


@pytest.mark.parametrize("command", COMMANDS)
def test_options_are_those_of_the_command(command: str) -> None:
    """Each option on the page is one that the command has."""
    words = shlex.split(command.replace("…", "text"))[1:]
    given = {word.split("=")[0] for word in words if word.startswith("-") and word != "-"}
    assert given <= parameters_of(words), command


@pytest.mark.parametrize("command", TARGETED)
def test_targets_are_targets(command: str) -> None:
    """What stands behind the verb is a form of target with a name, where it needs one."""
    words = shlex.split(command.replace("…", "text"))[2:]
    form = Form(words[0])
    name = words[1] if len(words) > 1 and not words[1].startswith("-") else None
    if form is Form.CERTIFICATE:
        name = "ab" * 32
    if "--token-file" not in words:
        assert mark_of(form, name, None, ("https://login.example.com",)).form is form


def test_every_form_has_its_row() -> None:
    """Nothing that can be taken away is left out of the table."""
    assert {command.split()[2] for command in TARGETED} == set(Form)


def test_the_record_is_one() -> None:
    """The example validates against the schema that is published."""
    schema = json.loads((Path(extauthz.audit.__file__).parent / "action.schema.json").read_text("utf-8"))
    (block,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    jsonschema.Draft202012Validator(schema).validate(json.loads(block))
    words = set(schema["properties"]["outcome"]["enum"])
    told = PAGE[PAGE.index("`outcome` is") :].split("Metrics")[0]
    assert words <= set(re.findall(r"`(\w+)`", told))


def test_times() -> None:
    """How long things take at most is what the code waits, and what the settings say."""
    assert f"{CONFIRM_SECONDS:g} seconds; then for other machines {REPLICA_SECONDS:g} seconds more" in PAGE
    default = StateSettings.model_fields["max_staleness"].default
    assert f"`state.max_staleness`: {default:g} seconds" in PAGE


def test_figures_and_codes() -> None:
    """Exit codes, the number that a program may end unasked, and reason codes are the code's."""
    rows = dict(re.findall(r"^\| (\d) \| ([^|]+) \|", PAGE, re.MULTILINE))
    assert set(rows) == {"0", str(EXIT_NO_KEEPER), str(EXIT_CONFIG), str(EXIT_UNCONFIRMED), str(EXIT_HELD)}
    assert f"more than {MOST_UNASKED} live sessions" in PAGE.replace("\n", " ")
    told = PAGE[PAGE.index("**What is refused**") :].split("\n- ")[0]
    assert {"token_revoked", "session_revoked", "identity_quarantined", "identity_disabled"} <= set(Reason)
    assert set(re.findall(r"`(\w+_\w+)`", told)) <= set(Reason)
