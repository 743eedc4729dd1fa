"""The machine's clock and chance, for proofs and for waiting; the rest of the client takes them as arguments."""

from __future__ import annotations

import secrets
import time
from typing import Protocol


class Machine(Protocol):
    """Where instants, pauses and unique names come from."""

    def now(self) -> float:
        """Return seconds since 1970-01-01T00:00:00Z."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        ...

    def unique(self) -> str:
        """Return a text that nobody had before, of 128 random bits."""
        ...


class ThisMachine:
    """The real ones."""

    def now(self) -> float:
        """Return the wall-clock time."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def unique(self) -> str:
        """Return 128 random bits as text."""
        return secrets.token_urlsafe(16)
