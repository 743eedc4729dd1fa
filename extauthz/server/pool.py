"""Threads that know how many calls wait for them.

gRPC hands every call to a pool with an endless queue. When more calls wait than a decision is worth waiting for, each
further one must be answered at once, and answered with a denial: letting it time out, or `maximum_concurrent_rpcs`
(RESOURCE_EXHAUSTED), is an error to Envoy, and an error lets the request through under `failure_mode_allow`. So calls
beyond the backlog run on a thread of their own, with a ticket that says so.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

    from extauthz.clock import Clock

_log = structlog.get_logger(__name__)

_HANDED_OVER: Final[Future[None]] = Future()
_HANDED_OVER.set_result(None)


class Ticket(NamedTuple):
    """How the call came to its thread.

    Attributes:
        beyond_backlog: too many others wait; refuse without looking.
        waited: seconds in the queue.
    """

    beyond_backlog: bool = False
    waited: float = 0.0


_ORDINARY: Final = Ticket()

_Call = tuple[float, "Callable[..., object]", tuple[Any, ...], dict[str, Any]]
"""When it came, and what to call."""

_Queue = SimpleQueue[_Call | None]
"""None ends the thread that takes it."""


class DecisionPool(ThreadPoolExecutor):
    """A pool for decisions, and one thread for refusals.

    It is a `ThreadPoolExecutor` because `grpcio` takes no other, and does without what makes one dear: a call ends when
    its answer is sent, so nobody waits for it here, and no future of it is made and settled.

    Args:
        threads: decisions under way at once.
        backlog: calls that may wait.
        clock: the stopwatch.
    """

    def __init__(self, threads: int, backlog: int, clock: Clock) -> None:
        super().__init__(1)  # Its own threads come with its own `submit`, so there are none.
        self._backlog = backlog
        self._clock = clock
        self._here = threading.local()
        self._deciding: _Queue = SimpleQueue()
        self._refusing: _Queue = SimpleQueue()
        self._deciders = [self._worker(f"decide_{number}", self._deciding) for number in range(threads)]
        self._refuser = self._worker("refuse", self._refusing)

    def start(self) -> None:
        """Take up what is handed over, from now on."""
        for worker in (*self._deciders, self._refuser):
            worker.start()

    @property
    def pending(self) -> int:
        """Return how many calls wait for a thread."""
        return self._deciding.qsize()

    @property
    def ticket(self) -> Ticket:
        """Return the ticket of the call on this thread."""
        ticket: Ticket = getattr(self._here, "ticket", _ORDINARY)
        return ticket

    def submit(self, fn: Callable[..., object], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run `fn` on a thread for decisions, or on the one for refusals when the backlog is full.

        Returns:
            A future that is done: the call was handed over, and that is all that will be known of it here.
        """
        queue = self._deciding if self._deciding.qsize() < self._backlog else self._refusing
        queue.put((self._clock.monotonic(), fn, args, kwargs))
        return _HANDED_OVER

    def has_turned(self, within: float) -> bool:
        """Return whether a thread for decisions takes something up within so many seconds, behind what waits."""
        turned = threading.Event()
        self._deciding.put((self._clock.monotonic(), turned.set, (), {}))
        return turned.wait(within)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 — as inherited
        """End both kinds of threads after what was handed over has run."""
        for _ in self._deciders:
            self._deciding.put(None)
        self._refusing.put(None)
        super().shutdown(wait, cancel_futures=cancel_futures)
        if wait:
            for worker in (*self._deciders, self._refuser):
                if worker.is_alive():
                    worker.join()

    def _worker(self, name: str, queue: _Queue) -> threading.Thread:
        return threading.Thread(target=self._work, args=(queue,), name=name, daemon=True)

    def _work(self, queue: _Queue) -> None:
        """Run what comes until None does."""
        while (call := queue.get()) is not None:
            since, fn, args, kwargs = call
            self._here.ticket = Ticket(queue is self._refusing, self._clock.monotonic() - since)
            try:
                fn(*args, **kwargs)
            except BaseException:  # noqa: BLE001 — whatever it is, the thread is there for the next call
                _log.exception("call failed")
            del call, fn, args, kwargs  # Or the question would stay in memory until the next one comes.
