"""The server's log: to standard error, for people (`console`) or for machines (`json`).

No event leaves without the redaction step: values under names that mean secrets are replaced whole, and whatever looks
like a token is cut out of every text, tracebacks included. Tracebacks never show local variables. Logging never raises:
a closed standard error must not fail a decision.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import TYPE_CHECKING, Any, Final, Literal

import structlog

from extauthz.redact import REDACTED, redact

if TYPE_CHECKING:
    from structlog.typing import EventDict, WrappedLogger

Level = Literal["debug", "info", "warning", "error"]
Form = Literal["console", "json"]

_LEVELS: Final[dict[str, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_SECRET_NAMES: Final = ("authorization", "cookie", "credential", "password", "secret", "token")
_LONGEST_TEXT: Final = 8192
"""Characters of one value in the log; a traceback fits."""


def set_up_logging(level: Level = "info", form: Form = "console", *, process: str = "") -> None:
    """Send our events, and those of libraries that use `logging`, to standard error.

    Args:
        level: least severe that is shown. Libraries are shown from `warning` on, whatever this says.
        form: `console` for people, `json` for one JSON object per line.
        process: which of several processes this is, told with each event; empty for the only one.
    """

    def tell_process(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {**event, "process": process} if process else event

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            tell_process,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact_event,
            _renderer(form),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: _StandardError(),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Bridge(logging.WARNING)]


def redact_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Return the event without secrets (a structlog processor)."""
    return {name: _redacted(name, value) for name, value in event.items()}


def _redacted(name: str, value: Any) -> Any:
    if isinstance(value, int | float) or value is None:
        return value
    if any(secret in name.lower() for secret in _SECRET_NAMES):
        return REDACTED
    # Lists and objects become text here, because a renderer would look into them after this step.
    text = value if isinstance(value, str) else repr(value)
    return redact(text[:_LONGEST_TEXT])


def _renderer(form: Form) -> structlog.typing.Processor:
    if form == "json":
        return structlog.processors.JSONRenderer(sort_keys=False)
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback, sort_keys=False
    )


class _StandardError:
    """Writes finished lines; what cannot be written is let go."""

    def msg(self, message: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(message + "\n")
            sys.stderr.flush()

    debug = info = warning = error = critical = exception = msg


class _Bridge(logging.Handler):
    """Passes events of the standard library's loggers on, so that they are redacted too."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger(record.name)
        log.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)
