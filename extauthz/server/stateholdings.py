"""The state of a running server, opened and closed as one: what decisions see of it, who spends, and who notes uses."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from extauthz.errors import ConfigError, Problem, StateError
from extauthz.nothing import NOTHING
from extauthz.server.freshness import Freshness, expected_streams
from extauthz.server.heartbeat import Heartbeat
from extauthz.server.keyuses import WRITE_SECONDS, KeyUses
from extauthz.server.sessionnotes import TELL_SECONDS, SessionNotes
from extauthz.server.spender import StateSpender
from extauthz.server.stateview import StateView, Warned
from extauthz.server.watch import Watcher
from extauthz.state.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from extauthz.clock import Clock
    from extauthz.config.settings import Settings
    from extauthz.config.state import StateSettings
    from extauthz.ports import ApiKeySource, RestrictionSource, Spender, StateSource
    from extauthz.server.keeperspender import StateOwner

_MEMORY_FILE: Final = "state.db"


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


class StateHoldings:
    """Everything that rests on the state.

    Args:
        settings: of the server; without `state` there is none: nothing can be spent, no key is known, nothing was
            taken away.
        clock: of the server.
        spender: who spends for us, and keeps the state up; None where nobody does, so that it is done here.
        on_alarm: told what metrics count.

    Attributes:
        path: of the state file; None without a state.
        view: of it; None without a state.
        spender: takes what can be used up; None without a state.
        api_keys: the keys.
        restrictions: what was taken away.
        facts: what requirements ask for.
        uses: when API keys were used; None without a state.
        sessions: which sessions are used; None where nobody keeps the state up for us.
        epochs: what counts the changes of its facts, by kind.

    Raises:
        ConfigError: the state file, or the key that its records are sealed with, cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        spender: StateOwner | None = None,
        on_alarm: Callable[[Warned], object] = lambda _: None,
    ) -> None:
        self.path: Path | None = None
        self.view: StateView | None = None
        self.spender: Spender | None = spender
        self.api_keys: ApiKeySource = NOTHING
        self.restrictions: RestrictionSource = NOTHING
        self.facts: StateSource = NOTHING
        self.uses: KeyUses | None = None
        self.sessions: SessionNotes | None = None
        self.epochs: dict[str, Callable[[str], int]] = {}
        self._owner = spender
        self._own_spender: StateSpender | None = None
        self._watchers: tuple[Watcher, ...] = ()
        self._heartbeat: Heartbeat | None = None
        self._folder: TemporaryDirectory[str] | None = None
        state = settings.state
        if state is None:
            return
        self.path = path = self._place(state)
        key = _open(path, state)
        freshness = Freshness(clock, state.max_staleness, expected_streams(settings))
        self.view = view = StateView(path, key, clock, freshness, on_alarm)
        self.api_keys, self.restrictions, self.facts, self.epochs = view, view, view, view.epochs
        self.uses = KeyUses(path)
        self._watchers = (Watcher(WRITE_SECONDS, self.uses.write),)
        if spender is None:
            self._keep_up(path, state, clock)
        else:
            self.sessions = SessionNotes(spender.note_sessions)
            self._watchers += (Watcher(TELL_SECONDS, self.sessions.flush),)

    def freshen(self) -> int:
        """Look at the state now; return the newest change of restrictions that decisions go by, -1 for unknown."""
        return self.view.freshen() if self.view is not None else -1

    def start(self) -> None:
        """Begin to spend and to write."""
        if self._heartbeat is not None:
            self._heartbeat.beat()
        self.freshen()
        if self._own_spender is not None:
            self._own_spender.start()
        for watcher in self._watchers:
            watcher.start()

    def stop(self) -> None:
        """End it, when nobody decides any more."""
        if self._own_spender is not None:
            self._own_spender.stop()
        for watcher in self._watchers:
            watcher.stop()
        if self.sessions is not None:
            self.sessions.flush()
        if self._owner is not None:
            self._owner.close()
        if self.uses is not None:
            with suppress(StateError):  # Nobody is there any more who could do something about it.
                self.uses.write()
        if self._heartbeat is not None:
            self._heartbeat.close()
        if self.view is not None:
            self.view.close()
        if self._folder is not None:
            self._folder.cleanup()

    def counts(self) -> StateCounts:
        """Return how it fares now."""
        view, spender = self.view, self._own_spender
        return StateCounts(
            spend_rows=spender.rows if spender is not None else 0,
            spends_waiting=spender.waiting if spender is not None else 0,
            api_keys=view.keys if view is not None else 0,
            failing=(spender is not None and spender.failing) or (view is not None and view.failing),
        )

    def _place(self, state: StateSettings) -> Path:
        """Return where the state file is; one that shall not outlive us is in a folder that ends with us."""
        if state.path is not None:
            return state.path
        self._folder = TemporaryDirectory(prefix="extauthz-")
        return Path(self._folder.name) / _MEMORY_FILE

    def _keep_up(self, path: Path, state: StateSettings, clock: Clock) -> None:
        """Spend here; and where nobody else can change what we decide by, say that it is up to date."""
        self.spender = self._own_spender = StateSpender(path, state.max_spends, clock)
        if state.redis is None:
            self._heartbeat = Heartbeat(path, clock)
            self._watchers += (Watcher(min(1.0, state.max_staleness / 5), self._heartbeat.beat),)


def _open(path: Path, state: StateSettings) -> bytes:
    """Return the key that records are sealed with, once the file is there and ours.

    Raises:
        ConfigError: one of both cannot be used.
    """
    try:
        return open_store(path, state.key_file)
    except StateError as error:
        message = f"the state file cannot be used: {str(error).removeprefix(f'{path}: ')}"
        raise ConfigError([Problem(str(path), 0, 0, message)]) from error
