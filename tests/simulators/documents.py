"""A web of documents in memory, in place of the egress client: editable, countable, and able to hold a fetch back."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from extauthz.errors import FetchError
from extauthz.server.fetch import Reply

if TYPE_CHECKING:
    from extauthz.server.fetch import Ask
    from tests.simulators.clock import ManualClock

_PATIENCE_SECONDS = 10.0


class Documents:
    """URL → document.

    Attributes:
        pages: what each URL serves; an exception is raised instead.
        gate: closed (`clear`), it holds each fetch until it is opened.
        begun: set when a fetch has begun.
        takes: seconds that pass on `clock` with each fetch.
        headers: of each URL's answer, by lower-case name; an `etag` that is asked for by name is not sent again.
        asked: everything that was asked, in order.
    """

    def __init__(self, clock: ManualClock | None = None) -> None:
        self.pages: dict[str, Any] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.asked: list[Ask] = []
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Event()
        self.takes = 0.0
        self._clock = clock

    @property
    def fetched(self) -> list[str]:
        """Return every URL that was asked for, in order."""
        return [ask.url for ask in self.asked]

    def fetch(self, ask: Ask) -> Reply:
        """Return the document; JSON values are written as JSON."""
        self.asked.append(ask)
        self.begun.set()
        if not self.gate.wait(_PATIENCE_SECONDS):
            message = "the test never opened the gate"
            raise AssertionError(message)
        if self._clock is not None:
            self._clock.advance(self.takes)
        page = self.pages.get(ask.url, FetchError("answered with status 404"))
        if isinstance(page, Exception):
            raise page
        headers = self.headers.get(ask.url, {})
        if ask.etag and headers.get("etag") == ask.etag:
            return Reply(headers=headers, not_modified=True)
        raw = page if isinstance(page, bytes) else json.dumps(page).encode()
        return Reply(raw[: ask.max_bytes + 1], headers)
