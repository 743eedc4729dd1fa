"""Includes are read once each, from inside of the policy's paths, and never in a circle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from extauthz.config.policyfiles import MAX_INCLUDE_DEPTH, load_policy_files
from extauthz.errors import PolicyError
from extauthz.policy.compile import PolicyContext, compile_policy

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, **files: str) -> Path:
    """Write files by their stems, return `root.yaml`."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder / "root.yaml"


def problems_of(*paths: Path) -> list[str]:
    """Return the problems as `name:line message`."""
    with pytest.raises(PolicyError) as caught:
        load_policy_files(paths)
    return [f"{each.file.rpartition('/')[2]}:{each.line} {each.message}" for each in caught.value.problems]


def test_included_files_are_part_of_the_policy(tmp_path: Path) -> None:
    """Also those that an included file includes, each once, however many include it."""
    root = write(
        tmp_path,
        root="includes: [teams/a.yaml, teams/b.yaml]",
        teams__a="includes: ../shared.yaml",
        teams__b="includes: [../shared.yaml]",
        shared="lists: {a: [b]}",
    )
    names = [str(tmp_path / name) for name in ("root.yaml", "teams/a.yaml", "shared.yaml", "teams/b.yaml")]
    assert list(load_policy_files([root])) == names
    assert sorted(load_policy_files([tmp_path])) == sorted(names)
    assert compile_policy(load_policy_files([root]), PolicyContext()).counts.resources == 0


@pytest.mark.parametrize("path", ["../outside.yaml", "/etc/hostname", "link.yaml", "../../outside.yaml"])
def test_nothing_outside_is_read(tmp_path: Path, path: str) -> None:
    """Neither by dots nor by an absolute path nor through a link."""
    inside = tmp_path / "policy"
    inside.mkdir()
    (tmp_path / "outside.yaml").write_text("resources: []")
    (inside / "link.yaml").symlink_to("../outside.yaml")
    root = write(inside, root=f"# first\nincludes:\n  - {path}")
    assert problems_of(root) == [f"root.yaml:3 `{path}` is outside of the policy's paths"]


def test_a_circle_is_named(tmp_path: Path) -> None:
    """Also one of a single file."""
    root = write(tmp_path, root="includes: [a.yaml]", a="includes: [b.yaml]", b="includes: [root.yaml, b.yaml]")
    found = problems_of(root)
    assert len(found) == 2
    assert all("b.yaml:1 a circle: " in problem for problem in found)
    assert "root.yaml includes " in found[0] + found[1]


def test_a_missing_file_is_a_problem_where_it_is_named(tmp_path: Path) -> None:
    """With its path as written."""
    root = write(tmp_path, root="includes: [a.yaml]")
    assert problems_of(root) == ["root.yaml:1 `a.yaml`: No such file or directory"]


def test_a_long_row_of_includes_ends(tmp_path: Path) -> None:
    """Before anything overflows."""
    files = {f"f{number}": f"includes: f{number + 1}.yaml" for number in range(MAX_INCLUDE_DEPTH + 2)}
    root = write(tmp_path, root="includes: f0.yaml", **files)
    assert any("includes in a row" in problem for problem in problems_of(root))


@pytest.mark.parametrize("text", ["includes: [", "includes: 7", "includes: {a: b}", "[includes]", "# includes\nx: 1"])
def test_what_is_wrong_with_a_file_is_said_when_it_is_read(tmp_path: Path, text: str) -> None:
    """Loading takes it as it is; compiling refuses it."""
    files = load_policy_files([write(tmp_path, root=text)])
    assert len(files) == 1
    with pytest.raises(PolicyError):
        compile_policy(files, PolicyContext())


def test_a_file_that_was_not_loaded_is_missed() -> None:
    """Whoever hands over files without what they include gets no policy with half of its rules."""
    with pytest.raises(PolicyError, match=r"p/a.yaml:1:12: `b.yaml` was not read"):
        compile_policy({"p/a.yaml": b"includes: [b.yaml]"}, PolicyContext())
    compile_policy({"p/a.yaml": b"includes: [b.yaml]", "p/b.yaml": b""}, PolicyContext())
