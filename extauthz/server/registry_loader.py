"""The registry from disk into force (`follower.py`), and warnings of what in it leads nowhere.

While there has never been a good registry nobody proven is let in, because nobody knows who is quarantined.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import structlog

from extauthz.config.registry import load_registry_files
from extauthz.registry.build import build_registry
from extauthz.registry.doubts import find_doubts
from extauthz.registry.index import Registry
from extauthz.server.follower import SETTLE_SECONDS, Follower

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from extauthz.errors import Problem
    from extauthz.policy.ruleset import Ruleset
    from extauthz.registry.live import LiveRegistry

_log = structlog.get_logger(__name__)


class RegistryLoader(Follower[Registry]):
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
        super().__init__(
            "registry",
            partial(load_registry_files, tuple(paths)),
            build_registry,
            live,
            declares=lambda registry: registry.summary,
            without="nobody proven is let in",
            on_load=on_load,
            settle=settle,
        )
        self._has_files = bool(paths)
        self._issuers = issuers
        self._ruleset = ruleset
        self._warned: tuple[Problem, ...] = ()

    def look(self) -> None:
        """Read the files; when they changed, put them in force or report why not. Warn of what leads nowhere."""
        if self._has_files:
            super().look()
            self._warn()

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
