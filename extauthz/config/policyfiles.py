"""Policy files from disk: bytes by name, nothing interpreted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from extauthz.errors import PolicyError, Problem
from extauthz.limits import MAX_YAML_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_SUFFIXES: Final = frozenset({".yaml", ".yml"})

MAX_POLICY_FILES: Final = 10_000
"""Files of one policy; more is a mistaken directory."""


def load_policy_files(paths: Sequence[Path]) -> dict[str, bytes]:
    """Return the content of policy files by their names.

    A directory stands for its `*.yaml` and `*.yml` files, those in directories inside it included; names that begin
    with a dot are left out, as are directories that lead back to one that holds them, and pipes and devices.

    Args:
        paths: files and directories.

    Raises:
        PolicyError: one cannot be read, is too large, or a directory holds no policy file.
    """
    files: dict[str, bytes] = {}
    problems: list[Problem] = []
    for path in paths:
        try:
            found = list(_policy_files(path, frozenset())) if path.is_dir() else [path]
            files.update((str(file), _load_file(file)) for file in found)
        except OSError as error:
            name = str(error.filename or path)
            problems.append(Problem(name, 0, 0, error.strerror or "cannot be read", "check path and rights"))
            continue
        if not found:
            problems.append(Problem(str(path), 0, 0, "no policy file here", "add a file named *.yaml"))
    if len(files) > MAX_POLICY_FILES:
        problems.append(Problem(str(paths[0]), 0, 0, f"more than {MAX_POLICY_FILES} policy files", "name another path"))
    if problems:
        raise PolicyError(sorted(problems))
    return files


def _load_file(path: Path) -> bytes:
    """Return the content, cut one byte beyond the limit, so that reading it as policy refuses it."""
    with path.open("rb") as stream:
        return stream.read(MAX_YAML_BYTES + 1)


def _policy_files(directory: Path, outer: frozenset[Path]) -> Iterator[Path]:
    """Yield the policy files in and below `directory`, sorted, never entering a directory that is being walked."""
    real = directory.resolve()
    if real in outer:
        return
    for entry in sorted(directory.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _policy_files(entry, outer | {real})
        elif entry.suffix in _SUFFIXES and (entry.is_file() or entry.is_symlink()):
            yield entry
