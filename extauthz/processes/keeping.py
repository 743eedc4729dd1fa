"""Everything that keeps the state and hears signals, put together: a process of its own, or part of the only one.

Order matters. Start: the keeper, which makes what others open; then who brings it events. Stop: the other way round.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

from extauthz.errors import ConfigError, LinkError, Problem
from extauthz.keeper.service import KeeperService
from extauthz.keeper.streams import open_signal_desk, stream_keys
from extauthz.link.listener import LinkListener
from extauthz.processes.places import SIGNALS
from extauthz.receiver.feeds import Feeds
from extauthz.server.egress import egress_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from extauthz.clock import Clock
    from extauthz.config.settings import Settings
    from extauthz.keeper.confirmations import Confirmer
    from extauthz.keeper.redis_shared import Shared
    from extauthz.keeper.signaldesk import SignalDesk
    from extauthz.server.keeperspender import StateOwner
    from extauthz.server.keys import IssuerKeys
    from extauthz.telemetry.metrics import Metrics

FIRST_KEYS_SECONDS: Final = 2.0
"""How long the start waits for transmitters' keys; one that is slower or down is asked again in the background."""


class Keeping:
    """Keeper, signal desk and feeds. `start` once, then `stop` once.

    Args:
        settings: with a state file.
        clock: all of its clocks are read.
        confirmers: every worker of this machine, by name.
        metrics: counts.
        streams: names the resources whose connections may outlive a decision.

    Attributes:
        service: the keeper.
        desk: takes events; None where no stream is configured.

    Raises:
        ConfigError: the settings cannot be served.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        *,
        confirmers: Mapping[str, Confirmer],
        metrics: Metrics,
        streams: Callable[[], tuple[str, ...]],
    ) -> None:
        self._shared = _open_shared(settings, clock, metrics)
        self.service = KeeperService(
            settings,
            clock,
            confirmers=confirmers,
            metrics=metrics,
            replicator=self._shared.replicator if self._shared is not None else None,
            spender=self._shared.spender if self._shared is not None else None,
            streams=streams,
        )
        self.desk: SignalDesk | None = None
        self._undo = ExitStack()
        self._keys: IssuerKeys | None = None
        self._feeds: Feeds | None = None
        self._listener: LinkListener | None = None
        if settings.signals.streams:
            self._open_streams(settings, clock, metrics)

    @property
    def spender(self) -> StateOwner:
        """Return who takes what can be used up."""
        return self.service.spender

    def start(self) -> None:
        """Keep, then listen.

        Raises:
            ConfigError: a socket or the state cannot be had. Nothing runs then.
        """
        with ExitStack() as undo:
            if self._shared is not None:
                self._shared.spender.start()
                undo.callback(self._shared.spender.stop)
            self.service.start()
            undo.callback(self.service.stop)
            if self._keys is not None:
                self._keys.start(wait=FIRST_KEYS_SECONDS)
                undo.callback(self._keys.stop)
            if self._listener is not None:
                try:
                    self._listener.start()
                except LinkError as error:
                    raise ConfigError([Problem("server.run_dir", 0, 0, str(error))]) from error
                undo.callback(self._listener.stop)
            if self._feeds is not None:
                self._feeds.start()
                undo.callback(self._feeds.stop)
            self._undo = undo.pop_all()

    def check(self, within: float) -> str:
        """Return what does not work, in a sentence; empty when all of it answers within so many seconds."""
        return self.service.check(within)

    def stop(self) -> None:
        """End all of it, last started first."""
        self._undo.close()

    def _open_streams(self, settings: Settings, clock: Clock, metrics: Metrics) -> None:
        fetch = egress_of(settings, clock).fetch
        verifications = self.service.verifications
        self._keys = keys = stream_keys(settings, fetch=fetch, clock=clock)
        self.desk = desk = open_signal_desk(
            settings, self.service.keeper, keys, clock=clock, verifications=verifications, metrics=metrics.state
        )
        self._listener = LinkListener(settings.server.run_dir / SIGNALS, desk.handle, clock=clock)

        def learnt(stream: str, metadata: Any) -> None:
            desk.learn(stream, metadata.critical_subject_members)

        self._feeds = Feeds(
            settings, fetch=fetch, desk=desk, verifications=verifications, clock=clock, on_learnt=learnt
        )


def _open_shared(settings: Settings, clock: Clock, metrics: Metrics) -> Shared | None:
    """Return what is shared with other machines; None for one machine."""
    if settings.state is None or settings.state.redis is None:
        return None
    from extauthz.keeper.redis_shared import open_shared  # noqa: PLC0415 — its client is an extra

    return open_shared(settings, clock, metrics.state)
