"""A bounded memory of what remotes said about something, each answer with an epoch."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Value = TypeVar("Value")


@dataclass(slots=True)
class _Kept(Generic[Value]):
    value: Value
    epoch: int
    size: int
    found: bool = False


class Answers(Generic[Value]):
    """Keeps values by name. Use it from any thread; reading takes no lock.

    Eviction is second chance: the oldest goes first, but one that was found since is passed over once.

    Args:
        capacity: how much is kept at most, in the unit of `size`.
        size: how much a value is; 1 each unless told otherwise.
    """

    def __init__(self, capacity: int, size: Callable[[Value], int] = lambda _: 1) -> None:
        self._capacity = capacity
        self._size = size
        self._kept: OrderedDict[str, _Kept[Value]] = OrderedDict()
        self._used = 0
        self._epoch = 0
        self._change = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, name: str) -> Value | None:
        """Return what is kept under a name."""
        kept = self._kept.get(name)
        if kept is None:
            return None
        kept.found = True
        return kept.value

    def epoch(self, name: str) -> int:
        """Return a number that is another one whenever what is kept under a name is; negative for nothing."""
        kept = self._kept.get(name)
        return -1 if kept is None else kept.epoch

    def keep(self, name: str, value: Value, *, same: bool = False) -> None:
        """Keep a value, in place of what was there.

        Args:
            name: to find it by.
            value: what to keep.
            same: whether all that decisions can have read of it is what it was, so that they still hold.
        """
        size = self._size(value)
        with self._change:
            before = self._kept.pop(name, None)
            self._used -= before.size if before is not None else 0
            while self._kept and self._used + size > self._capacity:
                self._evict_one()
            self._epoch += 1
            epoch = before.epoch if same and before is not None else self._epoch
            self._kept[name] = _Kept(value, epoch, size, found=before is not None and before.found)
            self._used += size

    def forget(self, name: str) -> None:
        """Keep nothing under a name any more."""
        with self._change:
            gone = self._kept.pop(name, None)
            self._used -= gone.size if gone is not None else 0

    def _evict_one(self) -> None:
        while (kept := self._kept[name := next(iter(self._kept))]).found:
            kept.found = False
            self._kept.move_to_end(name)
        del self._kept[name]
        self._used -= kept.size
