"""The API keys in memory, as new as the state file is at every use: the `ports.ApiKeySource`, and the epochs of keys.

1. Whoever asks for the epoch of a key has the file looked at (`state/follower.py`, some microseconds), so it does not
   matter which process changed it. A decision asks before it looks for the key, and again whenever it is found among
   the kept ones. So a key that was revoked is refused from the next decision on, kept or not.
2. Keys and epochs stand in one view, put in place by one assignment.
3. When the file cannot be read there is no view: nothing is proven, and no kept decision holds.
4. Epochs are numbered here and never used twice, whatever numbers a restored file brings.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

from extauthz.errors import Refusal, StateError
from extauthz.model.reason import Reason
from extauthz.state.apikeys import read_api_keys
from extauthz.state.follower import Follower, Seen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from extauthz.clock import Clock
    from extauthz.ports import ApiKey

_log = structlog.get_logger(__name__)

_RETRY_SECONDS: Final = 0.1
"""Shortest time between two attempts at a file that cannot be read, so that attempts do not cost every decision."""


@dataclass(frozen=True, slots=True)
class _View:
    """Keys by id, and their epochs. A key that was never there has the epoch of the view's beginning."""

    number: int
    beginning: int
    keys: Mapping[str, ApiKey] = field(default_factory=dict)
    epochs: Mapping[str, int] = field(default_factory=dict)


class ApiKeyView:
    """API keys from a state file. Use it from any thread.

    Args:
        path: of the file.
        clock: only its monotonic side is read.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._follower = Follower(path)
        self._clock = clock
        self._view: _View | None = None
        # Everything below is read and written under this lock only.
        self._lock = threading.Lock()
        self._last_epoch = 0
        self._retry_at = clock.monotonic()

    @property
    def keys(self) -> int:
        """Return how many keys there are, expired and revoked ones included."""
        view = self._view
        return len(view.keys) if view is not None else 0

    @property
    def failing(self) -> bool:
        """Return whether the file could not be read the last time."""
        return self._view is None

    def find_api_key(self, key_id: str) -> ApiKey | None:
        """Return the key; see `ports.ApiKeySource`.

        Raises:
            Refusal: the keys are not known at the moment.
        """
        view = self._view
        if view is None:
            raise Refusal(Reason.EVIDENCE_UNAVAILABLE, "Try again shortly.", inner="the API keys cannot be read")
        return view.keys.get(key_id)

    def epoch(self, key_id: str) -> int:
        """Return the epoch of a key as the file is now; another one at each call while the file cannot be read."""
        with self._lock:
            self._look()
            view = self._view
            return self._next_epoch() if view is None else view.epochs.get(key_id, view.beginning)

    def look(self) -> None:
        """Bring the keys up to the file as it is now."""
        with self._lock:
            self._look()

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._follower.close()

    def _look(self) -> None:
        """Bring the view up to the file as it is now."""
        if self._view is None and self._clock.monotonic() < self._retry_at:
            return
        try:
            seen = self._follower.look()
            if seen is Seen.REPLACED or self._view is None:
                self._begin()
            elif seen is Seen.CHANGED:
                self._go_on(self._view)
        except StateError as error:
            if self._view is not None:
                _log.error("API keys cannot be read", problem=str(error))
            self._view = None
            self._retry_at = self._clock.monotonic() + _RETRY_SECONDS

    def _begin(self) -> None:
        """Read all keys: the first time, from another file, or after a failure."""
        changes = read_api_keys(self._follower.read, 0)
        keys = {key_id: key for key_id, key in changes.keys.items() if key is not None}
        _log.info("API keys read", keys=len(keys), unusable=len(changes.keys) - len(keys))
        self._view = _View(changes.number, self._next_epoch(), keys)

    def _go_on(self, view: _View) -> None:
        """Read what has changed since; all when the file went back in time."""
        changes = read_api_keys(self._follower.read, view.number)
        if changes.number < view.number:
            self._begin()
        elif changes.number != view.number:
            fresh = {key_id: key for key_id, key in changes.keys.items() if key is not None}
            kept = {key_id: key for key_id, key in view.keys.items() if key_id not in changes.keys}
            epoch = self._next_epoch()
            epochs = {**view.epochs, **dict.fromkeys(changes.keys, epoch)}
            self._view = _View(changes.number, view.beginning, {**kept, **fresh}, epochs)
            _log.info("API keys changed", keys=len(changes.keys), unusable=len(changes.keys) - len(fresh))

    def _next_epoch(self) -> int:
        self._last_epoch += 1
        return self._last_epoch
