"""A ledger holds the epoch that each name had when it was noted, in that order, each name once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from extauthz.ledger import Ledger
from extauthz.model.state import StateName

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS, REGISTRY = StateName("keys", "https://issuer.example"), StateName("registry", "")


@dataclass
class Counting:
    """Epochs that are others each time they are read."""

    read: list[tuple[StateName, ...]] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(100)))

    def read_epochs(self, names: tuple[StateName, ...]) -> tuple[int, ...]:
        """Note the question and count on."""
        self.read.append(names)
        return tuple(next(self.numbers) for _ in names)


def test_each_name_is_read_once_and_keeps_its_first_epoch() -> None:
    """A later look must not pass for an earlier one."""
    epochs = Counting()
    ledger = Ledger(epochs)
    ledger.note(KEYS, KEYS)
    ledger.note(REGISTRY, KEYS)
    assert (ledger.names, ledger.values) == ((KEYS, REGISTRY), (0, 1))
    assert epochs.read == [(KEYS,), (REGISTRY,)]


def test_nothing_noted_is_nothing_read() -> None:
    """A decision that looked at nothing changeable rests on nothing."""
    epochs = Counting()
    ledger = Ledger(epochs)
    ledger.note()
    assert (ledger.names, ledger.values, epochs.read) == ((), (), [])
