"""Asking every worker whether it decides by a change, within a bound.

One thread for each worker asks for all who wait: while an answer is under way, those who come later wait for the next
one. So a worker that hangs holds up nobody longer than the bound, and is asked again and again only while somebody
waits.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from extauthz.clock import Clock

_log = structlog.get_logger(__name__)

ASK_SECONDS: Final = 1.0
"""Time for one answer of a worker."""

RETRY_SECONDS: Final = 0.02
"""Between two questions to a worker that did not answer, or has not seen what it is asked for."""


class Confirmer(Protocol):
    """One worker."""

    def __call__(self, timeout: float, /) -> int:
        """Look at the state, and return the newest change that decisions are made by from now on.

        Raises:
            Exception: it did not answer within `timeout` seconds.
        """
        ...


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Who decides by a change.

    Attributes:
        by: how many have said so.
        of: how many there are.
        missing: the names of the others.
    """

    by: int
    of: int
    missing: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class _Waiting:
    number: int
    began: float
    missing: set[str] = field(default_factory=set)


def _nobody(_worker: str, _seconds: float) -> None:
    """Note nothing."""


class Confirmations:
    """Asks workers; `start` once, then `stop` once. Use it from any thread.

    Args:
        confirmers: by name of the worker; fixed, a worker that is restarted keeps its name.
        clock: only its monotonic side is read.
        note: told of each confirmation: the worker's name, and the seconds since it was wanted.
    """

    def __init__(
        self, confirmers: Mapping[str, Confirmer], clock: Clock, note: Callable[[str, float], object] = _nobody
    ) -> None:
        self._confirmers = dict(confirmers)
        self._clock = clock
        self._note = note
        self._threads = [
            threading.Thread(target=self._follow, args=(name,), name=f"confirm {name}", daemon=True)
            for name in self._confirmers
        ]
        # Everything below is read and written under this lock only.
        self._lock = threading.Condition()
        self._waiting: list[_Waiting] = []
        self._answers: dict[str, int | None] = dict.fromkeys(self._confirmers)
        self._stopping = False

    @property
    def answers(self) -> dict[str, int | None]:
        """Return by worker the newest change that it has said it decides by; None when it did not answer."""
        with self._lock:
            return dict(self._answers)

    def start(self) -> None:
        """Begin to ask."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask no more, and return when nobody is being asked."""
        with self._lock:
            self._stopping = True
            self._lock.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def confirm(self, number: int, timeout: float) -> Confirmed:
        """Return who decides by change `number`, after `timeout` seconds at most.

        Only what a worker says after this was called counts, since numbers go back when a backup is restored.
        """
        waiting = _Waiting(number, self._clock.monotonic(), set(self._confirmers))
        with self._lock:
            self._waiting.append(waiting)
            self._lock.notify_all()
            self._lock.wait_for(lambda: not waiting.missing or self._stopping, timeout)
            self._waiting.remove(waiting)
            missing = tuple(sorted(waiting.missing))
        if missing:
            _log.error("a change is not confirmed", number=number, workers=missing)
        return Confirmed(len(self._confirmers) - len(missing), len(self._confirmers), missing)

    def _wanted(self, name: str) -> list[_Waiting]:
        return [waiting for waiting in self._waiting if name in waiting.missing]

    def _follow(self, name: str) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._stopping or bool(self._wanted(name)))
                if self._stopping:
                    return
                asked_for = self._wanted(name)
            number = self._ask(name)
            with self._lock:
                self._answers[name] = number
                content = [waiting for waiting in asked_for if number is not None and number >= waiting.number]
                for waiting in content:
                    waiting.missing.discard(name)
                self._lock.notify_all()
                if len(content) < len(asked_for):
                    self._lock.wait_for(lambda: self._stopping, RETRY_SECONDS)
            for waiting in content:
                self._note(name, self._clock.monotonic() - waiting.began)

    def _ask(self, name: str) -> int | None:
        try:
            return int(self._confirmers[name](ASK_SECONDS))
        except Exception as error:  # noqa: BLE001 — whatever a worker failed at, it did not confirm, and others go on
            if self._answers[name] is not None:
                _log.warning("a worker does not answer", worker=name, problem=str(error))
            return None
