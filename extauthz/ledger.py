"""What a decision rests on: the epochs of the facts it reads, each noted before the fact itself is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from extauthz.model.state import StateName
    from extauthz.ports import EpochView


class Ledger:
    """Notes epochs for one decision. Whoever looks at a changeable fact notes its name first.

    Args:
        epochs: counts the changes.
    """

    __slots__ = ("_epochs", "_names", "_values")

    def __init__(self, epochs: EpochView) -> None:
        self._epochs = epochs
        self._names: tuple[StateName, ...] = ()
        self._values: tuple[int, ...] = ()

    @property
    def names(self) -> tuple[StateName, ...]:
        """Return what was noted, in that order, each name once."""
        return self._names

    @property
    def values(self) -> tuple[int, ...]:
        """Return the epochs as they were when noted."""
        return self._values

    def note(self, *names: StateName) -> None:
        """Note the epochs of `names`, which the caller looks at only afterwards. One noted before keeps its value."""
        fresh = tuple([name for name in dict.fromkeys(names) if name not in self._names])
        if fresh:
            self._values += self._epochs.read_epochs(fresh)
            self._names += fresh
