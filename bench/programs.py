"""The programs that are not Python: built once into the bench's environment, or the reason why one is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
BUILT: Final = ROOT / ".venv-bench" / "built"
"""Where what is built lies."""

_GO_PLACES: Final = ("/usr/local/go/bin", "/usr/lib/go/bin", "/snap/bin")
_BUILD_SECONDS: Final = 600
_TAIL: Final = 300


@dataclass
class Programs:
    """What could be built.

    Attributes:
        paths: program or folder by name.
        missing: reason by name.
    """

    paths: dict[str, Path] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


def build() -> Programs:
    """Build what the toolchains here allow; what is built already is only checked."""
    BUILT.mkdir(parents=True, exist_ok=True)
    programs = Programs()
    go = _find("go", _GO_PLACES)
    for name, folder in (
        ("load", "bench/load"),
        ("reference-go", "bench/references/go"),
        ("reference-opa", "bench/references/opa"),
    ):
        if go is None:
            programs.missing[name] = "no Go here"
            continue
        target = BUILT / name
        _attempt(programs, name, target, [go, "build", "-trimpath", "-o", str(target), "."], ROOT / folder)
    npm, node = _find("npm", ()), _find("node", ())
    if npm is None or node is None:
        programs.missing["reference-node"] = "no Node.js here"
    else:
        programs.paths["node"] = Path(node)
        _install_node(programs, npm)
    return programs


def _install_node(programs: Programs, npm: str) -> None:
    source, target = ROOT / "bench/references/node", BUILT / "reference-node"
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    _attempt(programs, "reference-node", target, command, target)


def _attempt(programs: Programs, name: str, target: Path, command: list[str], folder: Path) -> None:
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly -buildvcs=false"}
    try:
        done = subprocess.run(  # noqa: S603 — toolchains with fixed arguments
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        programs.missing[name] = f"not built within {_BUILD_SECONDS} s"
        return
    if done.returncode == 0:
        programs.paths[name] = target
    else:
        programs.missing[name] = f"not built: {' '.join(done.stderr.split())[-_TAIL:]}"


def _find(program: str, places: tuple[str, ...]) -> str | None:
    path = os.pathsep.join([os.environ.get("PATH", ""), *places])
    return shutil.which(program, path=path)
