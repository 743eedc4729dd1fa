"""A web of documents in memory, in place of the egress client: editable, countable, and able to hold a fetch back."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from extauthz.errors import FetchError

if TYPE_CHECKING:
    from tests.simulators.clock import ManualClock

_PATIENCE_SECONDS = 10.0


class Documents:
    """URL → document.

    Attributes:
        pages: what each URL serves; an exception is raised instead.
        fetched: every URL that was asked for, in order.
        gate: closed (`clear`), it holds each fetch until it is opened.
        begun: set when a fetch has begun.
        takes: seconds that pass on `clock` with each fetch.
    """

    def __init__(self, clock: ManualClock | None = None) -> None:
        self.pages: dict[str, Any] = {}
        self.fetched: list[str] = []
        self.timeouts: list[float] = []
        self.plain_http: list[bool] = []
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Event()
        self.takes = 0.0
        self._clock = clock

    def get(self, url: str, *, timeout: float, max_bytes: int, plain_http: bool = False) -> bytes:
        """Return the document; JSON values are written as JSON."""
        self.fetched.append(url)
        self.timeouts.append(timeout)
        self.plain_http.append(plain_http)
        self.begun.set()
        if not self.gate.wait(_PATIENCE_SECONDS):
            message = "the test never opened the gate"
            raise AssertionError(message)
        if self._clock is not None:
            self._clock.advance(self.takes)
        page = self.pages.get(url, FetchError("answered with status 404"))
        if isinstance(page, Exception):
            raise page
        return (page if isinstance(page, bytes) else json.dumps(page).encode())[: max_bytes + 1]
