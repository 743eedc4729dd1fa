"""Spends what can be used up, for all threads, through one thread that owns the connection: the `ports.Spender`.

1. Who spends puts an order into a queue and waits with a deadline of its own. The thread takes all that waits at once,
   so one write to disk serves many.
2. An order that nobody waits for any more is carried out like the others, and so counts as spent: its asker was refused
   and cannot know.
3. Whatever goes wrong is `UNKNOWN`, which is a denial: a full queue, a full table, a locked, lost or damaged file. The
   thread goes on, and opens the file again.
4. Other processes may spend in the same file: each transaction takes the lock for writing first, and waits for it no
   longer than the most patient of its askers does.
"""

from __future__ import annotations

import sqlite3
import threading
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

from extauthz.errors import ExtAuthzError
from extauthz.ports import SpendOutcome, Spent
from extauthz.state.held import HeldConnection
from extauthz.state.spends import Order, SpendTables

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.clock import Clock
    from extauthz.model.spend import Spend

_log = structlog.get_logger(__name__)

MAX_WAITING: Final = 4096
"""Orders in the queue; as many questions cannot wait, so there are that many only when the disk has stopped."""

MAX_TOGETHER: Final = 256
"""Orders of one transaction, so that the first of a crowd need not wait for the last."""

_MILLISECONDS: Final = 1000
_UNKNOWN: Final = Spent(SpendOutcome.UNKNOWN)


@dataclass(slots=True)
class _Job:
    order: Order
    until: float
    over: threading.Event = field(default_factory=threading.Event)
    spent: Spent = _UNKNOWN


class QueuedSpender(ABC):
    """The queue and its thread; `start` it before, `stop` it after everybody who asks.

    Args:
        clock: of the server.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="spend", daemon=True)
        # Everything below is read and written under this lock only.
        self._lock = threading.Condition()
        self._waiting: deque[_Job] = deque()
        self._stopping = True

    @property
    def waiting(self) -> int:
        """Return how many orders wait."""
        return len(self._waiting)

    @property
    def failing(self) -> bool:
        """Return whether it went wrong the last time."""
        return self._failing

    def start(self) -> None:
        """Begin to spend."""
        self._stopping = False
        self._thread.start()

    def stop(self) -> None:
        """Spend what waits, refuse what comes, and return when the file is closed."""
        with self._lock:
            self._stopping = True
            self._lock.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def spend(self, spends: tuple[Spend, ...], question: bytes, timeout: float) -> Spent:
        """Take all of `spends` or none; see `ports.Spender`."""
        job = _Job(Order(spends, question), self._clock.monotonic() + timeout)
        with self._lock:
            if self._stopping or len(self._waiting) >= MAX_WAITING:
                return _UNKNOWN
            self._waiting.append(job)
            self._lock.notify()
        return job.spent if job.over.wait(timeout) else _UNKNOWN

    def _run(self) -> None:
        while jobs := self._next_jobs():
            self._carry_out(jobs)
            for job in jobs:
                job.over.set()
        self._let_go()

    @abstractmethod
    def _take(self, orders: list[Order], until: float) -> list[Spent]:
        """Carry out orders, the earlier first; nobody waits any more when the monotonic clock is at `until`.

        Raises:
            ExtAuthzError: nothing is known about them.
            sqlite3.Error: likewise.
        """

    @abstractmethod
    def _let_go(self) -> None:
        """Close what is open: after an error, since nothing is known about it, and at the end."""

    def _next_jobs(self) -> list[_Job]:
        """Wait for orders and return them; none when it is time to stop."""
        with self._lock:
            self._lock.wait_for(lambda: self._stopping or self._waiting)
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_TOGETHER))]

    def _carry_out(self, jobs: list[_Job]) -> None:
        try:
            outcomes = self._take([job.order for job in jobs], max(job.until for job in jobs))
        except (ExtAuthzError, sqlite3.Error) as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 — this thread must outlive what nobody foresaw, or nothing is spent again
            _log.exception("spending failed")
            self._fail(error)
        else:
            self._failing = False
            for job, spent in zip(jobs, outcomes, strict=True):
                job.spent = spent

    def _fail(self, error: Exception) -> None:
        """Know nothing about what was under way; it is opened again the next time."""
        if not self._failing:
            _log.error("what can be used up cannot be spent", problem=str(error))
        self._failing = True
        self._let_go()


class StateSpender(QueuedSpender):
    """Spends in the tables of the state.

    Args:
        path: of the state file.
        capacity: rows for spends that may not be forgotten yet.
        clock: both of its clocks are read.
    """

    def __init__(self, path: Path, capacity: int, clock: Clock) -> None:
        super().__init__(clock)
        self._held = HeldConnection(path, wait=0.0)
        self._capacity = capacity
        self._tables: SpendTables | None = None
        self._rows = 0

    @property
    def rows(self) -> int:
        """Return how many rows there were after the last transaction."""
        return self._rows

    def _take(self, orders: list[Order], until: float) -> list[Spent]:
        connection, fresh = self._held.get()
        if self._tables is None or fresh:
            self._tables = SpendTables(connection, self._capacity)
        patience = until - self._clock.monotonic()
        connection.execute(f"PRAGMA busy_timeout={max(0, int(patience * _MILLISECONDS))}")
        outcomes = self._tables.take(orders, self._clock.now())
        self._rows = self._tables.rows
        return outcomes

    def _let_go(self) -> None:
        self._held.drop()
