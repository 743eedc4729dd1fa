"""One remote that is asked on demand: by few at once, about each thing by one, and not while it fails.

1. What is asked by the same key is fetched once, and those who need it meanwhile wait for it. Who must have an answer
   whose fetch began not before some instant does not join an earlier one.
2. A fetch runs on a thread of its own with a deadline of its own. Who waits for it leaves at his own deadline; the
   answer is kept all the same, for the next time.
3. At most `slots` fetches are under way, and at most as many decisions wait. The next is told `UNAVAILABLE` at once.
4. The breaker (`breaker.py`) keeps away from a remote that fails. An answer that is of no use, and may be so because of
   what was asked, is no such failure.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from extauthz.errors import AnswerError, ExtAuthzError, JoseError
from extauthz.ports import Fetched

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from extauthz.clock import Clock, Instant
    from extauthz.server.breaker import Breaker

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Flight:
    """One fetch under way, and those who wait for it."""

    began: Instant
    over: threading.Event = field(default_factory=threading.Event)
    outcome: Fetched = Fetched.UNAVAILABLE


class Remote:
    """Asks one remote. Use it from any thread.

    Args:
        name: for the log.
        clock: for instants.
        slots: fetches under way, and decisions that wait, at a time.
        breaker: keeps away from it while it fails.
        on_fetch: called with the outcome after every fetch, from its thread; must not raise.
    """

    def __init__(
        self, name: str, *, clock: Clock, slots: int, breaker: Breaker, on_fetch: Callable[[Fetched], None]
    ) -> None:
        self._name = name
        self._clock = clock
        self._breaker = breaker
        self._on_fetch = on_fetch
        self._waiting = threading.BoundedSemaphore(slots)
        self._free = threading.BoundedSemaphore(slots)
        self._lock = threading.Lock()
        self._flights: dict[Hashable, _Flight] = {}

    def fetch(
        self,
        key: Hashable,
        job: Callable[[Instant], None],
        timeout: float,
        not_before: Instant | None = None,
        *,
        admit: Callable[[], bool] | None = None,
    ) -> Fetched:
        """Have `job` done, or join it when it is under way, and wait `timeout` seconds for it; never raises.

        Args:
            key: names what is fetched.
            job: fetches and keeps it, given the instant at which it begins. An error of ours that it raises means that
                the remote gave no usable answer.
            timeout: seconds.
            not_before: a fetch that began earlier is not new enough.
            admit: asked last before a fetch is begun, and not for joining one; it may refuse.
        """
        if not self._waiting.acquire(blocking=False):
            return Fetched.UNAVAILABLE
        try:
            flight = self.launch(key, job, not_before, admit=admit)
            return flight.outcome if flight is not None and flight.over.wait(timeout) else Fetched.UNAVAILABLE
        finally:
            self._waiting.release()

    def launch(
        self,
        key: Hashable,
        job: Callable[[Instant], None],
        not_before: Instant | None = None,
        *,
        admit: Callable[[], bool] | None = None,
    ) -> _Flight | None:
        """Have `job` done without waiting; return the fetch, None when there may be none now."""
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None and (not_before is None or flight.began >= not_before):
                return flight
            if not self._free.acquire(blocking=False):
                return None
            if (admit is not None and not admit()) or not self._breaker.admit():
                self._free.release()
                return None
            flight = self._flights[key] = _Flight(self._clock.now())
        try:
            threading.Thread(target=self._run, args=(key, flight, job), name=self._name, daemon=True).start()
        except RuntimeError:
            _log.exception("no thread for a fetch", remote=self._name)
            self._breaker.failed()
            self._land(key, flight, Fetched.UNAVAILABLE)
        return flight

    def _run(self, key: Hashable, flight: _Flight, job: Callable[[Instant], None]) -> None:
        outcome, note = Fetched.UNAVAILABLE, self._breaker.failed
        try:
            job(flight.began)
            outcome, note = Fetched.DONE, self._breaker.succeeded
        except ExtAuthzError as error:
            if isinstance(error, AnswerError | JoseError):
                note = self._breaker.passed_over
            _log.warning("no usable answer", remote=self._name, problem=str(error))
        except Exception as error:  # noqa: BLE001 — whoever waits must be let go, whatever nobody foresaw
            _log.exception("no usable answer", remote=self._name, error=type(error).__name__)
        note()
        self._land(key, flight, outcome)
        self._on_fetch(outcome)

    def _land(self, key: Hashable, flight: _Flight, outcome: Fetched) -> None:
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]
        self._free.release()
        flight.outcome = outcome
        flight.over.set()
