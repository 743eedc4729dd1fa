"""One issuer's keys: a thread that fetches, a set that readers see, and a queue of none.

The rules stand in `server/keys.py`; this is the half of them that concerns one issuer.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import structlog

from extauthz.errors import FetchError, JoseError
from extauthz.jose.keyset import SIGNATURES, KeySet, parse_keyset
from extauthz.ports import Fetched
from extauthz.server.keyorigin import refresh_interval

if TYPE_CHECKING:
    from collections.abc import Callable

    from extauthz.clock import Clock
    from extauthz.config.issuers import KeySettings
    from extauthz.server.keyorigin import KeyOrigin, Version

_log = structlog.get_logger(__name__)

_SHORTEST_RETRY: Final = 1.0
"""Seconds between two attempts at an issuer that fails, whatever `cool_down` says."""


@dataclass(frozen=True, slots=True)
class _Held:
    keys: KeySet
    fetched_at: float
    """Monotonic seconds at which the fetch began: what it brought cannot be newer."""
    digest: bytes
    """SHA-256 of the document: equal ones hold equal keys."""
    version: Version | None
    """What the place calls it."""


@dataclass(slots=True)
class _Flight:
    """One fetch, planned or under way, and those who wait for it."""

    on_demand: bool
    over: threading.Event = field(default_factory=threading.Event)
    outcome: Fetched = Fetched.UNAVAILABLE


class IssuerRefresh:
    """Keeps one issuer's keys fresh. Use it from any thread.

    Args:
        issuer: whose keys.
        keys: how they are kept.
        algorithms: that the issuer may use.
        origin: where its key set comes from; only used by this issuer's thread.
        clock: for ages and intervals; only its monotonic side is read.
        fetch_slots: how many may wait at a time.
        on_fetch: called with issuer and outcome after every fetch, from this issuer's thread.
        use: what the keys are published for.
    """

    def __init__(  # noqa: PLR0913 — what an issuer's keys consist of
        self,
        issuer: str,
        keys: KeySettings,
        algorithms: tuple[str, ...],
        *,
        origin: KeyOrigin,
        clock: Clock,
        fetch_slots: int,
        on_fetch: Callable[[str, Fetched], None],
        use: str = SIGNATURES,
    ) -> None:
        self._issuer = issuer
        self._use = use
        self._algorithms = algorithms
        self._keys = keys
        self._origin = origin
        self._clock = clock
        self._on_fetch = on_fetch
        self._slots = threading.BoundedSemaphore(fetch_slots)
        self._held: _Held | None = None
        self._changes = 0
        self._fresh_for: float | None = None
        self._thread: threading.Thread | None = None
        # Everything below is read and written under this lock only.
        self._lock = threading.Condition()
        self._stopping = False
        self._flight: _Flight | None = None
        self._last_outcome = Fetched.UNAVAILABLE
        self._cool_until = clock.monotonic()
        self._failures = 0

    def usable_keys(self) -> KeySet | None:
        """Return the last good set, or None when there is none or it is older than `max_age`."""
        held = self._held
        if held is None or self._clock.monotonic() - held.fetched_at > self._keys.max_age:
            return None
        return held.keys

    def epoch(self) -> int:
        """Return a number that is another one whenever the usable keys are others; negative while there are none."""
        changes = self._changes  # Read before the keys: whoever changes them does so in the other order.
        return -1 if self.usable_keys() is None else changes

    def start(self) -> threading.Event:
        """Start the thread; return an event that is set when its first fetch is over."""
        with self._lock:
            flight = self._flight = _Flight(on_demand=False)
            self._thread = threading.Thread(target=self._run, name=f"keys of {self._issuer}", daemon=True)
            self._thread.start()
        return flight.over

    def ask_to_stop(self) -> None:
        """Let the thread end after the fetch that is under way."""
        with self._lock:
            self._stopping = True
            self._lock.notify_all()

    def join(self, timeout: float) -> None:
        """Wait until the thread has ended, for `timeout` seconds at most; it is a daemon and holds nobody up."""
        if self._thread is not None:
            self._thread.join(timeout)

    def fetch(self, timeout: float) -> Fetched:
        """Join the fetch under way, or have one made if the cool-down allows, and wait `timeout` seconds for it."""
        with self._lock:
            flight = self._flight
            if flight is None:
                if self._stopping or self._thread is None:
                    return Fetched.UNAVAILABLE
                if self._clock.monotonic() < self._cool_until:
                    return self._last_outcome if self.usable_keys() is not None else Fetched.UNAVAILABLE
                flight = self._flight = _Flight(on_demand=True)
                self._lock.notify_all()
        if not self._slots.acquire(blocking=False):
            return Fetched.UNAVAILABLE
        try:
            return flight.outcome if flight.over.wait(timeout) else Fetched.UNAVAILABLE
        finally:
            self._slots.release()

    def _run(self) -> None:
        pause = 0.0
        while (flight := self._next_flight(pause)) is not None:
            outcome = self._attempt(flight)
            with self._lock:
                self._flight = None
                self._last_outcome = flight.outcome = outcome
                if flight.on_demand:
                    self._cool_until = self._clock.monotonic() + self._keys.cool_down
                pause = self._pause(outcome)
            flight.over.set()

    def _next_flight(self, pause: float) -> _Flight | None:
        """Wait for a demand or for the pause to end; return the flight to make, or None to stop."""
        with self._lock:
            self._lock.wait_for(lambda: self._stopping or self._flight is not None, pause)
            flight = self._flight or _Flight(on_demand=False)
            self._flight = flight
            if not self._stopping:
                return flight
            self._flight = None
        flight.over.set()
        return None

    def _pause(self, outcome: Fetched) -> float:
        interval = refresh_interval(self._keys, self._fresh_for)
        if outcome is Fetched.DONE:
            self._failures = 0
            return interval
        self._failures += 1
        first = max(self._keys.cool_down, _SHORTEST_RETRY)
        # The exponent is bounded so that years of failures do not make a number too large to multiply.
        return min(first * 2.0 ** min(self._failures - 1, 16), max(interval, first))

    def _attempt(self, flight: _Flight) -> Fetched:
        outcome = Fetched.UNAVAILABLE
        try:
            self._load(thorough=not flight.on_demand)
            outcome = Fetched.DONE
        except (FetchError, JoseError) as error:
            _log.warning("keys not refreshed", issuer=self._issuer, problem=str(error), kept=self._held is not None)
        except Exception as error:  # noqa: BLE001 — this thread must outlive what nobody foresaw, or keys grow old
            _log.exception("keys not refreshed", issuer=self._issuer, error=type(error).__name__)
        self._on_fetch(self._issuer, outcome)
        return outcome

    def _load(self, *, thorough: bool) -> None:
        fetched_at = self._clock.monotonic()
        before = self._held
        loaded = self._origin.load(thorough=thorough, have=before.version if before is not None else None)
        self._fresh_for = loaded.fresh_for
        if loaded.document is None and before is not None:
            self._held = replace(before, fetched_at=fetched_at)
            return
        document = loaded.document or b""
        keys = parse_keyset(document, self._algorithms, self._use)
        # A version is remembered only with a set that was good, or "still stands" would be said of a bad one.
        self._held = _Held(keys, fetched_at, sha256(document).digest(), loaded.version)
        if before is None or before.digest != self._held.digest:
            self._changes += 1  # After the keys are in place: an epoch may lag behind a fact, never run ahead of it.
        if before is None or (before.keys.names, before.keys.left_out) != (keys.names, keys.left_out):
            _log.info("keys changed", issuer=self._issuer, kids=keys.names, left_out=dict(keys.left_out))
