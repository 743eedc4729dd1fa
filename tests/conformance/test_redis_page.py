"""The page on Redis can be pasted: its settings load, its configuration and ACL rule are enough for a real server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from extauthz.clock import Instant, SystemClock
from extauthz.config.state import StateSettings
from extauthz.errors import SharedStoreError
from extauthz.keeper.redis_connection import RedisConnection
from extauthz.keeper.redis_follower import UNVERIFIED_AN_HOUR
from extauthz.keeper.redis_journal import KEEP_ENTRIES, Journal
from extauthz.keeper.redis_replicator import ALIVE_BEATS
from extauthz.keeper.redis_rows import shared_seal, write_row
from extauthz.keeper.redis_scripts import FOLLOWING, SPEND
from extauthz.keeper.redis_spends import GRACE_SECONDS, RedisSpends
from extauthz.ports import SpendOutcome
from extauthz.state.spends import Order
from tests.simulators.machines import revocation
from tests.simulators.redis import RedisServer, serving
from tests.unit.state.spend_contract import spend

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "redis.md").read_text(encoding="utf-8")
CONFIGURATION, RULE = (block.strip().splitlines() for block in re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL))
(SETTINGS,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """Yield a server with the page's configuration, but for TLS."""
    lines = [line for line in CONFIGURATION if not line.startswith(("#", "tls-", "port "))]
    assert len(lines) == 3
    with serving(tmp_path / "redis", options=lines) as server:
        yield server


def connect(server: RedisServer, tmp_path: Path, prefix: str, rule: list[str]) -> RedisConnection:
    """Return a connection as the page's user."""
    (path := tmp_path / "password").write_text("PASSWORD")
    assert server.say(*rule) == "OK"
    settings = server.settings(prefix=prefix, username="extauthz", password_file=path)
    return RedisConnection(settings, (*FOLLOWING, SPEND), SystemClock())


def use(connection: RedisConnection, prefix: str) -> None:
    """Do everything that machines do."""
    journal = Journal(connection, prefix)
    life, position = journal.begin()
    seal = shared_seal(b"k" * 32, life.incarnation)
    now = SystemClock().now()
    for force in (True, False):
        for until in (None, Instant(now - 900), Instant(now + 60)):
            row = write_row(revocation("bob", now, in_force=force, until=until), seal, life.incarnation)
            position = journal.publish(life, "n", [row]) or 0
    assert position > 1
    assert journal.beat("n", b"x").incarnation == life.incarnation
    assert [len(rows) for rows in journal.read_all()] != [0]
    assert len(journal.read_after(0, 0.01)[1]) == position
    journal.leave("n")
    spends = (spend(until=Instant(now + 60)), spend("m", member=b"m", until=Instant(now + 60)))
    for question in (b"q1", b"q2"):
        (spent,) = RedisSpends(connection, prefix).take([Order(spends, question)], now)
        assert spent.outcome is (SpendOutcome.DONE if question == b"q1" else SpendOutcome.REFUSED)


def test_the_rule_is_enough(server: RedisServer, tmp_path: Path) -> None:
    """For everything that machines do."""
    (rule,) = RULE
    connection = connect(server, tmp_path, "extauthz", rule.split())
    use(connection, "extauthz")
    connection.close()


def test_the_rule_is_not_too_much(server: RedisServer, tmp_path: Path) -> None:
    """Other keys are out of reach, and so are commands that nobody needs."""
    (rule,) = RULE
    connection = connect(server, tmp_path, "other", rule.split())
    for what in (
        lambda: use(connection, "other"),
        lambda: connection.ask("FLUSHALL"),
        lambda: connection.ask("KEYS", "*"),
    ):
        with pytest.raises(SharedStoreError, match=r"ACL does not allow.*docs/redis\.md"):
            what()
    connection.close()


@pytest.mark.parametrize("word", ["+xadd", "+hscan", "+zcount", "+pexpire", "+script|load", "+info", "+evalsha"])
def test_with_less_it_would_not_work(server: RedisServer, tmp_path: Path, word: str) -> None:
    """The control."""
    (rule,) = RULE
    connection = connect(server, tmp_path, "extauthz", [each for each in rule.split() if each != word])
    with pytest.raises(SharedStoreError, match="ACL does not allow"):
        use(connection, "extauthz")
    connection.close()


def test_the_settings_load() -> None:
    """And are those of TLS."""
    state = StateSettings.model_validate(yaml.safe_load(SETTINGS)["state"])
    assert state.redis is not None
    assert state.redis.url.startswith("rediss://")
    assert state.redis.certificate is not None


def test_figures_are_those_of_the_code() -> None:
    """Whoever changes one changes the other."""
    for text in (
        f"{KEEP_ENTRIES:,} changes",
        f"{UNVERIFIED_AN_HOUR:,} an hour at most",
        f"{GRACE_SECONDS:.0f} s longer",
        "three beats",
        "5 minutes longer",
    ):
        assert text in " ".join(PAGE.split())
    assert ALIVE_BEATS == 3
