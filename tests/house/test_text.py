"""What stands in the repository is the project's own: no traces of a machine, no unlocked dependency, one licence."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.house.tree import ROOT, project_files

# Written in pieces, so that this file passes its own test.
FOREIGN = re.compile(
    "|".join(
        [
            r"(?<![\w.-])/(?:wo" + r"rk|ro" + r"ot|home/[a-z]+|Users/[A-Za-z]+)/[\w.-]",
            r"\bsha" + r"red/(?:design|style|facts)|\b(?:design|style|standards|field)\." + r"md\b",
            r"--(?:extra-)?index-" + r"url|--find-" + r"links",
            r"(?i:\bthis ses" + r"sion'?s? (?:wrote|work)|\bthe br" + r"ief\b)",
        ]
    )
)
PLACES = re.compile(r"(?i)\b(?:to" + r"do|fix" + r"me|xx" + r"x)\b(?=:|\()")
LOCKED = re.compile(
    r"^(?:[a-z0-9][a-z0-9._-]*(?:\[[a-z,-]+\])?==[^\s\\]+(?: ; [^\\]+)? \\|    --hash=sha256:[0-9a-f]{64}(?: \\)?)$"
)


def _texts() -> list[tuple[str, str]]:
    texts = []
    for path in project_files():
        raw = (ROOT / path).read_bytes()
        if b"\x00" not in raw:
            texts.append((path, raw.decode("utf-8")))
    return texts


def test_no_traces_of_a_machine() -> None:
    """No file names a developer's folders, a package index, or how the text came about."""
    found = [f"{path}: {match[0]}" for path, text in _texts() for match in FOREIGN.finditer(text)]
    assert found == []


def test_open_ends_are_issues_not_comments() -> None:
    """Nobody leaves a note to a later self in the code."""
    found = [f"{path}: {match[0]}" for path, text in _texts() for match in PLACES.finditer(text)]
    assert found == []


@pytest.mark.parametrize(
    "trace",
    [
        "see /wo" + "rk/main/x",
        "'/home/" + "jane/x'",
        "sha" + "red/facts/x",
        "as in style." + "md",
        "--index-" + "url http://x",
        "as the br" + "ief says",
    ],
)
def test_traces_are_found(trace: str) -> None:
    """The pattern finds what it is made for."""
    assert FOREIGN.search(trace)


@pytest.mark.parametrize("text", ["/v1/wo" + "rk/7", "homework/x", "/home", "a shared/inbox", "/api/root/x"])
def test_harmless_texts_are_not_found(text: str) -> None:
    """The pattern leaves request paths and ordinary words alone."""
    assert not FOREIGN.search(text)


@pytest.mark.parametrize("path", [path for path in project_files() if path.startswith("requirements/")])
def test_dependencies_are_locked_with_hashes(path: str) -> None:
    """Every line of a requirements file is an exact version or one of its hashes."""
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and not LOCKED.match(line)] == []
    assert sum(line.startswith("    --hash") for line in lines) >= sum("==" in line for line in lines) > 0


def test_licence_is_named_by_identifier() -> None:
    """The project file and the notice name the same SPDX identifier."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    notice = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert project["license"] == "Apache-2.0"
    assert f"SPDX-License-Identifier: {project['license']}" in notice
    assert project["license-files"] == ["LICENSE"]


def test_every_file_ends_with_one_line_break() -> None:
    """Text files end with exactly one line break, and use Unix line ends."""
    bad = [
        path for path, text in _texts() if text and (not text.endswith("\n") or text.endswith("\n\n") or "\r" in text)
    ]
    assert bad == []
