"""The push receiver's process: open to the network, and so without a hand in anything.

It has no key and opens no state. What it is sent, it hands to the keeper as it came, and says what the keeper said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from extauthz.clock import SystemClock
from extauthz.errors import LinkError
from extauthz.link.caller import LinkCaller
from extauthz.processes.part import Health, Report
from extauthz.processes.places import SIGNALS
from extauthz.receiver.desk import DistantDesk
from extauthz.receiver.push import PushReceiver, push_streams

if TYPE_CHECKING:
    from extauthz.processes.handover import Handover

EVENT_SECONDS: Final = 10.0
"""For the keeper to have an event in force; what takes longer is sent again by its transmitter."""


def make_part(handover: Handover) -> ReceiverPart:
    """Return the receiver."""
    return ReceiverPart(handover)


class ReceiverPart:
    """Receives; a `part.Part`.

    Args:
        handover: what it is told.

    Raises:
        ConfigError: the settings cannot be served.
    """

    def __init__(self, handover: Handover) -> None:
        settings = handover.settings
        self._keeper = LinkCaller(settings.server.run_dir / SIGNALS)
        self._receiver = PushReceiver(
            settings.signals.receiver,
            push_streams(settings),
            DistantDesk(lambda message: self._keeper.ask(message, EVENT_SECONDS)),
            SystemClock(),
            plaintext_beyond_loopback=settings.insecure.plaintext_beyond_loopback,
        )

    def start(self) -> Report:
        """Receive."""
        self._receiver.start()
        return Report(addresses=(self._receiver.address,))

    def reload(self) -> None:
        """Do nothing: its files are looked at when they are used."""

    def check(self, within: float) -> Health:
        """Return whether connections are taken; it is ready when the keeper hears it."""
        why_not = self._receiver.check(within)
        try:
            self._keeper.ask({"op": "streams"}, within)
        except LinkError as error:
            return Health(works=not why_not, ready=False, why_not=why_not or str(error))
        return Health(works=not why_not, ready=not why_not, why_not=why_not)

    def stop(self) -> None:
        """Take no more events; those under way are answered."""
        self._receiver.stop()
        self._keeper.close()
