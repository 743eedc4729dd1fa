"""The state of a server: opened or refused with the file's name, kept up where nobody else does it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.clock import Instant
from extauthz.config.settings import Settings
from extauthz.errors import ConfigError, StateError
from extauthz.model.identity import ANONYMOUS, Credential
from extauthz.nothing import NOTHING
from extauthz.ports import SpendOutcome, Spent
from extauthz.server.heartbeat import Heartbeat
from extauthz.server.keyuses import KeyUses
from extauthz.server.stateholdings import StateHoldings
from extauthz.state.apikeys import insert_api_key, list_api_keys
from extauthz.state.seal import default_key_file, open_seal, read_key
from extauthz.state.store import connect
from extauthz.state.transaction import to_query
from extauthz.telemetry.metrics import Metrics
from tests.simulators.apikeys import make_key
from tests.simulators.clock import ManualClock
from tests.simulators.decisions import ALLOW, decision_of
from tests.simulators.tokens import NOW
from tests.unit.state.spend_contract import spend

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from extauthz.model.decision import Decision
    from extauthz.model.spend import Spend
    from extauthz.state.sessions import SessionSeen

_, ONE = make_key(1)


class Elsewhere:
    """A spender in another process."""

    def spend(self, spends: tuple[Spend, ...], question: bytes, timeout: float) -> Spent:
        """Take nothing; see `ports.Spender`."""
        del spends, question, timeout
        return Spent(SpendOutcome.UNKNOWN)

    def note_sessions(self, seen: Sequence[SessionSeen]) -> None:
        """Take none."""

    def close(self) -> None:
        """Let go of nothing."""


def holdings(clock: ManualClock | None = None, **state: Any) -> StateHoldings:
    """Return holdings that have not started, under these settings of the state."""
    settings = Settings.model_validate({"policy": ["policy.yaml"], "state": state or None})
    return StateHoldings(settings, clock or ManualClock())


def by_key(key_id: str, credential: Credential = Credential.API_KEY) -> Decision:
    """Return a decision about a caller whom a key proved."""
    return decision_of(ALLOW, identity=replace(ANONYMOUS, credential=credential, token_id=key_id))


def used_at(path: Path) -> list[float | None]:
    """Return when each key was last used, by the file."""
    with closing(connect(path, wait=1)) as connection:
        seal = open_seal(to_query(connection), read_key(default_key_file(path)))
        return [stored.used_at for stored in list_api_keys(connection, seal)]


def insert(path: Path) -> None:
    """Add a key."""
    with closing(connect(path, wait=1)) as connection:
        insert_api_key(connection, ONE, open_seal(to_query(connection), read_key(default_key_file(path))))


def test_without_settings_there_is_no_state() -> None:
    """Nothing can be spent, no key is known, and nothing was taken away."""
    held = holdings()
    held.start()
    assert (held.spender, held.uses, held.epochs, held.path, held.freshen()) == (None, None, {}, None, -1)
    assert (held.api_keys, held.restrictions, held.facts) == (NOTHING, NOTHING, NOTHING)
    assert not held.counts().failing
    held.stop()


def test_in_memory_there_is_a_file_that_ends_with_it() -> None:
    """And all that a file can hold."""
    held = holdings(memory=True)
    held.start()
    assert held.spender is not None
    assert held.spender.spend((spend(),), b"q", 5).outcome is SpendOutcome.DONE
    assert held.path is not None
    insert(held.path)
    held.freshen()
    assert held.api_keys.find_api_key(ONE.key_id) == ONE
    assert held.restrictions.is_state_fresh(NOW)
    held.stop()
    assert not held.path.parent.exists()


def test_a_file_holds_everything_and_the_metrics_tell(tmp_path: Path) -> None:
    """Made where there is none."""
    held = holdings(path=str(tmp_path / "state.db"))
    insert(tmp_path / "state.db")
    held.start()
    metrics = Metrics()
    metrics.follow_state(held.counts)
    assert held.spender is not None
    assert held.spender.spend((spend(),), b"q", 5).outcome is SpendOutcome.DONE
    assert held.api_keys.find_api_key(ONE.key_id) == ONE
    assert {"api_key", "restriction", "freshness", "posture"} <= held.epochs.keys()
    text = metrics.exposition().decode()
    for line in ("extauthz_spend_rows 2.0", "extauthz_api_keys 1.0", "extauthz_state_failing 0.0"):
        assert line in text
    (tmp_path / "state.db").rename(tmp_path / "away.db")
    assert held.freshen() == -1
    assert "extauthz_state_failing 1.0" in metrics.exposition().decode()
    held.stop()


def test_where_nobody_keeps_the_state_up_it_is_fresh_from_the_start(tmp_path: Path) -> None:
    """And stays so for as long as beats are written."""
    clock = ManualClock()
    held = holdings(clock, path=str(tmp_path / "state.db"), max_staleness=5)
    assert not held.restrictions.is_state_fresh(clock.now())
    held.start()
    assert held.restrictions.is_state_fresh(clock.now())
    clock.advance(5.5)
    assert not held.restrictions.is_state_fresh(clock.now())
    held.stop()


@pytest.mark.parametrize("elsewhere", ["spender", "redis"])
def test_where_others_decide_what_is_true_only_they_say_that_it_is_up_to_date(tmp_path: Path, elsewhere: str) -> None:
    """A keeper in another process, or other machines: nobody here can know."""
    clock = ManualClock()
    redis = {"redis": {"url": "redis://127.0.0.1:1"}} if elsewhere == "redis" else {}
    state = {"path": str(tmp_path / "state.db"), **redis}
    settings = Settings.model_validate({"policy": ["policy.yaml"], "state": state})
    spender = Elsewhere() if elsewhere == "spender" else None
    held = StateHoldings(settings, clock, spender)
    held.start()
    assert not held.restrictions.is_state_fresh(clock.now())
    assert spender is None or held.spender is spender
    assert (held.counts().spend_rows, held.counts().failing) == (0, False)
    held.stop()


def test_a_file_that_cannot_be_used_is_a_problem_of_the_settings(tmp_path: Path) -> None:
    """With its name once, and the fix."""
    path = tmp_path / "nowhere" / "state.db"
    with pytest.raises(ConfigError) as refusal:
        holdings(path=str(path))
    assert str(refusal.value) == (
        f"{path}: the state file cannot be used: No such file or directory; check path and rights"
    )


def test_uses_are_written_together_at_the_end_of_a_while(tmp_path: Path) -> None:
    """The newest of each key; nobody else's, and nothing when there is nothing."""
    path = tmp_path / "state.db"
    held = holdings(path=str(path))
    insert(path)
    held.start()
    uses = held.uses
    assert uses is not None
    uses.write()
    for at in (NOW, NOW + 1):
        uses.note(by_key(ONE.key_id), Instant(at))
    uses.note(by_key(ONE.key_id, Credential.BEARER), Instant(NOW + 9))
    uses.note(decision_of(ALLOW, identity=None), Instant(NOW + 9))
    assert used_at(path) == [None]
    uses.write()
    assert used_at(path) == [NOW + 1]
    uses.note(by_key(ONE.key_id), Instant(NOW + 2))
    held.stop()
    assert used_at(path) == [NOW + 2]


def test_uses_that_cannot_be_written_are_lost_and_hold_nobody_up(tmp_path: Path) -> None:
    """The watcher logs the error; the end of a server ignores it."""
    uses = KeyUses(tmp_path / "nowhere.db")
    uses.note(by_key(ONE.key_id), NOW)
    with pytest.raises(StateError):
        uses.write()
    uses.write()
    held = holdings(path=str(tmp_path / "state.db"))
    held.start()
    assert held.uses is not None
    held.uses.note(by_key(ONE.key_id), NOW)
    (tmp_path / "state.db").unlink()
    held.stop()


def test_a_beat_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """And the next one opens the file anew."""
    clock = ManualClock()
    held = holdings(clock, path=str(tmp_path / "state.db"))
    heartbeat = Heartbeat(tmp_path / "state.db", clock)
    heartbeat.beat()
    with closing(connect(tmp_path / "state.db", wait=1)) as connection:
        connection.execute("ALTER TABLE beat RENAME TO elsewhere")
        with pytest.raises(StateError):
            heartbeat.beat()
        connection.execute("ALTER TABLE elsewhere RENAME TO beat")
    heartbeat.beat()
    held.freshen()
    assert held.restrictions.is_state_fresh(clock.now())
    heartbeat.close()
    held.stop()
