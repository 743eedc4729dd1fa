"""A desk that says what a test wants, for testing how events arrive."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from extauthz.receiver.desk import ACCEPTED, REFUSED, UNAVAILABLE, Said

if TYPE_CHECKING:
    from collections.abc import Callable

    from extauthz.receiver.desk import Word

TAKEN = Said(ACCEPTED)
BUSY = Said(UNAVAILABLE)


def refused(err: str = "invalid_request", description: str = "Not like this.") -> Said:
    """Return a refusal."""
    return Said(REFUSED, err, description)


@dataclass
class ScriptedDesk:
    """Takes everything unless told otherwise.

    Attributes:
        says: what it says about an event.
        heard: stream and event, in order.
        gate: it says nothing before this is set; set from the start.
        arrived: released for each event.
    """

    says: Callable[[str], Word] = field(default=lambda _: TAKEN)
    heard: list[tuple[str, str]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def __post_init__(self) -> None:
        """Let events through."""
        self.gate.set()

    def hear(self, stream: str, token: str) -> Word:
        """Say what the test wants."""
        self.heard.append((stream, token))
        self.arrived.release()
        self.gate.wait(20)
        return self.says(token)
