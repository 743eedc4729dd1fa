"""`resource.action`, `resource.*` and `*`: which declared targets a rule speaks of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extauthz.validation import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

TargetName = tuple[str, str]
"""Resource name and action name."""


class TargetTable:
    """The declared targets, looked up by pattern.

    Args:
        targets: every declared resource and action.
    """

    def __init__(self, targets: Iterable[TargetName]) -> None:
        self._actions: dict[str, list[TargetName]] = {}
        for target in dict.fromkeys(targets):
            self._actions.setdefault(target[0], []).append(target)

    def select(self, pattern: str) -> tuple[TargetName, ...]:
        """Return the targets that `pattern` means, in file order; none when it means nothing that is declared."""
        if pattern == "*":
            return tuple(target for targets in self._actions.values() for target in targets)
        resource, dot, action = pattern.partition(".")
        targets = self._actions.get(resource, ()) if dot else ()
        return tuple(target for target in targets if action in {"*", target[1]})

    def advice(self, pattern: str) -> str:
        """Return what to write instead of a pattern that means nothing."""
        resource, dot, action = pattern.partition(".")
        if resource in self._actions:
            actions = [f"{resource}.{known}" for _, known in self._actions[resource]]
            return did_you_mean(f"{resource}.{action}", [*actions, f"{resource}.*"])
        if not dot:
            return "write `resource.action`, `resource.*` or `*`"
        return did_you_mean(pattern, [f"{name}.{known[1]}" for name in self._actions for known in self._actions[name]])
