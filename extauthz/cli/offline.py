"""Taking something away while no server runs: the keeper's own code, on the state file, in this process."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from extauthz.audit.actions import ActionLog
from extauthz.cli.keeperlink import find_keeper, leave
from extauthz.cli.problems import EXIT_CONFIG
from extauthz.clock import SystemClock
from extauthz.errors import StateError
from extauthz.keeper.admin import AdminDesk
from extauthz.keeper.keeper import Keeper
from extauthz.state.store import open_store

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from extauthz.config.settings import Settings
    from extauthz.config.state import StateSettings


def ask_offline(settings: Settings, question: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what the keeper would answer; exit when one runs, or when the state file cannot be written."""
    if find_keeper(settings):
        leave("a server runs, and its keeper answers: leave --offline out", EXIT_CONFIG)
    state, path = _file_of(settings)
    clock = SystemClock()
    try:
        key = open_store(path, state.key_file)
        keeper = Keeper(path, key, state, clock, confirmers={}, actions=ActionLog(settings.records.actions_target))
        with ExitStack() as undo:
            undo.callback(keeper.stop)  # It only writes: it was never started, and never beats.
            answer = AdminDesk(keeper, state, clock).handle(question)
    except StateError as error:
        leave(str(error))
    if "error" in answer:
        leave(str(answer["error"]))
    return answer


def _file_of(settings: Settings) -> tuple[StateSettings, Path]:
    state = settings.state
    if state is None or state.path is None:
        leave("--offline writes into a state file; with `state: {memory: true}` there is none", EXIT_CONFIG)
    return state, state.path
