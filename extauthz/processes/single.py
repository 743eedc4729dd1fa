"""`server.workers: 0`: one process for everything."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import structlog

from extauthz.processes.signals import calm_collector, end_at_the_next, receive_signals
from extauthz.processes.temporary import with_state_file
from extauthz.server.app import build
from extauthz.server.banner import banner
from extauthz.telemetry.logging import set_up_logging

if TYPE_CHECKING:
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
    with with_state_file(settings) as kept:
        application = build(kept)
        application.start()
        sys.stderr.write(banner(settings, [application.serving], application.metrics_address))
        sys.stderr.flush()
        calm_collector()
        while told.get() == signal.SIGHUP:
            _log.info("looking at files again")
            application.reload()
        end_at_the_next()
        _log.info("stopping", drain_seconds=settings.server.drain)
        application.stop()
    return 0
