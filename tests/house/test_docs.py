"""The documentation says what is there: paths, commands, codes and examples are looked up."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from extauthz.config.insecure import weakenings
from extauthz.config.settings import InsecureSettings, Settings
from extauthz.gen.envoy.type.v3.http_status_pb2 import StatusCode
from extauthz.model.reason import REASONS, Reason
from tests.house.tree import ROOT, project_files
from tools.make_reference import PAGE, page

PAGES = [path for path in project_files() if path.endswith(".md")]
FOLDERS = ("bench", "docs", "envoy", "examples", "extauthz", "protos", "requirements", "tests", "tools")
ADRS = [path for path in PAGES if re.match(r"docs/adr/(?!0000)\d{4}-", path)]
MAX_ADR_LINES = 60
_QUOTED_PATH = re.compile(rf"`((?:{'|'.join(FOLDERS)})/[\w./*-]*)`")
_LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)(?:#[\w-]*)?\)")
_COMMAND = re.compile(r"`(?:[A-Z]+=\S+ )?make ([a-z][\w-]*)[^`]*`|^(?:\$ )?make ([a-z][\w-]*)", re.MULTILINE)


def _read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def missing_paths(text: str) -> list[str]:
    """Return the quoted paths of our folders that name nothing."""
    return [path for path in _QUOTED_PATH.findall(text) if not any(ROOT.glob(path.rstrip("/")))]


def missing_links(page_path: str, text: str) -> list[str]:
    """Return the relative links that lead nowhere."""
    folder = (ROOT / page_path).parent
    return [link for link in _LINK.findall(text) if not (folder / link).exists()]


def unknown_commands(text: str) -> list[str]:
    """Return the make targets that a text names and the Makefile lacks."""
    targets = set(re.findall(r"^([a-z][\w-]*):", _read("Makefile"), re.MULTILINE))
    named = {first or second for first, second in _COMMAND.findall(text)}
    return sorted(named - targets)


@pytest.mark.parametrize("path", PAGES)
def test_paths_links_and_commands_exist(path: str) -> None:
    """Every path, relative link and make target that a page names is there."""
    text = _read(path)
    assert missing_paths(text) == []
    assert missing_links(path, text) == []
    assert unknown_commands(text) == []


def test_wrong_paths_links_and_commands_are_found() -> None:
    """The checks find a path, a link and a command that do not exist, and accept those that do."""
    assert missing_paths("see `extauthz/pipeline.py` and `extauthz/nowhere.py`") == ["extauthz/nowhere.py"]
    assert missing_links("docs/envoy.md", "[a](nowhere.md) [b](threat-model.md)") == ["nowhere.md"]
    assert unknown_commands("run `make tea`, then `make gen`") == ["tea"]
    assert unknown_commands("```\nmake tea KEEP=1\n```") == ["tea"]


def test_decision_path_names_every_file_of_the_path() -> None:
    """The walk through a request mentions every module of a stage that the pipeline imports."""
    imports = re.findall(
        r"^\s*from (extauthz\.(?:request|identity|policy|decision|response)\.\w+) import",
        _read("extauthz/pipeline.py"),
        re.MULTILINE,
    )
    files = {name.replace(".", "/") + ".py" for name in imports}
    assert len(files) >= 6
    walk = _read("docs/decision-path.md")
    assert [path for path in sorted(files) if f"`{path}`" not in walk] == []


def test_decision_path_has_the_steps_of_the_pipeline() -> None:
    """The numbered steps of the page carry the names of the numbered comments in the code."""
    steps = re.findall(r"^    # (\d)\. ([A-Z][a-z]+)", _read("extauthz/pipeline.py"), re.MULTILINE)
    assert len(steps) >= 5
    walk = _read("docs/decision-path.md")
    assert [step for step in steps if f"## {step[0]}. {step[1]}" not in walk] == []


def test_reason_reference_is_current() -> None:
    """`make docs` would change nothing."""
    assert PAGE.read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.ALLOWED])
def test_reason_is_complete(reason: Reason) -> None:
    """A reason has a status that Envoy accepts, a sentence as title, and a row in the reference."""
    spec = REASONS[reason]
    assert spec.status in StatusCode.values()
    assert spec.title.endswith(".")
    assert spec.challenge or spec.error is None
    assert f"| `{reason.value}` | {spec.status} |" in PAGE.read_text(encoding="utf-8")


def test_decision_records_are_numbered_short_and_listed() -> None:
    """ADRs have the sections of the template, at most 60 lines, no gaps in their numbers, and a line in the list."""
    listed = _read("docs/adr/README.md")
    wanted = ["## Status", "## Context", "## Decision", "## Consequences"]
    assert [int(Path(path).name[:4]) for path in ADRS] == list(range(1, len(ADRS) + 1))
    for path in ADRS:
        lines = _read(path).splitlines()
        assert [line for line in lines if line.startswith("## ")] == wanted, path
        assert len(lines) <= MAX_ADR_LINES, path
        assert f"({Path(path).name})" in listed, path


def test_every_target_explains_itself() -> None:
    """`make help` has a sentence for each target that a person may call."""
    makefile = _read("Makefile")
    phony = {name for line in re.findall(r"^\.PHONY:(.*)$", makefile, re.MULTILINE) for name in line.split()}
    explained = set(re.findall(r"^([a-z][\w-]*):[^#\n]*## \S", makefile, re.MULTILINE))
    assert sorted(phony - explained) == []


def test_every_weakening_switch_is_documented() -> None:
    """What the server prints loudly at start stands in the security page, name by name."""
    everything = Settings.model_validate(
        {
            "policy": ["policy.yaml"],
            "issuers": [{"issuer": "https://a.example", "keys": {"url": "http://a.example/", "insecure_http": True}}],
            "mode": "observe",
            "records": {"overflow": "drop"},
            "insecure": dict.fromkeys(InsecureSettings.model_fields, True),
        }
    )
    names = [sentence.split(": ")[0] for sentence in weakenings(everything)]
    assert len(names) == len(InsecureSettings.model_fields) + 3
    wanted = [re.sub(r"\[.*\]", "[]", name).replace("=", ": ") for name in names]
    assert [name for name in wanted if f"| `{name}` |" not in _read("SECURITY.md")] == []


def test_recommended_envoy_settings_are_in_the_example() -> None:
    """What the page on Envoy recommends is what the hardened configuration does."""
    table = _read("docs/envoy.md").split("| setting | why |")[1].split("\n\n")[0]
    quoted = [name for row in table.splitlines() for name in re.findall(r"`([a-z_.]+)(?:: \w+)?`", row.split(" | ")[0])]
    names = [name.split(".")[-1] for name in quoted if name != "server.deadline"]
    assert len(names) >= 15
    example = _read("envoy/hardened.yaml")
    assert [name for name in names if f"{name}:" not in example] == []
