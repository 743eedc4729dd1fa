"""Everything that belongs to the keeper, opened and closed as one: state file, spends, its sockets."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from extauthz.audit.actions import ActionLog
from extauthz.errors import ConfigError, LinkError, Problem, StateError
from extauthz.keeper.admin import AdminDesk
from extauthz.keeper.gauges import follow_keeper
from extauthz.keeper.keeper import Keeper
from extauthz.keeper.receipts import no_streams
from extauthz.keeper.workerdesk import WorkerDesk
from extauthz.link.caller import LinkCaller
from extauthz.link.listener import LinkListener, make_run_dir
from extauthz.server.spender import StateSpender
from extauthz.server.verifications import Verifications
from extauthz.state.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from extauthz.clock import Clock
    from extauthz.config.settings import Settings
    from extauthz.config.state import StateSettings
    from extauthz.keeper.confirmations import Confirmer
    from extauthz.keeper.replicator import Replicator
    from extauthz.model.spend import Spend
    from extauthz.ports import Spender, Spent
    from extauthz.state.sessions import SessionSeen
    from extauthz.telemetry.metrics import Metrics

KEEPER_SOCKET: Final = "keeper.sock"
"""Where workers ask, in `server.run_dir`."""

ADMIN_SOCKET: Final = "admin.sock"
"""Where the operator asks."""

_ADMIN_CONNECTIONS: Final = 64
_SPARE: Final = 16
"""Connections of one worker beyond its threads."""


class LocalOwner:
    """The owner of the state in this process: a `server.keeperspender.StateOwner`.

    Args:
        spender: owns what can be used up.
        keeper: notes sessions.
    """

    def __init__(self, spender: Spender, keeper: Keeper) -> None:
        self._spender = spender
        self._keeper = keeper

    def spend(self, spends: tuple[Spend, ...], question: bytes, timeout: float) -> Spent:
        """Take all of `spends` or none; see `ports.Spender`."""
        return self._spender.spend(spends, question, timeout)

    def note_sessions(self, seen: Sequence[SessionSeen]) -> None:
        """Take uses of sessions over.

        Raises:
            StateError: they cannot be written down.
        """
        self._keeper.note_sessions(seen)

    def close(self) -> None:
        """Do nothing: nothing leads there."""


class KeeperService:
    """The keeper and what is around it; `start` once, then `stop` once.

    Args:
        settings: of the server, with a state that has a path.
        clock: of the machine.
        confirmers: every worker of this machine, by name: `0`, `1` and so on.
        metrics: counts; None for none.
        replicator: carries changes to other machines; None where there are none.
        spender: owns what can be used up, started and stopped by whoever made it; None for the state file.
        streams: names the resources that hold connections open beyond their decision.

    Attributes:
        keeper: writes restrictions.
        spender: for those who decide in this process.
        verifications: makes the states that transmitters are asked with, and knows them again.

    Raises:
        ConfigError: the state file, its key or `server.run_dir` cannot be used.
    """

    def __init__(  # noqa: PLR0913 — the parts that it joins
        self,
        settings: Settings,
        clock: Clock,
        *,
        confirmers: Mapping[str, Confirmer],
        metrics: Metrics | None = None,
        replicator: Replicator | None = None,
        spender: Spender | None = None,
        streams: Callable[[], tuple[str, ...]] = no_streams,
    ) -> None:
        state, path = _state_of(settings)
        run_dir = settings.server.run_dir
        key = _open(path, state)
        _make(run_dir)
        self.verifications = Verifications(key, clock)
        self._own_spender: StateSpender | None = None
        if spender is None:
            spender = self._own_spender = StateSpender(path, state.max_spends, clock)
        self.keeper = Keeper(
            path,
            key,
            state,
            clock,
            confirmers=confirmers,
            replicator=replicator,
            streams=streams,
            metrics=metrics.state if metrics is not None else None,
            actions=ActionLog(settings.records.actions_target),
        )
        if metrics is not None:
            follow_keeper(metrics.state, self.keeper, clock, [stream.name for stream in settings.signals.streams])
        admin = AdminDesk(self.keeper, state, clock)
        self.spender = LocalOwner(spender, self.keeper)
        workers = WorkerDesk(self.spender)
        self._sockets = (run_dir / KEEPER_SOCKET, run_dir / ADMIN_SOCKET)
        self._listeners = (
            LinkListener(
                self._sockets[0],
                workers.handle,
                (settings.server.threads + _SPARE) * max(1, settings.server.workers),
            ),
            LinkListener(self._sockets[1], admin.handle, _ADMIN_CONNECTIONS),
        )
        self._running = ExitStack()

    def start(self) -> None:
        """Keep the state up, and answer.

        Raises:
            ConfigError: it cannot; nothing runs then.
        """
        with ExitStack() as undo:
            try:
                if self._own_spender is not None:
                    self._own_spender.start()
                    undo.callback(self._own_spender.stop)
                undo.callback(self.keeper.stop)
                self.keeper.start()
                for listener in self._listeners:
                    undo.callback(listener.stop)
                    listener.start()
            except (StateError, LinkError) as error:
                raise _problem(str(error)) from error
            self._running = undo.pop_all()

    def stop(self) -> None:
        """Answer nobody any more, and let the state go."""
        self.keeper.news.stop()
        self._running.close()

    def check(self, within: float) -> str:
        """Return what is wrong with it, asked as others ask it; empty when nothing is.

        Args:
            within: seconds for each answer.
        """
        for socket, question in zip(self._sockets, ({"op": "ping"}, {"op": "held"}), strict=True):
            caller = LinkCaller(socket, within)
            try:
                answer = caller.ask(question)
            except LinkError as error:
                return str(error)
            finally:
                caller.close()
            if "error" in answer:
                return str(answer["error"])
        return "the state cannot be written" if self.keeper.upkeep.failing else ""


def _state_of(settings: Settings) -> tuple[StateSettings, Path]:
    if settings.state is None or settings.state.path is None:
        message = "the keeper needs a state file"
        raise ValueError(message)
    return settings.state, settings.state.path


def _open(path: Path, state: StateSettings) -> bytes:
    try:
        return open_store(path, state.key_file)
    except StateError as error:
        raise _problem(str(error), "the state file cannot be used") from error


def _make(run_dir: Path) -> None:
    try:
        make_run_dir(run_dir)
    except LinkError as error:
        raise _problem(str(error)) from error


def _problem(message: str, about: str = "") -> ConfigError:
    return ConfigError([Problem("settings", 0, 0, f"{about}: {message}" if about else message)])
