"""What this machine itself has heard of streams since it began, for the other machines."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from extauthz.state.signals import StreamHeard

if TYPE_CHECKING:
    from extauthz.clock import Instant


class OwnHearing:
    """How streams fare by what came to this machine. Use it from any thread.

    In memory, because the rows of the file have no MAC: others must not be told under our seal what somebody wrote
    into the file. After a restart there is nothing to tell until something is heard.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: dict[str, StreamHeard] = {}

    def heard(self, name: str, at: Instant) -> None:
        """Note that something valid came from a stream."""
        with self._lock:
            known = self._of(name)
            self._streams[name] = replace(known, heard_at=max(at, known.heard_at or at))

    def told(self, name: str, status: str, at: Instant) -> None:
        """Note what a transmitter says about its stream."""
        with self._lock:
            known = self._of(name)
            if known.status_at is None or known.status_at <= at:
                self._streams[name] = replace(known, status=status, status_at=at)

    def read(self) -> tuple[StreamHeard, ...]:
        """Return all of it."""
        with self._lock:
            return tuple(self._streams.values())

    def _of(self, name: str) -> StreamHeard:
        return self._streams.get(name) or StreamHeard(name=name, heard_at=None)
