"""How far this machine has come in what it reads and tells, kept in its state file: a restart goes on from there.

Whoever keeps a place signs it: a file that was put in the place of ours (a backup) brings no place, or that of another
run, and then everything is read and told once more. Repeating is harmless, so a place may lag; it never runs ahead.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from extauthz.ids import new_random_bytes
from extauthz.state.place import read_place, write_place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.clock import Clock
    from extauthz.keeper.keeper import Keeper
    from extauthz.state.follower import Query

WRITE_SECONDS: Final = 1.0
"""Between two writings; each costs a write to disk."""

_TOKEN_BYTES: Final = 8
_RUN: Final = "run"


class Place:
    """A few numbers and texts; for one thread.

    Args:
        keeper: of the state file.
        clock: only its monotonic side is read.
        name: of the place.
    """

    def __init__(self, keeper: Keeper, clock: Clock, name: str) -> None:
        self._keeper = keeper
        self._clock = clock
        self._name = name
        self._token = new_random_bytes(_TOKEN_BYTES).hex()
        self._written: dict[str, str | int] | None = None
        self._next = 0.0

    def read(self) -> dict[str, str | int]:
        """Return what was kept last, by whichever run; nothing when there is nothing to go by.

        Raises:
            StateError: the file cannot be read.
        """
        with self._keeper.reading() as query:
            return _parse(read_place(query, self._name))

    def is_ours(self, query: Query) -> bool:
        """Return whether the file is the one that we have written to."""
        return self._written is not None and _parse(read_place(query, self._name)).get(_RUN) == self._token

    def write(self, values: Mapping[str, str | int], *, now: bool = False) -> None:
        """Keep values, unless that was done a moment ago and need not be done `now`.

        Raises:
            StateError: the file cannot be written.
        """
        wanted = {**values, _RUN: self._token}
        if wanted == self._written or (not now and self._clock.monotonic() < self._next):
            return
        with self._keeper.writing() as writing:
            write_place(writing.connection, self._name, json.dumps(wanted).encode())
        self._written = wanted
        self._next = self._clock.monotonic() + WRITE_SECONDS


def _parse(value: bytes | None) -> dict[str, str | int]:
    with suppress(ValueError):
        members = json.loads(value or b"{}")
        if isinstance(members, dict):
            return {str(name): each for name, each in members.items() if isinstance(each, (str, int))}
    return {}
