"""A server as a process: signals, drain, exit code."""

from __future__ import annotations

import gc
import signal
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

import structlog

from extauthz.server.app import build
from extauthz.telemetry.logging import set_up_logging

if TYPE_CHECKING:
    from extauthz.config.settings import Settings

_YOUNG_OBJECTS: Final = 50_000
"""Objects made and not freed before the collector looks; the default of 700 is reached by a handful of decisions."""

_log = structlog.get_logger(__name__)


def run_until_told(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT, then drain; return the exit code.

    SIGHUP looks at policy and token files at once and opens the record file by its name again, for log rotation. A
    second SIGTERM or SIGINT during the drain ends the process at once.

    Raises:
        ConfigError: the settings cannot be served.
    """
    set_up_logging(settings.telemetry.log_level, settings.telemetry.log_format)
    told = _received_signals()
    application = build(settings)
    application.start()
    _calm_collector()
    while told.get() == signal.SIGHUP:
        _log.info("looking at files again")
        application.reload()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    _log.info("stopping", drain_seconds=settings.server.drain)
    application.stop()
    return 0


def _calm_collector() -> None:
    """Have the garbage collector leave alone what stays, and look less often.

    Everything loaded by now (modules, policy, models) lives as long as the process; frozen, it is not walked again and
    again. Deciding makes many objects and no cycles, so reference counts free them; the collector is for the rest.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 50)


def _received_signals() -> SimpleQueue[int]:
    """Return a queue of the signals that arrive from now on.

    A handler runs in the middle of whatever the main thread does; putting into this kind of queue is the one thing that
    is safe there, where an event or a lock could wait for itself.
    """
    received: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: received.put(number))
    return received
