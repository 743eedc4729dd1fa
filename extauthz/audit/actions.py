"""What people and signals did → one line of JSON each, in a file of its own.

Decision records are many, may be sampled and are written soon; actions are few, each of them matters, and a line is on
the disk before `write` returns. So they have a file of their own (`records.actions`). Where both go to standard output
they are told apart by the first member, `"record":"action"`, which decision records do not have; tools that read
decision records leave such lines out.

A line that cannot be written goes to the log instead, and undoes nothing: a revocation must not fail because a disk is
full. The shape is `action.schema.json`, beside this file; members are added, never renamed silently.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, Final, Literal

import structlog

from extauthz.audit.record import to_rfc3339
from extauthz.audit.redact import to_recorded
from extauthz.clock import Instant
from extauthz.model.receipt import to_document

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from extauthz.model.receipt import Action, Receipt
    from extauthz.model.restriction import Mark, Restriction

ACTION_FORMAT: Final = 1
"""`format` of the lines that we write."""

ACTION_START: Final = b'{"record":"action"'
"""What every line begins with."""

MAX_LISTED: Final = 20
"""Restrictions of one action that its line lists; `changed` of the receipt counts them all."""

_MODE: Final = 0o640
_STDOUT: Final = 1

_log = structlog.get_logger(__name__)


def to_action_record(  # noqa: PLR0913 — each is a member of its own
    action: Action,
    outcome: str,
    *,
    subject: str = "",
    detail: str = "",
    restrictions: Sequence[Restriction] = (),
    receipt: Receipt | None = None,
) -> dict[str, Any]:
    """Return the line of an action as JSON.

    Args:
        action: what was done.
        outcome: what became of it, in one word: `in_force`, `unconfirmed`, `lifted`, `held`, `dismissed`, `noted`; of
            events without effect also `not_applicable`, `discarded`, `outside_authority`, `stream`.
        subject: whom it is about, for people.
        detail: what else is to be said, for people.
        restrictions: what it did.
        receipt: where it is in force; None when nothing is.
    """
    record: dict[str, Any] = {
        "record": "action",
        "time": to_rfc3339(action.received_at),
        "format": ACTION_FORMAT,
        "id": to_recorded(action.id),
        "source": action.source,
        "kind": to_recorded(action.kind),
        "outcome": outcome,
    }
    texts = {"by": action.by, "reason": action.reason, "subject": subject, "detail": detail}
    record |= {name: to_recorded(text) for name, text in texts.items() if text}
    if restrictions:
        record["restrictions"] = [_to_listed(each) for each in restrictions[:MAX_LISTED]]
        if len(restrictions) > MAX_LISTED:
            record["cut"] = ["restrictions"]
    if receipt is not None:
        record["receipt"] = {**to_document(receipt), "at": to_rfc3339(receipt.at)}
    return record


def _to_listed(restriction: Restriction) -> dict[str, Any]:
    listed: dict[str, Any] = {**_to_named(restriction.mark), "effect": restriction.effect.value}
    listed["in_force"] = restriction.in_force
    listed["event_at"] = _to_moment(restriction.event_at)
    if restriction.also:
        listed["also"] = [_to_named(mark) for mark in restriction.also]
    return listed


def _to_moment(at: Instant) -> str:
    """Return an instant that somebody else named, and that may be none of the calendar's."""
    try:
        return to_rfc3339(at)
    except (ValueError, OverflowError, OSError):
        return to_rfc3339(Instant(0.0))


def _to_named(mark: Mark) -> dict[str, str]:
    named = {"form": mark.form.value, "issuer": mark.issuer, "value": to_recorded(mark.value)}
    return {name: text for name, text in named.items() if text}


class ActionLog:
    """Writes lines of actions, durably. Safe to use from any thread.

    Args:
        target: file to append to, or `-` for standard output.
    """

    def __init__(self, target: Path | Literal["-"]) -> None:
        self._target = target
        self._lock = threading.Lock()

    def write(self, record: dict[str, Any]) -> bool:
        """Write a line from `to_action_record`; return False when it could only be logged."""
        line = json.dumps(record, separators=(",", ":")).encode("ascii") + b"\n"
        try:
            with self._lock:
                self._append(line)
        except OSError as error:
            _log.error("action could not be recorded", errno=error.errno, action=record)
            return False
        return True

    def _append(self, line: bytes) -> None:
        if self._target == "-":
            sys.stdout.flush()
            _write_all(_STDOUT, line)
            return
        # Opened for each line: there are few, and a file that was renamed away is made anew without being told.
        descriptor = os.open(self._target, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
        try:
            _write_all(descriptor, line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _write_all(descriptor: int, line: bytes) -> None:
    rest = memoryview(line)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
