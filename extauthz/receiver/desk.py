"""The desk, as those see it who bring events: it takes one as it came, and says what has become of it.

Where the receiver is a process of its own, the desk is at the other end of a socket; whatever comes back from there
that is not understood counts as `unavailable`, so that nothing is confirmed which may be lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

from extauthz.errors import ExtAuthzError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_log = structlog.get_logger(__name__)

ACCEPTED: Final = "accepted"
"""It is durable, and in force on this machine; or it was before."""
REFUSED: Final = "refused"
"""It is not an event that we take, and never will be."""
UNAVAILABLE: Final = "unavailable"
"""It may be one; send it again later."""

ERRORS: Final = frozenset(
    {
        "invalid_request",
        "invalid_key",
        "invalid_issuer",
        "invalid_audience",
        "authentication_failed",
        "access_denied",
        "invalid_state",
    }
)
"""What may be wrong with an event (RFC 8935 section 2.4; SSF 1.0, verification)."""


class Word(Protocol):
    """What has become of an event."""

    @property
    def status(self) -> str:
        """Return `ACCEPTED`, `REFUSED` or `UNAVAILABLE`."""
        ...

    @property
    def err(self) -> str:
        """Return the error's code where it is refused: one of `ERRORS`."""
        ...

    @property
    def description(self) -> str:
        """Return a sentence of ours about the error."""
        ...


class Desk(Protocol):
    """Takes events."""

    def hear(self, stream: str, token: str) -> Word:
        """Take one event of a stream, a compact SET as it came, and return what has become of it.

        It returns when that is certain, or within a bound of its own. It may raise an error of ours.
        """
        ...


@dataclass(frozen=True, slots=True)
class Said:
    """What has become of an event.

    Attributes:
        status: `ACCEPTED`, `REFUSED` or `UNAVAILABLE`.
        err: the error's code where it is refused.
        description: a sentence of ours about the error.
    """

    status: str
    err: str = ""
    description: str = ""


class DistantDesk:
    """A desk in another process.

    Args:
        ask: sends a question through the socket and returns the answer; raises an error of ours when there is none.
    """

    def __init__(self, ask: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
        self._ask = ask

    def hear(self, stream: str, token: str) -> Word:
        """Hand the event over, and return what the other process says."""
        return _read(self._ask({"op": "event", "stream": stream, "token": token}))


def word_of(desk: Desk, stream: str, token: str) -> Word:
    """Return what the desk says, in words that are known; `UNAVAILABLE` when it says nothing, or anything else."""
    try:
        word = desk.hear(stream, token)
    except ExtAuthzError as error:
        _log.warning("an event could not be handed over", stream=stream, problem=str(error))
        return Said(UNAVAILABLE)
    except Exception as error:  # noqa: BLE001 — whatever nobody foresaw, the event is not confirmed and comes again
        _log.exception("an event could not be handed over", stream=stream, error=type(error).__name__)
        return Said(UNAVAILABLE)
    if word.status == ACCEPTED:
        return word
    return word if word.status == REFUSED and word.err in ERRORS else Said(UNAVAILABLE)


def _read(answer: Mapping[str, Any]) -> Said:
    said = Said(*(str(answer.get(name) or "") for name in ("status", "err", "description")))
    if said.status not in {ACCEPTED, REFUSED, UNAVAILABLE}:
        _log.error("the keeper's answer about an event is not understood", problem=str(answer.get("error") or ""))
    return said
