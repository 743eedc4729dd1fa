"""The policy in force, and how it is exchanged: built beside the running one, swapped in one assignment."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from extauthz.policy.ruleset import Ruleset


class LivePolicy:
    """Holds the current ruleset. A reader sees the old one or the new one, never a mixture, and needs no lock.

    Args:
        ruleset: in force from the start; None while no policy could be loaded, which denies everything.
    """

    def __init__(self, ruleset: Ruleset | None = None) -> None:
        self._current = ruleset

    @property
    def current(self) -> Ruleset | None:
        """Return the ruleset in force. A decision reads it once."""
        return self._current

    def replace(self, ruleset: Ruleset) -> None:
        """Put `ruleset` in force for every decision that begins afterwards."""
        self._current = ruleset
