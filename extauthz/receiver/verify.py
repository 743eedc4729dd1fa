"""Asking a stream's transmitter to prove, every now and then, that its events arrive (SSF 1.0, verification).

The event that answers comes like any other, brings our state back, and counts as being heard from (`max_silence`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from extauthz.errors import FetchError
from extauthz.receiver.backoff import Backoff
from extauthz.receiver.metadata import load_metadata
from extauthz.receiver.transmitter import Transmitter, TransmitterError
from extauthz.server.breaker import random_share
from extauthz.server.discovery import Errand

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from extauthz.clock import Clock
    from extauthz.config.signals import StreamSettings
    from extauthz.server.fetch import Fetch
    from extauthz.server.verifications import Verifications

_log = structlog.get_logger(__name__)

REQUEST_SECONDS: Final = 10.0
"""For one request to a transmitter's endpoints."""

ENABLED: Final = "enabled"


class Verifier:
    """Asks for one stream's verification events. Used by one thread at a time.

    Args:
        stream: which.
        fetch: the way out.
        clock: for deadlines.
        verifications: makes the states that are sent.
        chance: returns a factor for a pause, between 0.5 and 1.
    """

    def __init__(
        self,
        stream: StreamSettings,
        *,
        fetch: Fetch,
        clock: Clock,
        verifications: Verifications,
        chance: Callable[[], float] = random_share,
    ) -> None:
        self._stream = stream
        self._every = stream.verify_every or 0.0
        self._fetch = fetch
        self._clock = clock
        self._verifications = verifications
        self._backoff = Backoff(chance)
        self._transmitter: Transmitter | None = None
        self._shortest = 0.0

    def step(self) -> float:
        """Ask once; return the seconds until the next time. Never raises an error of ours."""
        name, stream_id = self._stream.name, self._stream.stream_id
        try:
            transmitter = self._transmitter or self._introduce()
            transmitter.ask_for_verification(stream_id, self._verifications.ask(name))
        except FetchError as error:
            wait = error.wait if isinstance(error, TransmitterError) else 0.0
            pause = max(self._backoff.failed(), wait, self._shortest)
            _log.warning("no verification of a stream", stream=name, problem=str(error), again_in=round(pause, 1))
            return pause
        self._transmitter = transmitter
        if self._backoff.succeeded():
            _log.info("the transmitter takes verification requests again", stream=name)
        return max(self._every, self._shortest)

    def _introduce(self) -> Transmitter:
        """Return the transmitter, after a look at what it says about itself and the stream.

        Raises:
            FetchError: it cannot be reached, or is not believed.
        """
        errand = Errand(self._fetch, self._clock, REQUEST_SECONDS, plain_http=False)
        metadata = load_metadata(self._stream.issuer, errand)
        transmitter = Transmitter(metadata, self._fetch, _token_file_of(self._stream), REQUEST_SECONDS)
        try:
            self._look_at_stream(transmitter)
        except FetchError as error:
            # Some have fewer endpoints, or show less to us; being asked for verification is another matter.
            _log.info("a stream cannot be looked at", stream=self._stream.name, problem=str(error))
        return transmitter

    def _look_at_stream(self, transmitter: Transmitter) -> None:
        name, stream_id = self._stream.name, self._stream.stream_id
        status, reason = transmitter.read_status(stream_id)
        if status != ENABLED:
            _log.error("a stream is not enabled; nothing is reported on it", stream=name, status=status, why=reason)
        self._shortest = transmitter.read_stream(stream_id).min_verification_interval


def _token_file_of(stream: StreamSettings) -> Path | None:
    delivery = stream.poll or stream.push
    return delivery.token_file if delivery is not None else None
