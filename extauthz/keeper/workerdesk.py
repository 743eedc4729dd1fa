"""What workers ask the keeper: to spend, and to note uses of sessions. They can neither take away nor give back."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from extauthz.errors import StateError
from extauthz.server.keeperwire import read_seen, read_spend_question, spend_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.server.keeperspender import StateOwner


MAX_SECONDS: Final = 5.0
"""Longest time for a spend; decisions have less."""


class WorkerDesk:
    """Answers workers. Use it from any thread.

    Args:
        owner: of the state.
    """

    def __init__(self, owner: StateOwner) -> None:
        self._owner = owner

    def handle(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the answer to one question."""
        try:
            match message.get("op"):
                case "spend":
                    return self._spend(message)
                case "seen":
                    self._owner.note_sessions(read_seen(message))
                    return {}
                case "ping":
                    return {}
        except (KeyError, TypeError, ValueError):
            return {"error": "a member of the question is missing, or of another form"}
        except StateError as error:
            return {"error": str(error)}
        return {"error": "ask with `op` spend, seen or ping"}

    def _spend(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        spends, question, timeout = read_spend_question(message)
        if not isfinite(timeout) or not all(isfinite(each.until) for each in spends):
            message_text = "no number that is finite"
            raise ValueError(message_text)
        return spend_answer(self._owner.spend(spends, question, min(timeout, MAX_SECONDS)), spends)
