"""The contract of spends on a real Redis, and what only a Redis can do wrong."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from extauthz.clock import Instant, SystemClock
from extauthz.errors import SharedStoreError
from extauthz.keeper.redis_connection import RedisConnection
from extauthz.keeper.redis_scripts import SPEND
from extauthz.keeper.redis_spends import GRACE_SECONDS, RedisSpender, RedisSpends
from extauthz.ports import SpendOutcome, Spent
from extauthz.state.spends import Order
from tests.simulators.redis import COMMAND_SECONDS, PATIENCE, RedisServer, serving
from tests.simulators.tokens import NOW
from tests.unit.state.spend_contract import DONE, MINUTE, UNKNOWN, SpendContract, spend, take

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from extauthz.model.spend import Spend


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Yield one server for all tests that leave it as it is."""
    with serving(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def tables(server: RedisServer) -> RedisSpends:
    """Return empty tables."""
    server.say("FLUSHALL")
    return spends_on(server)


def spends_on(server: RedisServer, **changes: Any) -> RedisSpends:
    """Return tables on a connection of their own."""
    settings = server.settings(**changes)
    return RedisSpends(RedisConnection(settings, (SPEND,), SystemClock()), settings.prefix)


@contextmanager
def running(server: RedisServer, **changes: Any) -> Iterator[RedisSpender]:
    """Yield a spender that runs."""
    spender = RedisSpender(server.settings(**changes), SystemClock())
    spender.start()
    try:
        yield spender
    finally:
        spender.stop()


def outcome(spender: RedisSpender, question: str, *spends: Spend, timeout: float = PATIENCE) -> str:
    """Return how spending went, in a word."""
    return spender.spend(spends, question.encode(), timeout).outcome.value


def lasting(key: str = "a", **changes: Any) -> Spend:
    """Return something to spend within a minute from now on."""
    return spend(key, until=Instant(SystemClock().now() + MINUTE), **changes)


class Counted(RedisSpends):
    """Tables that can be asked how much is in them."""

    def __init__(self, server: RedisServer) -> None:
        """Open a connection of their own."""
        settings = server.settings()
        super().__init__(RedisConnection(settings, (SPEND,), SystemClock()), settings.prefix)
        self._server = server

    @property
    def rows(self) -> int:
        """Return how many questions, spends and members there are."""
        keys = self._server.say("KEYS", "*").split()
        members = [int(self._server.say("ZCARD", key)) for key in keys if ":members:" in key]
        return len(keys) - len(members) + sum(members)


class TestOnRedis(SpendContract):
    @pytest.fixture
    def tables(self, server: RedisServer) -> Any:
        """Return empty tables."""
        server.say("FLUSHALL")
        return Counted(server)

    def test_a_full_table_takes_nothing(self, tables: Any) -> None:
        """Redis counts bytes, not rows: see `test_a_full_server_takes_nothing`."""
        assert take(tables, "q1", spend()) == DONE

    def test_a_full_table_takes_no_new_member(self, tables: Any) -> None:
        """As above."""
        assert take(tables, "q1", spend("b", member=b"m")) == DONE


def test_what_is_remembered_has_an_end(server: RedisServer, tables: RedisSpends) -> None:
    """Everything goes by itself, a grace after its end; nothing else is left."""
    address = spend("b", member=b"192.0.2.1", limit=2, until=Instant(NOW + 2 * MINUTE))
    assert take(tables, "q1", spend(), address) == DONE  # type: ignore[arg-type]  # the contract's helper fits any tables
    lives = {key.split(":")[1]: int(server.say("PTTL", key)) / 1000 for key in server.say("KEYS", "*").split()}
    ends = {"question": MINUTE, "spend": MINUTE, "members": 2 * MINUTE}
    assert set(lives) == set(ends)
    for kind, seconds in lives.items():
        assert ends[kind] + GRACE_SECONDS - 30 < seconds <= ends[kind] + GRACE_SECONDS


def test_the_clock_of_redis_plays_no_part(tables: RedisSpends) -> None:
    """The instants of these tests are not those of the server."""
    assert abs(SystemClock().now() - NOW) > 3600
    assert take(tables, "q1", spend()) == DONE  # type: ignore[arg-type]  # as above
    assert take(tables, "q2", spend()).outcome is SpendOutcome.REFUSED  # type: ignore[arg-type]  # as above


def test_prefixes_do_not_meet(server: RedisServer, tables: RedisSpends) -> None:
    """Two installations on one Redis."""
    other = spends_on(server, prefix="other")
    assert [each.take([Order((spend(),), b"q")], NOW) for each in (tables, other)] == [[DONE], [DONE]]


def test_two_machines_spend_exactly_what_there_is(server: RedisServer, tables: RedisSpends) -> None:
    """In parallel, each question asked twice; the sum is the limit."""
    del tables
    limit, questions = 100, 150
    what = lasting(limit=limit)
    with running(server) as one, running(server) as two, ThreadPoolExecutor(16) as pool:
        jobs = [pool.submit(outcome, (one, two)[n % 2], f"q{n // 2}", what) for n in range(2 * questions)]
        done = [job.result() for job in jobs]
    assert sorted(set(done)) == ["done", "refused"]
    assert done.count("done") == 2 * limit
    assert {done[2 * n] for n in range(questions)} == {"done", "refused"}
    assert all(done[2 * n] == done[2 * n + 1] for n in range(questions))


def test_without_a_script_more_would_be_spent(server: RedisServer, tables: RedisSpends) -> None:
    """The control: reading and writing apart, two machines take what is there once."""
    del tables
    one, two = (RedisConnection(server.settings(), (), SystemClock()) for _ in range(2))
    reads = [each.ask("GET", "naive") for each in (one, two)]
    assert [each.ask("INCR", "naive") for each, read in zip((one, two), reads, strict=True) if read is None] == [1, 2]


def test_a_stopped_server_is_unknown_until_it_is_back(tmp_path: Any) -> None:
    """What was spent stays spent, and nothing needs a restart."""
    with serving(tmp_path / "redis") as server, running(server) as spender:
        assert outcome(spender, "q1", lasting()) == "done"
        server.kill()
        assert outcome(spender, "q2", lasting("b")) == "unknown"
        assert outcome(spender, "q2", lasting("b")) == "unknown"
        assert spender.failing
        server.start()
        assert _until_known(spender, "q3", lasting("c")) == "done"
        assert outcome(spender, "q4", lasting()) == "refused"
        assert not spender.failing


def test_a_blackhole_is_unknown_within_the_time_of_the_asker(tmp_path: Any) -> None:
    """An order that nobody waits for any more is not carried out afterwards when it was not sent."""
    with serving(tmp_path / "redis") as server, running(server) as spender:
        assert outcome(spender, "q1", lasting()) == "done"
        server.freeze()
        begun = SystemClock().monotonic()
        with ThreadPoolExecutor(4) as pool:
            late = [pool.submit(outcome, spender, f"l{n}", lasting(f"l{n}"), timeout=0.1) for n in range(4)]
            assert {each.result() for each in late} == {"unknown"}
        assert SystemClock().monotonic() - begun < COMMAND_SECONDS
        server.thaw()
        assert _until_known(spender, "q2", lasting("b")) == "done"
        assert outcome(spender, "q3", lasting()) == "refused"


def test_a_full_server_takes_nothing(tmp_path: Any) -> None:
    """All or nothing: what does not fit leaves no trace."""
    with serving(tmp_path / "redis") as server, running(server) as spender:
        assert outcome(spender, "q1", lasting()) == "done"
        server.say("CONFIG", "SET", "maxmemory", "1")
        assert outcome(spender, "q2", lasting("b"), lasting("c")) == "unknown"
        server.say("CONFIG", "SET", "maxmemory", "0")
        assert _until_known(spender, "q3", lasting("b"), lasting("c")) == "done"


def test_an_answer_that_no_script_gives_is_no_success(server: RedisServer) -> None:
    """Whatever stands between us and Redis."""

    class Liar(RedisConnection):
        answer: object = None

        def ask_all(self, commands: object) -> list[Any]:  # noqa: ARG002 — it lies about everything
            return [self.answer]

    liar = Liar(server.settings(), (), SystemClock())
    for answer in (None, b"0", 2, -1, [0]):
        liar.answer = answer
        with pytest.raises(SharedStoreError, match="something in between"):
            RedisSpends(liar, "x").take([Order((spend(),), b"q")], NOW)
    liar.answer = 1
    assert RedisSpends(liar, "x").take([Order((spend(),), b"q")], NOW) == [Spent(SpendOutcome.REFUSED, spend())]


def test_what_is_not_sound_is_not_sent(server: RedisServer) -> None:
    """Redis need not be there for that."""
    gone = spends_on(server, url="redis://127.0.0.1:1/0")
    assert gone.take([Order((spend(until=NOW),), b"q"), Order((), b"q")], NOW) == [UNKNOWN, UNKNOWN]


def _until_known(spender: RedisSpender, question: str, *spends: Spend) -> str:
    """Return how it goes once Redis answers again."""
    deadline = SystemClock().monotonic() + PATIENCE
    while SystemClock().monotonic() < deadline:
        if (word := outcome(spender, question, *spends)) != "unknown":
            return word
    return "unknown"
