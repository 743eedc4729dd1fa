"""The files that the house rules look at."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]


@cache
def project_files() -> tuple[str, ...]:
    """Return the paths of every file that is, or would be, part of a commit."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    return tuple(sorted(path for path in done.stdout.splitlines() if (ROOT / path).is_file()))


def python_files(*folders: str) -> list[str]:
    """Return the Python files below `folders`, generated ones left out."""
    return [
        path
        for path in project_files()
        if path.endswith(".py")
        and path.startswith(tuple(f"{folder}/" for folder in folders))
        and not path.startswith("extauthz/gen/")
    ]


def findings(rule: Callable[[str], list[str]], paths: list[str], *, allowed: tuple[str, ...] = ()) -> list[str]:
    """Return what `rule` finds in `paths`, as `path:line: what`, except below the `allowed` paths."""
    return [
        f"{path}:{finding}"
        for path in paths
        if not path.startswith(allowed)
        for finding in rule((ROOT / path).read_text(encoding="utf-8"))
    ]
