"""`server.workers: 0`: one process for everything."""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import structlog

from extauthz.clock import SystemClock
from extauthz.processes.keeping import Keeping
from extauthz.processes.signals import calm_collector, end_at_the_next, receive_signals
from extauthz.processes.temporary import with_state_file
from extauthz.receiver.push import PushReceiver, push_streams
from extauthz.server.app import build
from extauthz.server.banner import banner
from extauthz.telemetry.logging import set_up_logging
from extauthz.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from extauthz.clock import Clock
    from extauthz.config.settings import Settings

_log = structlog.get_logger(__name__)


def run_alone(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT, then drain; return the exit code.

    SIGHUP looks at policy and token files at once and opens the record file by its name again, for log rotation. A
    second SIGTERM or SIGINT during the drain ends the process at once.

    Raises:
        ConfigError: the settings cannot be served.
    """
    set_up_logging(settings.telemetry.log_level, settings.telemetry.log_format)
    told = receive_signals()
    with with_state_file(settings) as kept, ExitStack() as undo:
        server = Single(kept, SystemClock())
        undo.callback(server.stop)
        server.start()
        sys.stderr.write(banner(settings, [server.application.serving], server.application.metrics_address))
        sys.stderr.flush()
        calm_collector(settings.cache.decisions)
        while told.get() == signal.SIGHUP:
            _log.info("looking at files again")
            server.application.reload()
        end_at_the_next()
        _log.info("stopping", drain_seconds=settings.server.drain)
    return 0


class Single:
    """All parts in one process: who decides, the keeper where there is a state, and the receiver where one is needed.

    Args:
        settings: in force; a state has a file.
        clock: all of its clocks are read.

    Attributes:
        application: decides.
        receiver: takes pushed events; None where no stream is pushed.

    Raises:
        ConfigError: the settings cannot be served.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.receiver: PushReceiver | None = None
        self._metrics = Metrics()
        self._undo = ExitStack()
        self._keeping = self._open_keeping(settings, clock) if settings.state is not None else None
        spender = self._keeping.spender if self._keeping is not None else None
        self.application = build(settings, clock, spender=spender, metrics=self._metrics)
        if self._keeping is not None and self._keeping.desk is not None and push_streams(settings):
            self.receiver = PushReceiver(
                settings.signals.receiver,
                push_streams(settings),
                self._keeping.desk,
                clock,
                plaintext_beyond_loopback=settings.insecure.plaintext_beyond_loopback,
            )

    def start(self) -> None:
        """Keep, decide, then receive.

        Raises:
            ConfigError: an address or a socket cannot be had. Nothing runs then.
        """
        with ExitStack() as undo:
            if self._keeping is not None:
                self._keeping.start()
                undo.callback(self._keeping.stop)
            self.application.start()
            undo.callback(self.application.stop)
            if self.receiver is not None:
                self.receiver.start()
                undo.callback(self.receiver.stop)
            self._undo = undo.pop_all()

    def stop(self) -> None:
        """End in the order of the several processes: who decides, the receiver, the keeper."""
        self._undo.close()

    def _open_keeping(self, settings: Settings, clock: Clock) -> Keeping:
        return Keeping(
            settings,
            clock,
            confirmers={"0": lambda _timeout: self.application.state.freshen()},
            metrics=self._metrics,
            streams=lambda: self.application.streams,
        )
