"""`change_window: releases`: the window of that name is open now (`policy/windows.py`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from extauthz.model.reason import Reason
from extauthz.model.verdict import WaitUntil, to_moment
from extauthz.policy.rules import MET, Finding, Stateless, Unmet
from extauthz.validation import did_you_mean

if TYPE_CHECKING:
    from extauthz.model.facts import Facts
    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.windows import Window
    from extauthz.policy.written import Written


@dataclass(frozen=True, slots=True)
class WindowOpen(Stateless):
    """The window is open; one that is closed can be waited for."""

    window: Window
    reads: frozenset[str] = field(default_factory=frozenset)
    kind: str = "change_window"

    def find(self, facts: Facts) -> Finding:
        """Return whether it is, or when it opens."""
        look = self.window.look(facts.at)
        if look.open:
            return MET
        frozen = f"Changes are frozen: {look.why} " if look.why else ""
        if look.opens_at is None:
            detail = f"{frozen}The window `{self.window.name}` does not open within a year."
            return Unmet(Reason.OUTSIDE_CHANGE_WINDOW, detail=detail)
        detail = f"{frozen}The window `{self.window.name}` opens at {to_moment(look.opens_at)}."
        return Unmet(Reason.OUTSIDE_CHANGE_WINDOW, WaitUntil(look.opens_at), detail)

    def changes_at(self, facts: Facts) -> float:
        """Return when the window opens or closes."""
        return self.window.look(facts.at).changes_at


def compile_change_window(argument: Any, written: Written, surroundings: Surroundings) -> WindowOpen:
    """Return the requirement that a policy file states.

    Raises:
        PolicyError: there is no window of that name.
    """
    window = surroundings.windows.get(argument) if isinstance(argument, str) else None
    if window is None:
        known = did_you_mean(str(argument), surroundings.windows) if surroundings.windows else "declare it"
        written.refuse(f"there is no window `{argument}`", f"{known} under `windows`")
    return WindowOpen(window)
