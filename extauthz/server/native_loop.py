"""One thread that takes calls in batches and answers them: the heart of the native engine.

1. What needs no fetch is answered on this thread, in the order received. What needs one goes to a pool; the loop never
   waits for it. When the pool is full, the question is refused `overloaded`.
2. Of one batch, one call and the backlog behind it are decided; the rest is refused `overloaded`. A refusal is cheaper
   than a decision, so a crowd that grew while we were busy is worked off instead of making every later call late.
3. Time in a queue is time used up: what is left is as of the batch's receipt, less what has passed since. The checker
   refuses unread what comes too late.
4. Whatever goes wrong with one call is the prepared denial for that call.
5. Anything else would leave every call without an answer, in silence, and no answer is an error which Envoy may let
   through. So the end of the loop, other than by `close`, closes the listener and is the end of the process.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

from extauthz.model.reason import Reason
from extauthz.response.to_envoy import UNANSWERABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from extauthz.clock import Clock
    from extauthz.config.settings import ServerSettings
    from extauthz.server.engine import CheckFunction, Pending
    from extauthz.server.evidence_pool import EvidencePool
    from extauthz.server.proxies import ProxyRegistry

_log = structlog.get_logger(__name__)

CALL: Final = 0
"""Kind of an event: a call. The only other one says that a call ended before it was answered."""

BEYOND_BACKLOG: Final = 4096
"""Events taken in one batch in excess of the backlog. Several Envoys at their default bound (1,024 requests under way)
fit into one, so a whole crowd is seen and worked off at once; with 512 the rest queued up where nobody sees it."""

FLUSH_SECONDS: Final = 0.1
"""Between the last answer and closing. Closing at once lost half of the answers in a test, 20 ms later none."""

TURN_MILLISECONDS: Final = 250
"""The loop comes round as often with nothing to do, so that it can be told from one that is stuck."""

Event = tuple[int, int, int, bytes | None, Any, tuple[tuple[tuple[str, str | bytes], ...], str, float | None] | None]
"""Kind, call, method, message, client key, and (metadata, peer, seconds left; None without a deadline)."""


class Front(Protocol):
    """What the loop uses of `pygrpc_native.NativeGrpcFront`."""

    def recv_batch_details(self, max_events: int, timeout_ms: int | None = None) -> Sequence[Event] | None:
        """Return what has arrived, waiting for something; nothing after the timeout, None once the front is closed."""
        ...

    def respond(self, call_id: int, payload: bytes) -> bool:
        """Answer a call from any thread; return False when it is gone."""
        ...

    def close(self) -> None:
        """End it, without waiting for calls under way."""
        ...


class AnsweringLoop:
    """Answers what one listener receives.

    Args:
        front: the listener.
        checker: answers questions.
        proxies: tells who asks.
        pool: where questions wait for evidence.
        server: `deadline` and `backlog` of it.
        clock: the stopwatch.
        on_death: called when the loop ends that should not; it ends the process.
    """

    def __init__(  # noqa: PLR0913 — each is one thing that the loop works with
        self,
        front: Front,
        *,
        checker: CheckFunction,
        proxies: ProxyRegistry,
        pool: EvidencePool,
        server: ServerSettings,
        clock: Clock,
        on_death: Callable[[], object],
    ) -> None:
        self._front = front
        self._checker = checker
        self._proxies = proxies
        self._pool = pool
        self._deadline = server.deadline
        self._backlog = server.backlog
        self._clock = clock
        self._on_death = on_death
        self._waiting: set[int] = set()
        self._stopping = False
        self._closing = False
        self._turned = threading.Event()
        self._thread = threading.Thread(target=self._run, name="answer", daemon=True)

    def start(self) -> None:
        """Answer."""
        self._thread.start()

    def has_turned(self, within: float) -> bool:
        """Return whether the loop comes round within so many seconds, having answered what it holds."""
        self._turned.clear()
        return self._turned.wait(within)

    def stop_waiting(self) -> None:
        """From now on refuse what needs a fetch; what needs none is answered on its merits until `close`."""
        self._stopping = True

    def answer_the_rest(self) -> None:
        """Answer the calls that still wait for evidence by the prepared denial: their time is over."""
        for call_id in tuple(self._waiting):
            self._respond_waiting(call_id, UNANSWERABLE)

    def close(self) -> None:
        """End the listener, and return when the loop has ended."""
        self._closing = True
        self._front.close()
        self._thread.join()

    def _run(self) -> None:
        try:
            most = self._backlog + BEYOND_BACKLOG
            while (events := self._front.recv_batch_details(most, TURN_MILLISECONDS)) is not None:
                self._answer_batch(events)
                if not self._turned.is_set():  # Cheaper than setting it each time.
                    self._turned.set()
        except BaseException as error:  # noqa: BLE001 — whatever it is, it must not end this thread in silence
            self._die("the loop failed", error)
        else:
            if not self._closing:
                self._die("the listener closed by itself")

    def _answer_batch(self, events: Sequence[Event]) -> None:
        received = self._clock.monotonic()
        for position, event in enumerate(events):
            if event[0] != CALL:
                self._waiting.discard(event[1])
                continue
            answer = self._find_answer(event, received, beyond_backlog=position > self._backlog)
            if answer is not None:
                self._front.respond(event[1], answer)

    def _find_answer(self, event: Event, received: float, *, beyond_backlog: bool) -> bytes | None:
        """Return the answer; None when the pool will answer."""
        details: Any
        _, call_id, _, raw, _, details = event
        try:
            metadata, where, left = details
            proxy = self._proxies.find_caller(where, metadata)
            if beyond_backlog:
                return self._checker.refuse(Reason.OVERLOADED, proxy)
            patience = self._deadline if left is None or left > self._deadline else left
            answer = self._checker.try_check(
                raw or b"" if proxy is not None else b"",
                proxy,
                remaining=patience - (self._clock.monotonic() - received),
                asked=received,
            )
            if isinstance(answer, bytes):
                return answer
            return None if self._hand_over(call_id, answer) else self._checker.refuse(Reason.OVERLOADED, proxy)
        except Exception:  # noqa: BLE001 — the outermost boundary of one call: the others must go on
            _log.exception("call failed")
            return UNANSWERABLE

    def _hand_over(self, call_id: int, question: Pending) -> bool:
        if self._stopping:
            return False
        self._waiting.add(call_id)
        taken = self._pool.submit(partial(self._finish, call_id, question))
        if not taken:
            self._waiting.discard(call_id)
        return taken

    def _finish(self, call_id: int, question: Pending) -> None:
        """Answer a question that needs a fetch; on a thread of the pool."""
        if call_id not in self._waiting:
            return  # The caller went away, or has been answered; a fetch would serve nobody.
        try:
            answer = question.finish()
        except Exception:  # noqa: BLE001 — as in `_find_answer`
            _log.exception("call failed")
            answer = UNANSWERABLE
        try:
            self._respond_waiting(call_id, answer)
        except BaseException as error:  # noqa: BLE001 — as in `_run`: a call without an answer, in silence
            self._die("an answer could not be given", error)

    def _respond_waiting(self, call_id: int, answer: bytes) -> None:
        self._waiting.discard(call_id)
        self._front.respond(call_id, answer)

    def _die(self, why: str, error: BaseException | None = None) -> None:
        _log.critical("questions can no longer be answered; the process ends", why=why, exc_info=error)
        threading.Event().wait(FLUSH_SECONDS)
        with suppress(Exception):
            self._front.close()  # Callers learn at once, instead of when their patience ends.
        self._on_death()
