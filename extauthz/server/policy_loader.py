"""Policy from disk into force: at start, at intervals, and when told.

1. A ruleset is compiled beside the running one and put in force by one assignment.
2. A broken policy is kept out: the one before stays. At start there is none before; then everything is denied, which is
   better than not answering, since no answer is an error and errors may let through.
3. Contents are compared, not times, so a swapped symlink (Kubernetes) and an edit within one clock tick are seen. What
   changed is taken only when two reads agree: half a file could be a whole policy without its last guards.
4. The same problems are reported once.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import structlog

from extauthz.config.policyfiles import load_policy_files
from extauthz.errors import FileError, Problem
from extauthz.policy.compile import compile_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from extauthz.policy.compile import PolicyContext
    from extauthz.policy.live import LivePolicy
    from extauthz.policy.ruleset import Ruleset

_log = structlog.get_logger(__name__)

SETTLE_SECONDS: Final = 0.05
"""Pause between two reads that must agree; longer than an editor takes from truncating a file to writing it."""


class PolicyLoader:
    """Keeps `live` in step with the files.

    Args:
        paths: files and folders, as in the settings.
        context: what the settings say about profiles and authentication contexts.
        live: what decisions read.
        on_load: told after each attempt: the new ruleset, or None when the policy was kept out.
        settle: seconds between two reads that must agree.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        context: PolicyContext,
        live: LivePolicy,
        *,
        on_load: Callable[[Ruleset | None], object] = lambda _: None,
        settle: float = SETTLE_SECONDS,
    ) -> None:
        self._paths = tuple(paths)
        self._context = context
        self._live = live
        self._on_load = on_load
        self._settle = settle
        self._seen: Mapping[str, bytes] | tuple[Problem, ...] | None = None
        self._problems: tuple[Problem, ...] = ()
        self._stopped = threading.Event()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Return what is wrong with the files as they are now; empty when they are in force."""
        return self._problems

    def look(self) -> None:
        """Read the files; when they changed, compile them and put them in force or report why not."""
        if (seen := self._read()) == self._seen:
            return
        if self._seen is not None and not self._is_settled(seen):
            return  # Still being written; the next look sees the change again.
        self._seen = seen
        self._take(seen)

    def stop(self) -> None:
        """Wait no more for files to settle."""
        self._stopped.set()

    def _is_settled(self, seen: Mapping[str, bytes] | tuple[Problem, ...]) -> bool:
        self._stopped.wait(self._settle)
        return self._read() == seen

    def _read(self) -> Mapping[str, bytes] | tuple[Problem, ...]:
        try:
            return load_policy_files(self._paths)
        except FileError as error:
            return tuple(error.problems)

    def _take(self, seen: Mapping[str, bytes] | tuple[Problem, ...]) -> None:
        if isinstance(seen, tuple):
            self._keep_out(seen)
            return
        try:
            ruleset = compile_policy(seen, self._context)
        except FileError as error:
            self._keep_out(tuple(error.problems))
            return
        previous = self._live.current
        self._live.replace(ruleset)
        self._problems = ()
        for warning in ruleset.warnings:
            _log.warning("policy", problem=str(warning))
        before = previous.revision if previous else None
        _log.info("policy in force", revision=ruleset.revision, before=before, declares=str(ruleset.counts))
        self._on_load(ruleset)

    def _keep_out(self, problems: tuple[Problem, ...]) -> None:
        current = self._live.current
        self._problems = problems
        for problem in problems:
            _log.error("policy rejected", problem=str(problem))
        consequence = f"{current.revision} stays in force" if current else "everything is denied until it is mended"
        _log.error("policy kept out", problems=len(problems), consequence=consequence)
        self._on_load(None)
