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
        targets: every declared resource and action, and the namespace that declares it.
    """

    def __init__(self, targets: Iterable[tuple[TargetName, str]]) -> None:
        self._actions: dict[str, list[TargetName]] = {}
        self._namespaces: dict[str, str] = {}
        for target, namespace in dict(targets).items():
            self._actions.setdefault(target[0], []).append(target)
            self._namespaces[target[0]] = namespace

    def select(self, pattern: str, namespace: str = "") -> tuple[TargetName, ...]:
        """Return the targets that `pattern` means, in file order; none when it means nothing that is declared.

        Args:
            pattern: `resource.action`, `resource.*` or `*`.
            namespace: whose rule says so; `*` then means what it declares itself. Empty for the root: everything.
        """
        if pattern == "*":
            own = (name for name in self._actions if namespace in {"", self._namespaces[name]})
            return tuple(target for name in own for target in self._actions[name])
        resource, dot, action = pattern.partition(".")
        targets = self._actions.get(resource, ()) if dot else ()
        return tuple(target for target in targets if action in {"*", target[1]})

    def owner_of(self, target: TargetName) -> str:
        """Return the namespace that declares a target."""
        return self._namespaces[target[0]]

    def advice(self, pattern: str) -> str:
        """Return what to write instead of a pattern that means nothing."""
        resource, dot, action = pattern.partition(".")
        if resource in self._actions:
            actions = [f"{resource}.{known}" for _, known in self._actions[resource]]
            return did_you_mean(f"{resource}.{action}", [*actions, f"{resource}.*"])
        if not dot:
            return "write `resource.action`, `resource.*` or `*`"
        return did_you_mean(pattern, [f"{name}.{known[1]}" for name in self._actions for known in self._actions[name]])
