"""Installed distributions with plug-ins: a folder as an installer leaves it, on the path for a while."""

from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from extauthz.server.plugins import digest_of, find_offers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

KIND = "acme.color"
CODE = """\
from extauthz.plugin import ArgumentError, Failed, Met, Unmet

asked = []
answers = []


class Color:
    reads = ["identity.kind", "identity.scopes", "resource.color"]

    def compile(self, argument):
        if argument == "refused":
            raise ArgumentError("write a color\\n")

        def check(facts, at):
            asked.append((dict(facts), at))
            return answers.pop(0) if answers else Met()

        return check


color = Color()
"""


def install(
    folder: Path,
    files: Mapping[str, str] | None = None,
    *,
    name: str = "acme-extauthz",
    version: str = "1.2.0",
    point: str = "acme_color:color",
    kind: str = KIND,
) -> None:
    """Put a distribution into a folder as an installer does."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    every = {
        **(files or {"acme_color.py": CODE}),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/entry_points.txt": f"[extauthz.requirements]\n{kind} = {point}\n",
        f"{info}/INSTALLER": "anybody\n",
    }
    for path, text in every.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    listed = [*every, f"{info}/RECORD", "__pycache__/acme_color.cpython-311.pyc", "../../bin/acme"]
    (folder / info / "RECORD").write_text("".join(f"{path},,\n" for path in listed))


@contextmanager
def on_path(*folders: Path) -> Iterator[None]:
    """Let Python find what is installed in folders, the first first; forget afterwards what was imported from there."""
    before = list(sys.path)
    sys.path[:0] = [str(folder) for folder in folders]
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = before
        for name, module in list(sys.modules.items()):
            if any(str(getattr(module, "__file__", "")).startswith(str(folder)) for folder in folders):
                del sys.modules[name]


def pin(kind: str = KIND, **changes: str) -> dict[str, Any]:
    """Return settings that pin what is on the path."""
    offer = next(offer for offer in find_offers() if offer.kind == kind)
    pinned = {"kind": kind, "distribution": offer.distribution, "version": offer.version}
    return {**pinned, "sha256": digest_of(offer.source), **changes}
