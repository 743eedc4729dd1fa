"""Plug-ins from installed distributions: found by entry point, compared with what settings pin, and only then imported.

1. Exactly one installed distribution offers the kind, and it is the one that is named, in the version that is named.
2. Its files have the digest that is pinned (`digest_of`).
3. What Python would import under the names of the distribution's modules are those files: regular modules and packages,
   found there and nowhere else on the path, with no file in the packages that `RECORD` does not list.
4. It is imported from source; bytecode that lies about is not looked at.

The distributions that a plug-in itself imports are not covered: pin them as the rest of the installation.
"""

from __future__ import annotations

import csv
import hashlib
import importlib
import os
import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from extauthz.errors import ConfigError, Problem
from extauthz.plugin import GROUP
from extauthz.policy.names import FACTS
from extauthz.policy.requirements.plugin import AddedKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from extauthz.config.plugins import PluginSettings

_BYTECODE: Final = "__pycache__"
_INFO: Final = ".dist-info"
_INFO_FILES: Final = frozenset({"METADATA", "entry_points.txt"})
_ATTRIBUTE: Final = re.compile(r"resource\.[a-z][a-z0-9_]{0,63}")


class PluginError(Exception):
    """A plug-in that cannot be used. The text is for the operator: what is wrong, and the fix."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message, fix)
        self.message = message
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Offer:
    """A kind of requirement that an installed distribution offers; nothing of it was imported.

    Attributes:
        kind: name of the entry point.
        distribution: as its metadata names it.
        version: likewise.
        point: the entry point.
        source: the distribution.
    """

    kind: str
    distribution: str
    version: str
    point: metadata.EntryPoint
    source: metadata.Distribution


def load_plugins(pinned: Sequence[PluginSettings]) -> dict[str, AddedKind]:
    """Return the kinds of requirements that settings name.

    Raises:
        ConfigError: one of them is not what is pinned, or cannot be used; every such problem is listed.
    """
    offers = find_offers() if pinned else []
    loaded: dict[str, AddedKind] = {}
    problems = []
    for each in pinned:
        try:
            loaded[each.kind] = _load(each, [offer for offer in offers if offer.kind == each.kind])
        except PluginError as error:
            problems.append(Problem(f"plugins: {each.kind}", 0, 0, error.message, error.fix))
    if problems:
        raise ConfigError(problems)
    return loaded


def find_offers() -> list[Offer]:
    """Return what installed distributions offer, by kind and distribution; nothing is imported."""
    importlib.invalidate_caches()
    found: dict[tuple[str, str, str, str], Offer] = {}
    for source in metadata.distributions():
        for point in source.entry_points:
            if point.group == GROUP:
                offer = Offer(point.name, source.metadata["Name"] or "", source.version, point, source)
                place = str(_root_of(source))  # A folder that is on the path twice shows everything twice.
                found[offer.kind, offer.distribution, offer.version, place] = offer
    return [found[key] for key in sorted(found)]


def digest_of(source: metadata.Distribution) -> str:
    """Return the SHA-256 digest of a distribution's files, in hexadecimal.

    Counted are the files that its `RECORD` lists inside the folder that it is installed in. Left out are bytecode
    (`__pycache__`) and, of the `.dist-info` folder, all but `METADATA` and `entry_points.txt`: the rest depends on who
    installed it. In the order of their names, each gives its name and then its content, both after their length as
    eight bytes, big-endian.

    Raises:
        PluginError: there is no `RECORD`, or a file that it lists cannot be read.
    """
    digest = hashlib.sha256()
    for name in sorted(_listed(source), key=str.encode):
        try:
            content = (_root_of(source) / name).read_bytes()
        except OSError as error:
            message = f"`{name}`, which its RECORD lists, cannot be read"
            raise PluginError(message, "install it again") from error
        for piece in (name.encode(), content):
            digest.update(len(piece).to_bytes(8, "big"))
            digest.update(piece)
    return digest.hexdigest()


def _load(pinned: PluginSettings, offers: Sequence[Offer]) -> AddedKind:
    if not offers:
        message = "no installed distribution offers it"
        raise PluginError(message, f"install {pinned.distribution} {pinned.version}, or remove it from `plugins`")
    if len(offers) > 1:
        names = ", ".join(f"{offer.distribution} {offer.version}" for offer in offers)
        message = f"several installed distributions offer it: {names}"
        raise PluginError(message, "uninstall all but one")
    (offer,) = offers
    if (_plain(offer.distribution), offer.version) != (_plain(pinned.distribution), pinned.version):
        message = f"it comes from {offer.distribution} {offer.version}"
        raise PluginError(message, f"install {pinned.distribution} {pinned.version}, or review and pin what is there")
    digest = digest_of(offer.source)
    if digest != pinned.sha256:
        message = f"its files are not those that are pinned; their digest is {digest}"
        raise PluginError(message, "install what was pinned, or review what is there and pin its digest")
    _require_own_modules(offer)
    return _judged(_imported(offer.point))


def _require_own_modules(offer: Offer) -> None:
    """Refuse a plug-in when Python would import other files than those that were compared."""
    root, listed = _root_of(offer.source), _listed(offer.source)
    homes = {
        path.parts[0].removesuffix(".py"): name
        for name in sorted(listed)
        if (path := PurePosixPath(name)).parts[1:] == ("__init__.py",)
        or (len(path.parts) == 1 and path.suffix == ".py")
    }
    wanted = offer.point.module.partition(".")[0]
    if wanted not in homes:
        message = f"its module `{wanted}` is not among its files"
        raise PluginError(message, "install it as a wheel, not for editing; a namespace package cannot be pinned")
    for top, home in homes.items():
        loaded = sys.modules.get(top)
        spec = loaded.__spec__ if loaded is not None else PathFinder.find_spec(top)
        if spec is None or spec.origin is None or Path(spec.origin).resolve() != root / home:
            message = f"Python finds another module `{top}` first"
            raise PluginError(message, "remove the other one from the path")
        for name in _lying_in(root, top):
            if name not in listed:
                message = f"`{name}` lies among its files, and its RECORD does not list it"
                raise PluginError(message, "remove the file, or install it again")


def _lying_in(root: Path, top: str) -> Iterator[str]:
    """Yield files, and links to folders, in a package; bytecode is never looked at, so it does not matter."""
    for folder, inner, files in os.walk(root / top):
        inner[:] = [each for each in inner if each != _BYTECODE]
        for name in (*files, *(each for each in inner if (Path(folder) / each).is_symlink())):
            yield (Path(folder) / name).relative_to(root).as_posix()


def _imported(point: metadata.EntryPoint) -> Any:
    try:
        with _from_source():
            return point.load()
    except (Exception, SystemExit) as error:
        message = f"it cannot be imported: {type(error).__name__}: {error}"
        raise PluginError(message, "install what it needs, or have it mended") from error


@contextmanager
def _from_source() -> Iterator[None]:
    """Have modules imported from source for a while: bytecode is looked for where there is none, and not written."""
    before = sys.pycache_prefix, sys.dont_write_bytecode
    with TemporaryDirectory(prefix="extauthz-") as empty:
        sys.pycache_prefix, sys.dont_write_bytecode = empty, True
        try:
            yield
        finally:
            sys.pycache_prefix, sys.dont_write_bytecode = before


def _judged(kind: Any) -> AddedKind:
    """Return what was imported, when it is a kind of requirement."""
    try:
        reads, compiler = kind.reads, kind.compile
        names = None if isinstance(reads, str) else frozenset(reads)
    except (Exception, SystemExit) as error:
        message = f"it is no kind of requirement: {type(error).__name__}"
        raise PluginError(message, "have it mended: it needs `reads` and `compile`") from error
    if names is None or not callable(compiler):
        message = "it is no kind of requirement"
        raise PluginError(message, "have it mended: it needs a collection `reads` and a method `compile`")
    for name in names:
        if not isinstance(name, str) or not (name in FACTS or _ATTRIBUTE.fullmatch(name)):
            message = f"it reads {name!r}, which is no fact"
            raise PluginError(message, "have it mended: it may read facts of the policy language, by name")
    return AddedKind(names, compiler, waits=getattr(kind, "waits", False) is True)


def _listed(source: metadata.Distribution) -> frozenset[str]:
    """Return the names of the files that count, relative to the folder that the distribution is installed in."""
    text = source.read_text("RECORD")
    if text is None:
        message = "its distribution has no RECORD of its files"
        raise PluginError(message, "install it with pip or uv, from a wheel")
    names = (row[0] for row in csv.reader(text.splitlines()) if row)
    return frozenset(name for name in names if _counts(PurePosixPath(name)))


def _counts(path: PurePosixPath) -> bool:
    if path.is_absolute() or ".." in path.parts or _BYTECODE in path.parts:
        return False
    return not path.parts[0].endswith(_INFO) or (len(path.parts) == 2 and path.name in _INFO_FILES)  # noqa: PLR2004 — folder and file


def _root_of(source: metadata.Distribution) -> Path:
    return Path(str(source.locate_file(""))).resolve()


def _plain(name: str) -> str:
    """Return the name of a distribution as it is compared (name normalisation of the packaging specifications)."""
    return re.sub(r"[-_.]+", "-", name).lower()
