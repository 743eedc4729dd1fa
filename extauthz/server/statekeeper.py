"""The state of a running server, opened and closed as one: who spends, the API keys, and when they were used."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from extauthz.errors import ConfigError, Problem, StateError
from extauthz.nothing import NOTHING
from extauthz.server.apikeys import ApiKeyView
from extauthz.server.keyuses import WRITE_SECONDS, KeyUses
from extauthz.server.spender import StateSpender
from extauthz.server.watch import Watcher
from extauthz.state.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from extauthz.clock import Clock
    from extauthz.config.state import StateSettings
    from extauthz.ports import ApiKeySource


@dataclass(frozen=True, slots=True)
class StateCounts:
    """How the state fares.

    Attributes:
        spend_rows: rows for what has been used up.
        spends_waiting: spends that wait to be taken.
        api_keys: keys that are held, expired and revoked ones included.
        failing: whether the state could not be read or written the last time.
    """

    spend_rows: int
    spends_waiting: int
    api_keys: int
    failing: bool


class StateKeeper:
    """Everything that rests on the state.

    Args:
        settings: of the state; None for none: nothing can be spent, no key is known.
        clock: of the server.

    Attributes:
        spender: takes what can be used up; None without a state.
        api_keys: the keys; a state in memory holds none.
        uses: when they were used; None without a state file.
        epochs: what counts the changes of its facts, by kind.

    Raises:
        ConfigError: the state file cannot be used.
    """

    def __init__(self, settings: StateSettings | None, clock: Clock) -> None:
        self.spender: StateSpender | None = None
        self.api_keys: ApiKeySource = NOTHING
        self.uses: KeyUses | None = None
        self.epochs: dict[str, Callable[[str], int]] = {}
        self._view: ApiKeyView | None = None
        self._writer: Watcher | None = None
        if settings is None:
            return
        if settings.path is not None:
            self._open(settings.path, clock)
        self.spender = StateSpender(settings.path, settings.max_spends, clock)

    def _open(self, path: Path, clock: Clock) -> None:
        try:
            open_store(path)
        except StateError as error:
            message = f"the state file cannot be used: {str(error).removeprefix(f'{path}: ')}"
            raise ConfigError([Problem(str(path), 0, 0, message)]) from error
        self._view = self.api_keys = view = ApiKeyView(path, clock)
        self.epochs = {"api_key": view.epoch}
        self.uses = KeyUses(path)
        self._writer = Watcher(WRITE_SECONDS, self.uses.write)

    def start(self) -> None:
        """Begin to spend and to write."""
        if self._view is not None:
            self._view.look()
        if self.spender is not None:
            self.spender.start()
        if self._writer is not None:
            self._writer.start()

    def stop(self) -> None:
        """End it, when nobody decides any more."""
        if self.spender is not None:
            self.spender.stop()
        if self._writer is not None:
            self._writer.stop()
        if self.uses is not None:
            with suppress(StateError):  # Nobody is there any more who could do something about it.
                self.uses.write()
        if self._view is not None:
            self._view.close()

    def counts(self) -> StateCounts:
        """Return how it fares now."""
        view, spender = self._view, self.spender
        return StateCounts(
            spend_rows=spender.rows if spender is not None else 0,
            spends_waiting=spender.waiting if spender is not None else 0,
            api_keys=view.keys if view is not None else 0,
            failing=(spender is not None and spender.failing) or (view is not None and view.failing),
        )
