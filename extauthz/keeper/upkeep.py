"""What the keeper does at intervals: say that the state is up to date, and forget what can be forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from extauthz.errors import StateError
from extauthz.server.watch import Watcher
from extauthz.state.beat import write_beat
from extauthz.state.facts import collect_facts
from extauthz.state.restrictions import collect
from extauthz.state.signals import collect_signals

if TYPE_CHECKING:
    from collections.abc import Callable

    from extauthz.clock import Clock
    from extauthz.state.writer import StateWriter

_log = structlog.get_logger(__name__)

COLLECT_SECONDS: Final = 10.0
"""Between two looks for what can be forgotten."""

COLLECT_ROWS: Final = 1000
"""Rows of a table that are removed in one transaction, so that nothing waits long for it."""

STEADY_SECONDS: Final = 600.0
"""How long the wall clock must have gone with the machine's before anything is forgotten by it."""

JUMP_SECONDS: Final = 1.0
"""A wall clock that moves by more than this against the machine's has been set."""

_COLLECTORS: Final = (collect, collect_facts, collect_signals)


class Upkeep:
    """Beats and forgets; `start` once, then `stop` once.

    Args:
        writer: of the state.
        clock: all of its clocks are read.
        max_staleness: seconds for which a beat counts.
        in_sync: whether all is known here that was told to any machine.
        on_jump: called when the wall clock was set.
    """

    def __init__(
        self,
        writer: StateWriter,
        clock: Clock,
        max_staleness: float,
        *,
        in_sync: Callable[[], bool],
        on_jump: Callable[[], object],
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._in_sync = in_sync
        self._on_jump = on_jump
        self._beating = Watcher(min(1.0, max_staleness / 5), self.beat)
        self._collecting = Watcher(COLLECT_SECONDS, self.collect)
        self._failing = False
        self._offset = clock.now() - clock.boot()
        self._steady_since = clock.boot()

    @property
    def failing(self) -> bool:
        """Return whether the last beat could not be written."""
        return self._failing

    def start(self) -> None:
        """Begin, with a beat."""
        self.beat()
        self._beating.start()
        self._collecting.start()

    def stop(self) -> None:
        """End it; the state is stale some seconds later."""
        self._beating.stop()
        self._collecting.stop()

    def beat(self) -> None:
        """Say in the state that it is up to date, unless other machines may have been told what we do not know.

        It is so when that was asked, and not when it comes to be written: the file may be locked for a while, and the
        machine may sleep.
        """
        at, boot = self._clock.now(), self._clock.boot()
        if not self._in_sync():
            return
        try:
            with self._writer.transaction() as writing:
                write_beat(writing.connection, at, boot)
        except StateError as error:
            if not self._failing:
                _log.error("the state cannot be written; requests are refused soon", problem=str(error))
            self._failing = True
        else:
            self._failing = False

    def collect(self) -> int:
        """Remove what can be forgotten, and return how many rows were; none by a clock that was set lately.

        Raises:
            StateError: it could not be written.
        """
        if not self._is_clock_steady():
            return 0
        at = self._clock.now()
        removed = 0
        most = COLLECT_ROWS
        while most == COLLECT_ROWS:
            with self._writer.transaction() as writing:
                rows = [collector(writing.connection, at, COLLECT_ROWS) for collector in _COLLECTORS]
            removed += sum(rows)
            most = max(rows)
        return removed

    def _is_clock_steady(self) -> bool:
        """Return whether the wall clock has long gone with the machine's."""
        boot = self._clock.boot()
        offset = self._clock.now() - boot
        if abs(offset - self._offset) > JUMP_SECONDS:
            self._steady_since = boot
            self._on_jump()
        self._offset = offset
        return boot - self._steady_since >= STEADY_SECONDS
