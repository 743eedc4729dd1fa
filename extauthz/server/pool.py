"""Threads that know how many calls wait for them.

gRPC hands every call to a pool with an endless queue. When more calls wait than a decision is worth waiting for, each
further one must be answered at once, and answered with a denial: letting it time out, or `maximum_concurrent_rpcs`
(RESOURCE_EXHAUSTED), is an error to Envoy, and an error lets the request through under `failure_mode_allow`. So calls
beyond the backlog run on a thread of their own, with a ticket that says so.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from extauthz.clock import Clock

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Ticket:
    """How the call came to its thread.

    Attributes:
        beyond_backlog: too many others wait; refuse without looking.
        waited: seconds in the queue.
    """

    beyond_backlog: bool = False
    waited: float = 0.0


class DecisionPool(ThreadPoolExecutor):
    """A pool for decisions, and one thread for refusals.

    Args:
        threads: decisions under way at once.
        backlog: calls that may wait.
        clock: the stopwatch.
    """

    def __init__(self, threads: int, backlog: int, clock: Clock) -> None:
        super().__init__(threads, thread_name_prefix="decide")
        self._refusing = ThreadPoolExecutor(1, thread_name_prefix="refuse")
        self._backlog = backlog
        self._clock = clock
        self._count = threading.Lock()
        self._pending = 0
        self._here = threading.local()

    @property
    def pending(self) -> int:
        """Return how many calls wait for a thread."""
        return self._pending

    @property
    def ticket(self) -> Ticket:
        """Return the ticket of the call on this thread."""
        ticket: Ticket = getattr(self._here, "ticket", Ticket())
        return ticket

    def submit(self, fn: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        """Run `fn` on a thread for decisions, or on the one for refusals when the backlog is full."""
        with self._count:
            full = self._pending >= self._backlog
            if not full:
                self._pending += 1
        if full:
            return self._refusing.submit(self._run, Ticket(beyond_backlog=True), fn, args, kwargs)
        return super().submit(self._run_later, self._clock.monotonic(), fn, args, kwargs)

    def has_turned(self, within: float) -> bool:
        """Return whether a thread for decisions takes something up within so many seconds, behind what waits."""
        turned = threading.Event()
        super().submit(turned.set)
        return turned.wait(within)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 — as inherited
        """End both kinds of threads after what was handed over has run."""
        super().shutdown(wait, cancel_futures=cancel_futures)
        self._refusing.shutdown(wait, cancel_futures=cancel_futures)

    def _run_later(self, since: float, fn: Callable[..., Result], args: Any, kwargs: Any) -> Result:
        with self._count:
            self._pending -= 1
        return self._run(Ticket(waited=self._clock.monotonic() - since), fn, args, kwargs)

    def _run(self, ticket: Ticket, fn: Callable[..., Result], args: Any, kwargs: Any) -> Result:
        self._here.ticket = ticket
        return fn(*args, **kwargs)
