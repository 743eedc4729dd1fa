"""Reading, now and then, what a stream's transmitter says about itself; above all which members are critical."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from extauthz.errors import FetchError
from extauthz.receiver.backoff import Backoff
from extauthz.receiver.metadata import load_metadata
from extauthz.server.breaker import random_share
from extauthz.server.discovery import Errand

if TYPE_CHECKING:
    from collections.abc import Callable

    from extauthz.clock import Clock
    from extauthz.config.signals import StreamSettings
    from extauthz.receiver.metadata import TransmitterMetadata
    from extauthz.server.fetch import Fetch

_log = structlog.get_logger(__name__)

READ_EVERY: Final = 3600.0
"""Seconds between two looks."""

READ_SECONDS: Final = 10.0
"""For one look."""


class Learner:
    """Reads one transmitter's metadata. Used by one thread at a time.

    Args:
        stream: whose transmitter.
        fetch: the way out.
        clock: for deadlines.
        on_learnt: called with the stream's name and the metadata.
        chance: returns a factor for a pause, between 0.5 and 1.
    """

    def __init__(
        self,
        stream: StreamSettings,
        *,
        fetch: Fetch,
        clock: Clock,
        on_learnt: Callable[[str, TransmitterMetadata], None],
        chance: Callable[[], float] = random_share,
    ) -> None:
        self._stream = stream
        self._fetch = fetch
        self._clock = clock
        self._on_learnt = on_learnt
        self._backoff = Backoff(chance)
        self._version = ""

    def step(self) -> float:
        """Read once; return the seconds until the next time. Never raises an error of ours."""
        name = self._stream.name
        try:
            errand = Errand(self._fetch, self._clock, READ_SECONDS, plain_http=False)
            metadata = load_metadata(self._stream.issuer, errand)
        except FetchError as error:
            pause = self._backoff.failed()
            _log.warning(
                "metadata of a transmitter not read", stream=name, problem=str(error), again_in=round(pause, 1)
            )
            return pause
        self._backoff.succeeded()
        if metadata.spec_version != self._version:
            self._version = metadata.spec_version
            say = _log.info if metadata.is_final else _log.warning
            say("a transmitter's metadata were read", stream=name, spec_version=self._version, final=metadata.is_final)
        self._on_learnt(name, metadata)
        return READ_EVERY
