"""The log: readable, complete, and without secrets."""

from __future__ import annotations

import io
import json
import logging
import sys
from typing import TYPE_CHECKING

import pytest
import structlog

from extauthz.telemetry.logging import Form, redact_event, set_up_logging
from tests.simulators.secrets import JWT

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    handlers = logging.getLogger().handlers[:]
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = handlers


def test_json_lines_can_be_parsed(capsys: pytest.CaptureFixture[str]) -> None:
    """Each event is one JSON object on standard error with level, time and its values."""
    set_up_logging("info", "json")
    structlog.get_logger("x").info("started", port=9191, path=None, ratio=0.5, ok=True, names=["a"])
    captured = capsys.readouterr()
    event = json.loads(captured.err)
    assert (event["event"], event["level"], event["port"], event["ok"]) == ("started", "info", 9191, True)
    assert event["timestamp"].endswith("Z")
    assert captured.out == ""


def test_console_lines_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    """People get the event, its level and its values on one line without colours where there is no terminal."""
    set_up_logging("info", "console")
    structlog.get_logger("x").warning("policy rejected", file="a.yaml")
    line = capsys.readouterr().err
    assert "policy rejected" in line
    assert "file=a.yaml" in line
    assert "warning" in line
    assert "\x1b" not in line


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the console form is coloured."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    set_up_logging("info", "console")
    structlog.get_logger("x").info("started")
    assert "\x1b[" in terminal.getvalue()


def test_less_severe_events_are_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """The level is the least severe that is shown."""
    set_up_logging("warning")
    structlog.get_logger("x").info("chatter")
    structlog.get_logger("x").error("trouble")
    err = capsys.readouterr().err
    assert "chatter" not in err
    assert "trouble" in err


@pytest.mark.parametrize("form", ["console", "json"])
def test_no_token_reaches_the_log(capsys: pytest.CaptureFixture[str], form: Form) -> None:
    """Tokens in events, values, lists, exceptions and local variables are not written."""
    set_up_logging("debug", form)
    log = structlog.get_logger("x")
    local_secret = JWT
    message = f"failed for {JWT}"
    try:
        raise ValueError(f"cannot read {local_secret}")  # noqa: EM102, TRY003, TRY301 — as a library would
    except ValueError:
        log.exception(message, values=[JWT], authorization="opaque-canary", proxy_token="opaque-canary")
    err = capsys.readouterr().err
    assert "ValueError: cannot read [redacted]" in err
    assert JWT.split(".")[1] not in err
    assert "opaque-canary" not in err
    assert "local_secret" not in err.replace("{local_secret}", "")


def test_the_negative_control_leaks() -> None:
    """Without the redaction step the token would be there, so the test above can fail."""
    assert JWT in str({"event": JWT})
    assert JWT not in str(redact_event(None, "info", {"event": JWT}))


def test_libraries_are_heard_and_redacted(capsys: pytest.CaptureFixture[str]) -> None:
    """Warnings of libraries that use `logging` come through the same steps; their chatter does not."""
    set_up_logging("info", "json")
    logging.getLogger("library").warning("saw %s", JWT)
    logging.getLogger("library").info("chatter")
    event = json.loads(capsys.readouterr().err)
    assert (event["event"], event["logger"], event["level"]) == ("saw [redacted]", "library", "warning")


def test_a_closed_standard_error_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logging to a closed stream is silent."""
    closed = io.StringIO()
    set_up_logging("info", "json")
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    structlog.get_logger("x").error("trouble")
    assert closed.closed
