"""Spends, and notes of sessions, through the keeper of this machine: the `ports.Spender` of workers.

One process owns what can be used up, so that one transaction serves all workers. Whatever goes wrong on the way is
`UNKNOWN`, which is a denial and counts as spent: a question that was sent may have been carried out, so it is not sent
again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import structlog

from extauthz.errors import LinkError
from extauthz.link.caller import LinkCaller
from extauthz.ports import Spender, SpendOutcome, Spent
from extauthz.server.keeperwire import read_spend_answer, seen_messages, spend_question

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from extauthz.model.spend import Spend
    from extauthz.state.sessions import SessionSeen

_log = structlog.get_logger(__name__)

SEEN_SECONDS: Final = 5.0
"""Time for the keeper to write down uses of sessions."""


class StateOwner(Spender, Protocol):
    """Whoever keeps the state up for those who decide: takes what is used up, and notes which sessions are used."""

    def note_sessions(self, seen: Sequence[SessionSeen]) -> None:
        """Take uses of sessions over.

        Raises:
            LinkError: it cannot be told.
            StateError: it cannot write them down.
        """
        ...

    def close(self) -> None:
        """Let go of what leads to it, when nobody asks any more."""
        ...


class KeeperSpender:
    """Asks the keeper: the `StateOwner` of workers. Use it from any thread.

    Args:
        socket: the keeper's.
    """

    def __init__(self, socket: Path) -> None:
        self._caller = LinkCaller(socket)
        self._failing = False

    def spend(self, spends: tuple[Spend, ...], question: bytes, timeout: float) -> Spent:
        """Take all of `spends` or none; see `ports.Spender`."""
        try:
            answer = self._caller.ask(spend_question(spends, question, timeout), timeout)
        except (LinkError, ValueError) as error:
            if not self._failing:
                _log.error("the keeper cannot be asked", problem=str(error))
            self._failing = True
            return Spent(SpendOutcome.UNKNOWN)
        self._failing = False
        return read_spend_answer(answer, spends)

    def note_sessions(self, seen: Sequence[SessionSeen]) -> None:
        """Tell the keeper about uses of sessions.

        Raises:
            LinkError: it did not take all of them.
        """
        for message in seen_messages(seen):
            answer = self._caller.ask(message, SEEN_SECONDS)
            if "error" in answer:
                raise LinkError(str(answer["error"]))

    def close(self) -> None:
        """Let go of the connections, when nobody asks any more."""
        self._caller.close()
