"""Answers of a Redis that are not ours, and what is made of what machines say of themselves."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

import pytest

from extauthz.clock import SystemClock
from extauthz.errors import SharedStoreError
from extauthz.keeper.redis_connection import RedisConnection, Server
from extauthz.keeper.redis_journal import Entry, Journal, Life
from extauthz.keeper.redis_nodes import REMEMBERED, Nodes, Sent

if TYPE_CHECKING:
    from collections.abc import Callable

LIFE = Life("abc", "run")
KEY = b"k" * 32


class Answering:
    """A connection that answers what it was told to."""

    server = Server("run", durable=True)

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[object, ...]] = []

    def ask(self, *command: object) -> object:
        """Return the next answer."""
        self.asked.append(command)
        return self.answers.pop(0)

    def ask_all(self, commands: list[tuple[object, ...]]) -> list[object]:
        """Return the next answers."""
        return [self.ask(*command) for command in commands]


def journal(*answers: object) -> Journal:
    """Return a journal on a connection with these answers."""
    return Journal(cast("RedisConnection", Answering(*answers)), "p")


_CALLS: dict[str, Callable[[Journal], Any]] = {
    "begin": lambda each: each.begin(),
    "publish": lambda each: each.publish(LIFE, "n", []),
    "beat": lambda each: each.beat("n", b"x"),
    "read_all": lambda each: list(each.read_all()),
    "read_after": lambda each: each.read_after(0, 0),
}


@pytest.mark.parametrize("call", _CALLS)
@pytest.mark.parametrize("answer", [0, b"OK", [], [1], [b"x"], [[b"x"]], [b"x", b"y"], {}], ids=str)
def test_what_is_not_ours_is_told(call: str, answer: object) -> None:
    """And nothing is made of it."""
    with pytest.raises(SharedStoreError, match="`prefix` used by another program"):
        _CALLS[call](journal(answer, b"abc"))


@pytest.mark.parametrize(
    "entry", [b"1-0", [], [b"1-1", []], [b"x-0", []], [b"1", []], [1, []], [b"1-0", None]], ids=str
)
def test_entries_that_are_not_ours_are_told(entry: object) -> None:
    """Whoever writes such numbers does not know the stream."""
    with pytest.raises(SharedStoreError):
        journal([[b"p:journal", [entry]]], b"abc").read_after(0, 0)


def test_what_is_read() -> None:
    """Entries of other kinds are no rows, and whoever reads them raises an alarm; the beginning is known."""
    entries = [
        [b"1-0", [b"begin", b"abc"]],
        [b"2-0", [b"kind", b"restrictions", b"row", b"r"]],
        [b"3-0", [b"kind", b"planets", b"row", b"r"]],
        [b"4-0", [b"row"]],
        [b"5-0", [b"kind", b"streams", b"row", b"s"]],
    ]
    read = journal([[b"p:journal", entries]], None).read_after(0, 0)
    rows = [Entry(2, b"r"), Entry(3, b"kind planets row r"), Entry(4, b"row"), Entry(5, b"s", "streams")]
    assert read == ("", [Entry(1, None), *rows])
    assert journal(None, b"abc").read_after(9, 0.1) == ("abc", [])
    assert list(journal([b"7", [b"f", b"row", b"g", 5]], [b"0", []]).read_all()) == [[b"row"], []]


def test_what_is_published_in_another_life_does_not_count() -> None:
    """The script says so, or the server is another one by now."""
    assert journal([7, 1]).publish(LIFE, "n", []) == 7
    assert journal([0, 0]).publish(LIFE, "n", []) is None
    assert journal([7, 1]).publish(Life("abc", "before"), "n", []) is None


def test_what_machines_say_has_an_age() -> None:
    """By the clock of Redis alone; what has no time is passed over."""
    pulse = journal([b"abc", 5, 10_000, [b"a", b"9000 x y", b"b", b"soon x", b"c", b"10000 "]]).beat("n", b"x")
    assert pulse.nodes == {"a": (b"x y", 1.0), "c": (b"", 0.0)}


class TestNodes:
    @pytest.fixture
    def told(self) -> list[str]:
        """Return where confirmations are noted."""
        return []

    @pytest.fixture
    def nodes(self, told: list[str]) -> Nodes:
        """Return what is known of other machines in a life in which everything was offered."""
        nodes = Nodes(KEY, SystemClock(), alive=3.0, note=lambda other, _: told.append(other))
        nodes.enter(LIFE, 0)
        nodes.sent(Sent(4, offered=True, before=4), 10)
        return nodes

    def says(self, position: int, *, node: str = "b", key: bytes = KEY, life: Life = LIFE) -> bytes:
        """Return what another machine says."""
        other = Nodes(key, SystemClock(), alive=3.0, note=lambda *_: None)
        other.confirmed(life, position)
        return other.say(node, life)

    def test_a_change_is_in_force_where_its_position_is(self, nodes: Nodes, told: list[str]) -> None:
        """Not earlier; and who confirmed is noted."""
        nodes.sent(Sent(6, offered=True, before=4), 12)
        for position, numbers in ((9, []), (10, [4]), (11, [4]), (12, [4, 6])):
            nodes.heard("a", LIFE, {"a": (b"", 0.0), "b": (self.says(position), 0.0)})
            assert [number for number in (4, 6) if nodes.wait(number, 0) == (1, 1)] == numbers
        assert set(told) == {"b"}

    def test_what_was_not_sent_is_nowhere(self, nodes: Nodes) -> None:
        """However far the others are."""
        nodes.heard("a", LIFE, {"b": (self.says(99), 0.0)})
        assert nodes.wait(5, 0) == (0, 1)
        nodes.sent(Sent(5, offered=True, before=4), None)
        assert nodes.wait(5, 0) == (1, 1)

    def test_what_is_offered_again_counts_when_all_of_it_is(self, nodes: Nodes) -> None:
        """News counts before."""
        nodes.sent(Sent(9, offered=False, before=8), 20)
        nodes.heard("a", LIFE, {"b": (self.says(99), 0.0)})
        assert [nodes.wait(number, 0)[0] for number in (8, 9)] == [0, 1]
        nodes.sent(Sent(9, offered=True, before=8), 21)
        assert nodes.wait(8, 0)[0] == 1

    def test_a_machine_in_another_life_or_without_our_key_has_not_confirmed(self, nodes: Nodes) -> None:
        """It is there, and counts as one that has not."""
        strangers = {
            "b": (self.says(99, key=b"o" * 32), 0.0),
            "c": (self.says(99, node="b"), 0.0),
            "d": (self.says(99, node="d", life=Life("other", "run")), 0.0),
            "e": (b"", 0.0),
            "f": (b"abc 99 zz", 0.0),
            "g": (b"abc 99 \xff", 0.0),
            "h": (b"abc -1 00", 0.0),
        }
        nodes.heard("a", LIFE, strangers)
        assert nodes.wait(4, 0) == (0, 7)

    def test_who_is_silent_is_not_waited_for(self, nodes: Nodes) -> None:
        """Three seconds, here."""
        nodes.heard("a", LIFE, {"b": (self.says(99), 3.0), "c": (b"", 3.1)})
        assert nodes.wait(4, 0) == (1, 1)

    def test_what_this_machine_says_of_another_life_is_nothing(self, nodes: Nodes) -> None:
        """Positions mean nothing there."""
        nodes.confirmed(LIFE, 12)
        assert nodes.say("a", LIFE).split()[1] == b"12"
        assert nodes.say("a", Life("abc", "later")).split()[1] == b"0"

    def test_nobody_waits_for_a_redis_that_is_gone(self, nodes: Nodes) -> None:
        """Nor at the end."""
        nodes.heard("a", LIFE, {"b": (b"", 0.0)})
        for end in (nodes.lose, nodes.stop):
            nodes.enter(LIFE, 0)
            with ThreadPoolExecutor(1) as pool:
                waiting = pool.submit(nodes.wait, 4, 60.0)
                while not nodes.waiting:
                    pass
                end()
                assert waiting.result() == (0, 1)

    def test_positions_of_another_life_are_forgotten(self, nodes: Nodes) -> None:
        """And of the same one they are kept over a break; never more than so many."""
        nodes.lose()
        nodes.enter(LIFE, 99)
        for position, there in ((9, 0), (10, 1)):
            nodes.heard("a", LIFE, {"b": (self.says(position), 0.0)})
            assert nodes.wait(4, 0)[0] == there
        later = Life("abc", "later")
        nodes.enter(later, 10)
        nodes.sent(Sent(4, offered=True, before=4), 11)
        for life, there in ((LIFE, 0), (later, 1)):
            nodes.heard("a", later, {"b": (self.says(99, life=life), 0.0)})
            assert nodes.wait(4, 0)[0] == there
        for number in range(2 * REMEMBERED):
            nodes.sent(Sent(number, offered=True, before=0), number)
        assert nodes.wait(1, 0)[0] == 0

    def test_what_was_sent_before_a_restart_is_at_most_at_the_newest_position(self, nodes: Nodes) -> None:
        """Its own is not remembered."""
        later = Life("abc", "later")
        nodes.enter(later, 10)
        nodes.sent(Sent(4, offered=True, before=4), None)
        for position, there in ((9, 0), (10, 1)):
            nodes.heard("a", later, {"b": (self.says(position, life=later), 0.0)})
            assert nodes.wait(4, 0)[0] == there
