"""The epochs of every kind of fact in one view: each kind is counted by whoever holds its facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from extauthz.model.state import STANDING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from extauthz.model.state import StateName


def _never(_: str) -> int:
    return 0


UNHELD: Final[Mapping[str, Callable[[str], int]]] = dict.fromkeys(STANDING, _never)
"""Of the facts that nobody holds here: they are not known, and that does not change."""


def _nothing() -> int:
    return 0


class Epochs:
    """Reads epochs by kind; the `ports.EpochView` of a server.

    Args:
        readers: kind → function that returns the epoch of one fact of that kind, from memory and without blocking.
        freshen: brings up to date what changes without anybody telling; called once before readings that belong
            together.
    """

    def __init__(self, readers: Mapping[str, Callable[[str], int]], freshen: Callable[[], object] = _nothing) -> None:
        self._readers = dict(readers)
        self._freshen = freshen

    @property
    def held(self) -> Epochs:
        """Return the same for whoever brings them up to date."""
        return Epochs(self._readers)

    def read_epochs(self, names: tuple[StateName, ...]) -> tuple[int, ...]:
        """Return the epoch of each name; see `ports.EpochView`.

        Raises:
            KeyError: nobody counts facts of this kind.
        """
        self._freshen()
        readers = self._readers
        return tuple([readers[name.kind](name.of) for name in names])
