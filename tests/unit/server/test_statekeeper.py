"""The state of a server: opened or refused with the file's name, counted, and the uses of keys written down."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from extauthz.clock import Instant
from extauthz.config.state import StateSettings
from extauthz.errors import ConfigError, StateError
from extauthz.model.identity import ANONYMOUS, Credential
from extauthz.nothing import NOTHING
from extauthz.server.keyuses import KeyUses
from extauthz.server.statekeeper import StateKeeper
from extauthz.state.apikeys import insert_api_key, list_api_keys
from extauthz.state.store import connect
from extauthz.telemetry.metrics import Metrics
from tests.simulators.apikeys import make_key
from tests.simulators.clock import ManualClock
from tests.simulators.decisions import ALLOW, decision_of
from tests.simulators.tokens import NOW
from tests.unit.state.spend_contract import spend

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.model.decision import Decision

_, ONE = make_key(1)


def keeper_of(path: Path) -> StateKeeper:
    """Return a keeper that has not started."""
    return StateKeeper(StateSettings(path=path), ManualClock())


def by_key(key_id: str, credential: Credential = Credential.API_KEY) -> Decision:
    """Return a decision about a caller whom a key proved."""
    return decision_of(ALLOW, identity=replace(ANONYMOUS, credential=credential, token_id=key_id))


def used_at(path: Path) -> list[float | None]:
    """Return when each key was last used, by the file."""
    with closing(connect(path, wait=1)) as connection:
        return [stored.used_at for stored in list_api_keys(connection)]


def test_without_settings_there_is_no_state() -> None:
    """Nothing can be spent, and no key is known."""
    keeper = StateKeeper(None, ManualClock())
    keeper.start()
    assert (keeper.spender, keeper.api_keys, keeper.uses, keeper.epochs) == (None, NOTHING, None, {})
    assert not keeper.counts().failing
    keeper.stop()


def test_in_memory_there_are_spends_and_no_keys() -> None:
    """And they end with it."""
    keeper = StateKeeper(StateSettings(memory=True), ManualClock())
    keeper.start()
    assert keeper.spender is not None
    assert keeper.spender.spend((spend(),), b"q", 5).outcome.value == "done"
    assert (keeper.api_keys, keeper.counts().spend_rows) == (NOTHING, 2)
    keeper.stop()


def test_a_file_holds_both_and_the_metrics_tell(tmp_path: Path) -> None:
    """Made where there is none."""
    keeper = keeper_of(tmp_path / "state.db")
    with closing(connect(tmp_path / "state.db", wait=1)) as connection:
        insert_api_key(connection, ONE)
    keeper.start()
    metrics = Metrics()
    metrics.follow_state(keeper.counts)
    assert keeper.spender is not None
    assert keeper.spender.spend((spend(),), b"q", 5).outcome.value == "done"
    assert keeper.api_keys.find_api_key(ONE.key_id) == ONE
    assert list(keeper.epochs) == ["api_key"]
    text = metrics.exposition().decode()
    for line in ("extauthz_spend_rows 2.0", "extauthz_api_keys 1.0", "extauthz_state_failing 0.0"):
        assert line in text
    (tmp_path / "state.db").rename(tmp_path / "away.db")
    keeper.epochs["api_key"](ONE.key_id)
    assert "extauthz_state_failing 1.0" in metrics.exposition().decode()
    keeper.stop()


def test_a_file_that_cannot_be_used_is_a_problem_of_the_settings(tmp_path: Path) -> None:
    """With its name once, and the fix."""
    with pytest.raises(ConfigError) as refusal:
        keeper_of(tmp_path / "nowhere" / "state.db")
    path = tmp_path / "nowhere" / "state.db"
    assert str(refusal.value) == (
        f"{path}: the state file cannot be used: No such file or directory; check path and rights"
    )


def test_uses_are_written_together_at_the_end_of_a_while(tmp_path: Path) -> None:
    """The newest of each key; nobody else's, and nothing when there is nothing."""
    keeper = keeper_of(tmp_path / "state.db")
    with closing(connect(tmp_path / "state.db", wait=1)) as connection:
        insert_api_key(connection, ONE)
    keeper.start()
    uses = keeper.uses
    assert uses is not None
    uses.write()
    for at in (NOW, NOW + 1):
        uses.note(by_key(ONE.key_id), Instant(at))
    uses.note(by_key(ONE.key_id, Credential.BEARER), Instant(NOW + 9))
    uses.note(decision_of(ALLOW, identity=None), Instant(NOW + 9))
    assert used_at(tmp_path / "state.db") == [None]
    uses.write()
    assert used_at(tmp_path / "state.db") == [NOW + 1]
    uses.note(by_key(ONE.key_id), Instant(NOW + 2))
    keeper.stop()
    assert used_at(tmp_path / "state.db") == [NOW + 2]


def test_uses_that_cannot_be_written_are_lost_and_hold_nobody_up(tmp_path: Path) -> None:
    """The watcher logs the error; the end of a server ignores it."""
    uses = KeyUses(tmp_path / "nowhere.db")
    uses.note(by_key(ONE.key_id), NOW)
    with pytest.raises(StateError):
        uses.write()
    uses.write()
    keeper = keeper_of(tmp_path / "state.db")
    keeper.start()
    assert keeper.uses is not None
    keeper.uses.note(by_key(ONE.key_id), NOW)
    (tmp_path / "state.db").unlink()
    keeper.stop()
