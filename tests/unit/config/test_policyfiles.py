"""Policy files are found and read, or the problem is named."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from extauthz.config import policyfiles
from extauthz.config.policyfiles import load_policy_files
from extauthz.errors import PolicyError
from extauthz.limits import MAX_YAML_BYTES
from extauthz.policy.compile import PolicyContext, compile_policy

if TYPE_CHECKING:
    from pathlib import Path


def test_files_and_directories_are_read(tmp_path: Path) -> None:
    """A directory stands for its YAML files, also deeper ones; a file is read whatever its name."""
    inner = tmp_path / "inner"
    inner.mkdir()
    for name in ("b.yaml", "a.yml", "inner/c.yaml", "readme.md", ".hidden.yaml", "a_test.yaml", "inner/c_test.yml"):
        (tmp_path / name).write_text(name)
    directory = load_policy_files([tmp_path])
    assert list(directory) == [str(tmp_path / name) for name in ("a.yml", "b.yaml", "inner/c.yaml")]
    assert directory[str(inner / "c.yaml")] == b"inner/c.yaml"
    assert list(load_policy_files([tmp_path / "readme.md"])) == [str(tmp_path / "readme.md")]


def test_a_config_map_is_read_once(tmp_path: Path) -> None:
    """Kubernetes mounts files as links into a hidden directory that it swaps."""
    (tmp_path / "..2024").mkdir()
    (tmp_path / "..2024" / "p.yaml").write_text("new")
    (tmp_path / "..data").symlink_to("..2024")
    (tmp_path / "p.yaml").symlink_to("..data/p.yaml")
    assert load_policy_files([tmp_path]) == {str(tmp_path / "p.yaml"): b"new"}


def test_a_link_that_leads_back_is_not_followed(tmp_path: Path) -> None:
    """The walk ends."""
    (tmp_path / "p.yaml").write_text("")
    (tmp_path / "again").symlink_to(tmp_path)
    assert list(load_policy_files([tmp_path])) == [str(tmp_path / "p.yaml")]


def test_a_pipe_is_left_out(tmp_path: Path) -> None:
    """Reading it would wait for ever."""
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "p.yaml").write_text("")
    assert list(load_policy_files([tmp_path])) == [str(tmp_path / "p.yaml")]


def test_what_cannot_be_read_is_a_problem_each(tmp_path: Path) -> None:
    """A missing path, a link to nothing, a directory without policy; all are named."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "dead.yaml").symlink_to("nowhere")
    with pytest.raises(PolicyError) as caught:
        load_policy_files([tmp_path / "missing.yaml", tmp_path / "empty", tmp_path / "links"])
    assert [problem.file for problem in caught.value.problems] == [
        str(tmp_path / "empty"),
        str(tmp_path / "links" / "dead.yaml"),
        str(tmp_path / "missing.yaml"),
    ]


def test_a_huge_file_is_read_only_as_far_as_needed_to_refuse_it(tmp_path: Path) -> None:
    """The file may be sparse and endless."""
    with (tmp_path / "p.yaml").open("wb") as stream:
        stream.truncate(MAX_YAML_BYTES * 4)
    files = load_policy_files([tmp_path / "p.yaml"])
    assert len(files[str(tmp_path / "p.yaml")]) == MAX_YAML_BYTES + 1
    with pytest.raises(PolicyError, match="larger than"):
        compile_policy(files, PolicyContext())


def test_too_many_files_are_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody named the wrong directory."""
    monkeypatch.setattr(policyfiles, "MAX_POLICY_FILES", 1)
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text("")
    with pytest.raises(PolicyError, match="more than 1 policy files"):
        load_policy_files([tmp_path])
