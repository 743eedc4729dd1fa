"""Epochs of names, of which only those are held in memory whose facts have changed since a beginning.

1. A name that nothing is held about has the epoch of the beginning, so memory and start do not grow with the facts.
2. Memory is bounded: when too many names have changed, or it cannot be said which, there is a new beginning. That is
   another epoch for every name, so everything that was kept is decided anew, which is right at any time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_NAMES: Final = 100_000
"""Names that are held; some ten megabytes."""

MAX_CHANGES: Final = 10_000
"""Names of one look; more take longer to read than a decision may."""


class NameEpochs:
    """Epochs by name. One thread changes it at a time; any may read.

    Attributes:
        number: the newest change of the state that is contained.
    """

    def __init__(self) -> None:
        self.number = 0
        self._beginning = 0
        self._epochs: dict[str, int] = {}

    def begin(self, number: int, epoch: int) -> None:
        """Give every name this epoch."""
        self.number, self._beginning, self._epochs = number, epoch, {}

    def go_on(self, number: int, names: Sequence[str] | None, epoch: int) -> None:
        """Give names this epoch; None is all of them."""
        if names is None or len(self._epochs) + len(names) > MAX_NAMES:
            self.begin(number, epoch)
            return
        self._epochs.update(dict.fromkeys(names, epoch))
        self.number = number

    def epoch(self, name: str) -> int:
        """Return the epoch of a name."""
        return self._epochs.get(name, self._beginning)
