"""What is done for each stream where the state is kept: fetch its events, know its transmitter, have it verified."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from extauthz.receiver.background import Background
from extauthz.receiver.learn import Learner
from extauthz.receiver.poll import Poller
from extauthz.receiver.verify import Verifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from extauthz.clock import Clock
    from extauthz.config.settings import Settings
    from extauthz.receiver.desk import Desk
    from extauthz.receiver.metadata import TransmitterMetadata
    from extauthz.server.fetch import Fetch
    from extauthz.server.verifications import Verifications

_STOP_SECONDS: Final = 1.0
"""For all threads together; a poll that is held open longer is abandoned, and nothing it brings is taken."""


class Feeds:
    """Runs on threads of its own, one to three for each stream.

    Args:
        settings: in force.
        fetch: the way out.
        desk: takes events.
        verifications: the desk's, which knows the states again.
        clock: for deadlines.
        on_learnt: called with a stream's name and its transmitter's metadata when they were read, where a stream has
            `keys.discovery` or `verify_every`.
    """

    def __init__(  # noqa: PLR0913 — each is an argument of its own
        self,
        settings: Settings,
        *,
        fetch: Fetch,
        desk: Desk,
        verifications: Verifications,
        clock: Clock,
        on_learnt: Callable[[str, TransmitterMetadata], None] | None = None,
    ) -> None:
        self._stopping = threading.Event()
        self._clock = clock

        def steps() -> Iterator[Background]:
            for stream in settings.signals.streams:
                if stream.poll is not None:
                    poller = Poller(
                        stream.name, stream.poll, fetch=fetch, desk=desk, clock=clock, stopping=self._stopping
                    )
                    yield Background(f"poll {stream.name}", poller.step, self._stopping)
                if stream.verify_every is not None:
                    verifier = Verifier(stream, fetch=fetch, clock=clock, verifications=verifications)
                    yield Background(f"verify {stream.name}", verifier.step, self._stopping)
                if on_learnt is not None and (stream.keys.discovery or stream.verify_every is not None):
                    learner = Learner(stream, fetch=fetch, clock=clock, on_learnt=on_learnt)
                    yield Background(f"learn {stream.name}", learner.step, self._stopping)

        self._threads = tuple(steps())

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self, wait: float = _STOP_SECONDS) -> None:
        """Take no more events, and wait a little for what is under way."""
        self._stopping.set()
        deadline = self._clock.monotonic() + wait
        for thread in self._threads:
            thread.join(max(0.0, deadline - self._clock.monotonic()))
