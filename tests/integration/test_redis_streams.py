"""What one machine hears of a stream of signals counts on the others. Real servers, real files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from extauthz.clock import Instant, SystemClock
from extauthz.keeper.redis_rows import shared_seal
from extauthz.keeper.redis_streams import write_stream
from extauthz.server.freshness import Expected
from tests.integration.test_redis_forgery import add_entry, read_on
from tests.simulators.machines import ISSUER, KEY, Machine, meet, revocation, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.simulators.redis import RedisServer

OTHER_KEY = "00" * 32
STREAM = Expected(name="idp", issuers=frozenset({ISSUER}), max_silence=600.0)


@pytest.fixture
def hearers(tmp_path: Path, redis_server: RedisServer, patient: None) -> Iterator[tuple[Machine, Machine]]:
    """Yield two machines that expect to be told by the stream `idp`, and know of one another."""
    del patient
    one, two = (Machine(tmp_path / name, redis_server, expected=(STREAM,)) for name in ("one", "two"))
    with running(one, two):
        meet(one, two)
        yield one, two


def now() -> Instant:
    """Return the time of all machines."""
    return SystemClock().now()


def forge(server: RedisServer, status: str | None, key: str, at: Instant) -> None:
    """Write a row with redis-cli, where those who begin and those who follow read it."""
    incarnation = server.say("GET", "extauthz:incarnation")
    row = write_stream("idp", status, at, shared_seal(bytes.fromhex(key), incarnation), incarnation)
    server.say("HSET", "extauthz:streams", row.field, row.text.decode())
    add_entry(server, "streams", row.text.decode())


def test_a_stream_that_one_machine_hears_is_heard_by_the_other(hearers: tuple[Machine, Machine]) -> None:
    """Which had nobody to tell it anything; and by one that comes later."""
    one, two = hearers
    assert not one.hears()
    assert not two.hears()
    one.keeper.heard("idp", now())
    assert two.comes_to(two.hears)
    two.stop()
    two.path.unlink()
    two.start()
    assert two.comes_to(two.hears)
    assert one.alarms == two.alarms == []


def test_a_stream_that_is_paused_on_one_machine_is_silent_on_the_other(hearers: tuple[Machine, Machine]) -> None:
    """Until it goes on, whichever machine is told so; what both say is not sent to and fro."""
    one, two = hearers
    one.keeper.heard("idp", now())
    assert two.comes_to(two.hears)
    one.keeper.set_stream_status("idp", "paused", now())
    assert two.comes_to(lambda: not two.hears())
    two.keeper.set_stream_status("idp", "enabled", now())
    assert one.comes_to(lambda: one.hears() and two.hears())
    assert one.server.say("XLEN", "extauthz:journal") == "4"


@pytest.mark.parametrize(("key", "counts"), [(OTHER_KEY, False), (KEY, True)], ids=["forged", "control"])
def test_that_a_stream_was_heard_is_believed_of_who_has_the_key(
    hearers: tuple[Machine, Machine], key: str, *, counts: bool
) -> None:
    """Nobody else can make a stream seem alive; the control has the right key and nothing else that is different."""
    one, two = hearers
    forge(one.server, None, key, now())
    if counts:
        assert one.comes_to(lambda: one.hears() and two.hears())
        assert one.alarms == two.alarms == []
    else:
        assert one.comes_to(lambda: len(one.alarms) == len(two.alarms) == 1)
        read_on(hearers)
        assert not one.hears()
        assert not two.hears()


@pytest.mark.parametrize(("key", "counts"), [(OTHER_KEY, False), (KEY, True)], ids=["forged", "control"])
def test_that_a_stream_has_stopped_is_believed_of_who_has_the_key(
    hearers: tuple[Machine, Machine], key: str, *, counts: bool
) -> None:
    """Somebody who writes to Redis does not stop all callers."""
    one, two = hearers
    one.keeper.heard("idp", now())
    assert two.comes_to(two.hears)
    forge(one.server, "paused", key, now())
    if counts:
        assert one.comes_to(lambda: not one.hears() and not two.hears())
        assert one.alarms == two.alarms == []
    else:
        assert one.comes_to(lambda: len(one.alarms) == len(two.alarms) == 1)
        read_on(hearers)
        assert one.hears()
        assert two.hears()


def test_an_empty_redis_is_told_again(hearers: tuple[Machine, Machine]) -> None:
    """So that who comes later hears too."""
    one, two = hearers
    one.keeper.heard("idp", now())
    assert two.comes_to(two.hears)
    one.server.say("FLUSHALL")
    assert one.comes_to(lambda: one.server.say("HLEN", "extauthz:streams") == "1")


def test_what_somebody_writes_into_the_file_is_not_told_under_our_seal(hearers: tuple[Machine, Machine]) -> None:
    """Its rows have no MAC; the control is what the keeper itself has heard."""
    one, two = hearers
    with one.keeper.writing() as writing:
        writing.connection.execute("INSERT INTO streams (name, heard_at) VALUES ('idp', ?)", (float(now()),))
    assert one.hears()
    # Streams are told after what was revoked, so all that is told with the first is there with the second.
    assert one.revoke("bob").replicas == 1
    assert one.revoke("carol").replicas == 1
    assert not two.hears()
    one.keeper.heard("idp", now())
    assert two.comes_to(two.hears)


def test_that_a_stream_was_heard_is_told_after_what_was_heard(hearers: tuple[Machine, Machine]) -> None:
    """A machine that says it knows what the stream said knows it, however much there is to tell before."""
    one, two = hearers
    at = now()
    one.keeper.take_over([revocation(f"user {number}", at) for number in range(600)], own=True)
    one.keeper.heard("idp", at)
    seen: list[int] = []

    def knows() -> bool:
        heard = two.hears()
        seen.append(len(two.found("user 599")))
        return heard

    assert two.comes_to(knows)
    assert seen[-1] == 1
