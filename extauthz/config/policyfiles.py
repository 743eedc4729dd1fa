"""Policy files from disk, and others that are kept like them: bytes by name, nothing interpreted but `includes`.

Kubernetes swaps a ConfigMap by one rename of the link `..data`; its files are links through that. Each directory with
such a link is looked up once, and listed and read where it led: one generation, never a mix of two, and never one whose
new files have no links yet.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from extauthz.errors import FileError, PolicyError, Problem
from extauthz.includes import included_name
from extauthz.limits import MAX_YAML_BYTES
from extauthz.yamlfile import read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SUFFIXES: Final = frozenset({".yaml", ".yml"})
TEST_SUFFIX: Final = "_test"
"""What the names of files with policy tests end with, before the extension; they stand beside policies."""

_GENERATION: Final = "..data"
"""The link that Kubernetes swaps (its "atomic writer")."""

MAX_POLICY_FILES: Final = 10_000
"""Files of one policy; more is a mistaken directory."""

MAX_INCLUDE_DEPTH: Final = 16
"""Files that include one another in a row; people lose the thread long before."""

_MOST_READINGS: Final = 5
"""Readings that a swap may spoil before giving up."""


def load_policy_files(paths: Sequence[Path], noun: str = "policy") -> dict[str, bytes]:
    """Return the content of policy files by their names.

    A directory stands for its `*.yaml` and `*.yml` files, those in directories inside it included; policy tests
    (`*_test.yaml`) and names that begin with a dot are left out, as are directories that lead back to one that holds
    them, and pipes and devices. Files that those files include are read as well, each once.

    Args:
        paths: files and directories.
        noun: what the files are called in problems.

    Raises:
        PolicyError: one cannot be read, is too large, a directory holds no policy file, or an included file lies
            outside of all of `paths` or includes the file that includes it.
    """
    for _ in range(_MOST_READINGS):
        reading = _Reading(paths, noun)
        reading.read()
        if reading.is_outdated():
            continue
        if reading.problems:
            raise PolicyError(sorted(set(reading.problems)))
        return reading.files
    raise PolicyError([Problem(str(paths[0]), 0, 0, "the files are swapped faster than they can be read", "wait")])


class _Reading:
    """One look at all files.

    Args:
        paths: files and directories.
        noun: what the files are called in problems.
    """

    def __init__(self, paths: Sequence[Path], noun: str) -> None:
        self.files: dict[str, bytes] = {}
        self.problems: list[Problem] = []
        self._paths = tuple(paths)
        self._noun = noun
        self._generations: dict[Path, Path | None] = {}
        self._done: set[str] = set()

    def read(self) -> None:
        """Read everything, noting what is wrong."""
        for path in self._paths:
            try:
                found = list(self._policy_files(path, frozenset())) if path.is_dir() else [path]
                for file in found:
                    self._load(file)
            except OSError as error:
                self._note(str(error.filename or path), error)
                continue
            if not found:
                self.problems.append(Problem(str(path), 0, 0, f"no {self._noun} file here", "add a file named *.yaml"))
        for name in tuple(self.files):
            self._include(name, (name,))
        if len(self.files) > MAX_POLICY_FILES:
            message = f"more than {MAX_POLICY_FILES} {self._noun} files"
            self.problems.append(Problem(str(self._paths[0]), 0, 0, message, "name another path"))

    def is_outdated(self) -> bool:
        """Return whether a generation was swapped meanwhile: the old one is being removed, so files may be missing."""
        return any(_generation_of(folder) != there for folder, there in self._generations.items())

    def _note(self, name: str, error: OSError) -> None:
        self.problems.append(Problem(name, 0, 0, error.strerror or "cannot be read", "check path and rights"))

    def _load(self, path: Path) -> None:
        """Read a file, cut one byte beyond the limit, so that parsing it refuses it."""
        if str(path) not in self.files:
            with self._place_of(path).open("rb") as stream:
                self.files[str(path)] = stream.read(MAX_YAML_BYTES + 1)

    def _place_of(self, path: Path) -> Path:
        """Return where a file or directory is read: in the generation to which the link led when we first looked."""
        if path.parent == path:
            return path
        folder = self._place_of(path.parent)
        generation, own = self._generation(folder), folder / path.name
        if generation is None or (own.exists() and not _leads_into_generation(own)):
            return own
        return generation / path.name

    def _generation(self, folder: Path) -> Path | None:
        if folder not in self._generations:
            self._generations[folder] = _generation_of(folder)
        return self._generations[folder]

    def _policy_files(self, shown: Path, outer: frozenset[Path]) -> Iterator[Path]:
        """Yield the policy files in and below a directory, sorted, never entering a directory that is being walked."""
        place = self._place_of(shown)
        real = place.resolve()
        if real in outer:
            return
        generation = self._generation(place)
        names = {entry.name for entry in place.iterdir() if generation is None or not _leads_into_generation(entry)}
        if generation is not None:
            names.update(entry.name for entry in generation.iterdir())
        for name in sorted(names):
            entry = self._place_of(shown / name)
            if name.startswith("."):
                continue
            if entry.is_dir():
                yield from self._policy_files(shown / name, outer | {real})
            elif _is_policy_name(name) and (entry.is_file() or entry.is_symlink()):
                yield shown / name

    def _include(self, name: str, chain: tuple[str, ...]) -> None:
        """Read what a file includes, and what that includes."""
        if name in self._done:
            return
        for position, path in enumerate(_read_includes(name, self.files[name])):
            inner = included_name(name, path)
            if not self._is_inside(inner):
                message = f"`{path}` is outside of the {self._noun}'s paths"
                self._refuse(name, position, message, "include files inside of them")
            elif inner in chain:
                circle = " includes ".join((*chain[chain.index(inner) :], inner))
                self._refuse(name, position, f"a circle: {circle}", "remove one of these includes")
            elif len(chain) > MAX_INCLUDE_DEPTH:
                self._refuse(
                    name, position, f"more than {MAX_INCLUDE_DEPTH} includes in a row", "include from fewer files"
                )
            else:
                self._read_included(name, position, path, inner, chain)
        self._done.add(name)

    def _read_included(self, name: str, position: int, path: str, inner: str, chain: tuple[str, ...]) -> None:
        try:
            self._load(Path(inner))
        except OSError as error:
            self._refuse(name, position, f"`{path}`: {error.strerror or 'cannot be read'}", "check path and rights")
            return
        self._include(inner, (*chain, inner))

    def _is_inside(self, name: str) -> bool:
        real = Path(name).resolve()
        roots = (path if path.is_dir() else path.parent for path in self._paths)
        return name != "" and any(real.is_relative_to(root.resolve()) for root in roots)

    def _refuse(self, name: str, position: int, message: str, fix: str) -> None:
        file = read_yaml(name, self.files[name])
        self.problems.append(file.problem(("includes", position), message, fix))


def _leads_into_generation(entry: Path) -> bool:
    return entry.is_symlink() and entry.readlink().parts[0] == _GENERATION


def _generation_of(folder: Path) -> Path | None:
    """Return the directory that Kubernetes' link leads to now; None where there is no such link."""
    link = folder / _GENERATION
    return link.resolve() if link.is_symlink() else None


def _read_includes(name: str, raw: bytes) -> tuple[str, ...]:
    if b"includes" not in raw:
        return ()
    try:
        data = read_yaml(name, raw).data
    except FileError:
        return ()
    said = data.get("includes", []) if isinstance(data, dict) else []
    words = [said] if isinstance(said, str) else said
    return tuple(word for word in words if isinstance(word, str)) if isinstance(words, list) else ()


def _is_policy_name(name: str) -> bool:
    stem, dot, suffix = name.rpartition(".")
    return dot + suffix in _SUFFIXES and not stem.endswith(TEST_SUFFIX)
