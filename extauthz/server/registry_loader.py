"""The registry from disk into force: at start, at intervals, and when told.

1. A registry is built beside the one in force, and put in its place by one assignment; then its epoch is raised.
2. A broken one is kept out: the one before stays. At start there is none before; then nobody proven is let in, because
   nobody knows who is quarantined.
3. Contents are compared, and what changed is taken only when two reads agree, as with policies (`policy_loader.py`).
4. The same problems are reported once.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import structlog

from extauthz.config.registry import load_registry_files
from extauthz.errors import FileError, Problem
from extauthz.registry.build import build_registry
from extauthz.registry.doubts import find_doubts
from extauthz.server.policy_loader import SETTLE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from extauthz.policy.ruleset import Ruleset
    from extauthz.registry.index import Registry
    from extauthz.registry.live import LiveRegistry

_log = structlog.get_logger(__name__)

_Seen = dict[str, bytes] | tuple[Problem, ...]


class RegistryLoader:
    """Keeps `live` in step with the files. One thread at a time may call `look`.

    Args:
        paths: files and folders, as in the settings; without any, nothing is read.
        live: what decisions read.
        issuers: those that are configured.
        ruleset: returns the policy in force, for warnings.
        on_load: told after each attempt: the new registry, or None when it was kept out.
        settle: seconds between two reads that must agree.
    """

    def __init__(  # noqa: PLR0913 — what it reads, what it fills, and whom it tells
        self,
        paths: Sequence[Path],
        live: LiveRegistry,
        *,
        issuers: Collection[str] = (),
        ruleset: Callable[[], Ruleset | None] = lambda: None,
        on_load: Callable[[Registry | None], object] = lambda _: None,
        settle: float = SETTLE_SECONDS,
    ) -> None:
        self._paths = tuple(paths)
        self._live = live
        self._issuers = issuers
        self._ruleset = ruleset
        self._on_load = on_load
        self._settle = settle
        self._seen: _Seen | None = None
        self._warned: tuple[Problem, ...] = ()
        self._problems: tuple[Problem, ...] = ()
        self._stopped = threading.Event()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Return what is wrong with the files as they are now; empty when they are in force."""
        return self._problems

    def look(self) -> None:
        """Read the files; when they changed, put them in force or report why not. Warn of what leads nowhere."""
        if not self._paths:
            return
        seen = self._read()
        if seen != self._seen and (self._seen is None or self._is_settled(seen)):
            self._seen = seen
            self._take(seen)
        self._warn()

    def stop(self) -> None:
        """Wait no more for files to settle."""
        self._stopped.set()

    def _is_settled(self, seen: _Seen) -> bool:
        self._stopped.wait(self._settle)
        return self._read() == seen

    def _read(self) -> _Seen:
        try:
            return load_registry_files(self._paths)
        except FileError as error:
            return tuple(error.problems)

    def _take(self, seen: Mapping[str, bytes] | tuple[Problem, ...]) -> None:
        if isinstance(seen, tuple):
            self._keep_out(seen)
            return
        try:
            registry = build_registry(seen)
        except FileError as error:
            self._keep_out(tuple(error.problems))
            return
        previous = self._live.current
        self._live.replace(registry)
        self._problems = ()
        before = previous.revision if previous else None
        _log.info("registry in force", revision=registry.revision, before=before, declares=registry.summary)
        self._on_load(registry)

    def _keep_out(self, problems: tuple[Problem, ...]) -> None:
        current = self._live.current
        self._problems = problems
        for problem in problems:
            _log.error("registry rejected", problem=str(problem))
        consequence = f"{current.revision} stays in force" if current else "nobody proven is let in until it is mended"
        _log.error("registry kept out", problems=len(problems), consequence=consequence)
        self._on_load(None)

    def _warn(self) -> None:
        """Tell what leads nowhere, once: it depends on the policy too, which changes by itself."""
        registry, ruleset = self._live.current, self._ruleset()
        if registry is None:
            return
        doubts = find_doubts(registry, self._issuers, ruleset.attributes if ruleset is not None else None)
        for doubt in doubts:
            if doubt not in self._warned:
                _log.warning("registry", problem=str(doubt))
        self._warned = tuple(doubts)
