"""What stands in files, from disk into force: at start, at intervals, and when told.

1. What the files say is built beside what is in force, and put in its place by one assignment.
2. What is broken is kept out: the one before stays. At start there is none before; what that means is for each kind of
   file to say, and it is never "let everybody in".
3. Contents are compared, not times, so a swapped symlink (Kubernetes) and an edit within one clock tick are seen. What
   changed is taken only when two reads agree: half a file could be a whole one without its last lines.
4. The same problems are reported once.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

import structlog

from extauthz.errors import FileError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_log = structlog.get_logger(__name__)

SETTLE_SECONDS: Final = 0.05
"""Pause between two reads that must agree; longer than an editor takes from truncating a file to writing it."""


class Revised(Protocol):
    """What files are built into."""

    @property
    def revision(self) -> str:
        """Return a name that is another one for other contents."""
        ...


_Built = TypeVar("_Built", bound=Revised)


class Live(Protocol[_Built]):
    """What decisions read, exchanged in one assignment."""

    @property
    def current(self) -> _Built | None:
        """Return what is in force, None while nothing is."""
        ...

    def replace(self, built: _Built, /) -> None:
        """Put `built` in force."""
        ...


class Follower(Generic[_Built]):
    """Keeps `live` in step with files. One thread at a time may call `look`.

    Args:
        noun: what the files are called in the log.
        load: reads the files, by name; raises `FileError`.
        build: makes of their contents what is put in force; raises `FileError`.
        live: what decisions read.
        declares: says for the log, in short, what was built.
        without: what happens while there is nothing in force, for the log.
        on_load: told after each attempt: what is in force now, or None when it was kept out.
        settle: seconds between two reads that must agree.
    """

    def __init__(  # noqa: PLR0913 — what it reads, what it makes of it, what it fills, and whom it tells
        self,
        noun: str,
        load: Callable[[], Mapping[str, bytes]],
        build: Callable[[Mapping[str, bytes]], _Built],
        live: Live[_Built],
        *,
        declares: Callable[[_Built], str],
        without: str,
        on_load: Callable[[_Built | None], object],
        settle: float,
    ) -> None:
        self._noun = noun
        self._load = load
        self._build = build
        self._live = live
        self._declares = declares
        self._without = without
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
        """Read the files; when they changed, put what they say in force or report why not."""
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
            return self._load()
        except FileError as error:
            return tuple(error.problems)

    def _take(self, seen: Mapping[str, bytes] | tuple[Problem, ...]) -> None:
        if isinstance(seen, tuple):
            self._keep_out(seen)
            return
        try:
            built = self._build(seen)
        except FileError as error:
            self._keep_out(tuple(error.problems))
            return
        previous = self._live.current
        self._live.replace(built)
        self._problems = ()
        before = previous.revision if previous else None
        _log.info(f"{self._noun} in force", revision=built.revision, before=before, declares=self._declares(built))
        self._on_load(built)

    def _keep_out(self, problems: tuple[Problem, ...]) -> None:
        current = self._live.current
        self._problems = problems
        for problem in problems:
            _log.error(f"{self._noun} rejected", problem=str(problem))
        consequence = f"{current.revision} stays in force" if current else f"{self._without} until it is mended"
        _log.error(f"{self._noun} kept out", problems=len(problems), consequence=consequence)
        self._on_load(None)
