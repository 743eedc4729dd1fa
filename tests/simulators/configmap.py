"""A directory as Kubernetes mounts a ConfigMap: links through `..data`, which one rename swaps."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class ConfigMap:
    """Writes generations of files, in the order of Kubernetes' atomic writer.

    Args:
        folder: where it is mounted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._number = 0
        folder.mkdir(exist_ok=True)

    def prepare(self, files: dict[str, str]) -> Path:
        """Write a generation that nothing leads to yet; return its directory."""
        self._number += 1
        generation = self.folder / f"..2024_{self._number}"
        for name, text in files.items():
            path = generation / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return generation

    def swap(self, generation: Path) -> None:
        """Let `..data` lead to a generation, by one rename."""
        link = self.folder / "..data_tmp"
        link.symlink_to(generation.name)
        link.rename(self.folder / "..data")

    def link(self, generation: Path) -> None:
        """Make the links that people see, and remove those to files that are gone."""
        names = {path.name for path in generation.iterdir()}
        for name in names:
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")
        for entry in self.folder.iterdir():
            if not entry.name.startswith("..") and entry.name not in names:
                entry.unlink()

    def publish(self, files: dict[str, str]) -> None:
        """Do all of it, and remove the generations before."""
        generation = self.prepare(files)
        self.swap(generation)
        self.link(generation)
        for old in self.folder.glob("..2024_*"):
            if old != generation:
                shutil.rmtree(old)
