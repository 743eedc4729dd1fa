"""An included file has one name, whoever asks."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extauthz.includes import included_name


@pytest.mark.parametrize(
    ("includer", "path", "name"),
    [
        ("root.yaml", "a.yaml", "a.yaml"),
        ("p/root.yaml", "teams/a.yaml", "p/teams/a.yaml"),
        ("/etc/p/root.yaml", "./teams//a.yaml", "/etc/p/teams/a.yaml"),
        ("/etc/p/teams/a.yaml", "../shared.yaml", "/etc/p/shared.yaml"),
        ("../p/root.yaml", "a.yaml", "../p/a.yaml"),
    ],
)
def test_a_path_is_relative_to_the_including_file(includer: str, path: str, name: str) -> None:
    """Dots and doubled slashes are resolved."""
    assert included_name(includer, path) == name


@pytest.mark.parametrize(
    ("includer", "path"),
    [
        ("p/root.yaml", "/etc/a.yaml"),
        ("root.yaml", "../a.yaml"),
        ("../p/a.yaml", "../../a.yaml"),
        ("/a.yaml", "../b.yaml"),
    ],
)
def test_a_path_that_leads_nowhere_has_no_name(includer: str, path: str) -> None:
    """Absolute, or above where names begin."""
    assert included_name(includer, path) == ""


@given(
    st.lists(st.sampled_from(["a", "b", "..", "."]), max_size=4),
    st.lists(st.sampled_from(["a", "b", "..", ".", ""]), min_size=1, max_size=5),
)
def test_names_are_those_of_the_standard_library(folder: list[str], path: list[str]) -> None:
    """Where there is a name at all, it is the normal form of the joined path."""
    joined = posixpath.normpath("/".join([*folder, "root.yaml"]))
    name = included_name(joined, "/".join(path))
    if name:
        assert posixpath.normpath("/".join([*posixpath.split(joined)[:1], *path]).lstrip("/")) == posixpath.normpath(
            name
        )
