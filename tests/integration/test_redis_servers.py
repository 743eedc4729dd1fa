"""Two whole servers on one Redis, with workers of their own: no stale allow after a receipt, none without Redis."""

from __future__ import annotations

import time
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.link.caller import LinkCaller
from tests.integration.running import seconds_of_patience
from tests.integration.supervised import Supervised, supervised
from tests.integration.test_redis_replication import in_words
from tests.integration.test_zero_stale import (
    PATIENCE,
    POLICY,
    Counts,
    ask_all,
    claims_of,
    question,
    revoke,
    revoke_everywhere,
    under_load,
)
from tests.simulators.grpc_client import outcome_of
from tests.simulators.machines import KEY
from tests.simulators.redis import COMMAND_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.simulators.redis import RedisServer

STALENESS = 5.0


@pytest.fixture
def servers(tmp_path: Path, redis_server: RedisServer) -> Iterator[list[Supervised]]:
    """Yield two servers that know of one another."""
    redis = {
        "url": redis_server.url,
        "password_file": str(redis_server.password_file),
        "timeout": COMMAND_SECONDS,
    }
    folders = [tmp_path / name for name in ("one", "two")]
    changes: list[dict[str, Any]] = []
    for workers, folder in enumerate(folders, 1):
        folder.mkdir()
        (key := folder / "shared.key").write_text(KEY)
        key.chmod(0o600)
        state = {"path": str(folder / "s.db"), "key_file": str(key), "max_staleness": STALENESS, "redis": redis}
        changes.append({"server": {"workers": workers, "drain": 1, "deadline": 15}, "state": state})
    with (
        supervised(folders[0], policy=POLICY, **changes[0]) as one,
        supervised(folders[1], policy=POLICY, **changes[1]) as two,
    ):
        both = [one, two]
        for server in both:
            seconds_of_patience(partial(are_allowed, server, 10**7))
            seconds_of_patience(partial(has_replica, server))
        yield both


def ask(server: Supervised, number: int) -> list[tuple[int, str]]:
    """Return what every worker of a server answers to a caller."""
    raw = question(server.maker.mint(now=time.time() - 2, **claims_of(number)))
    return [outcome_of(answer) for answer in ask_all(server, raw)]


def are_allowed(server: Supervised, number: int) -> bool:
    """Return whether every worker lets a caller through."""
    return ask(server, number) == [(200, "allowed")] * len(server.askers)


def is_stale(server: Supervised) -> bool:
    """Return whether every worker says that it may be too old."""
    return set(ask(server, 200)) == {(503, "state_stale")}


def has_replica(server: Supervised) -> bool:
    """Return whether it knows of the other."""
    with operator_of(server) as operator:
        return bool(revoke(operator, 10**8)["of_replicas"] == 1)


def is_confirmed_here_alone(server: Supervised, number: int) -> bool:
    """Return whether the receipt for a revocation says that it is in force there, and nowhere else."""
    with operator_of(server) as operator:
        receipt = revoke(operator, number)
    assert receipt["replicas"] == 0
    return bool(receipt["workers"] == len(server.askers))


def operator_of(server: Supervised) -> closing[LinkCaller]:
    """Return who asks a server's keeper."""
    return closing(LinkCaller(server.folder / "run" / "admin.sock", PATIENCE))


def test_two_servers(servers: list[Supervised], redis_server: RedisServer) -> None:
    """What one acknowledges no worker of the other lets through; without Redis both refuse, and recover."""
    seconds: list[float] = []
    with under_load(servers[0], loads := Counts()), under_load(servers[1], loads):
        for number in range(40):
            here, there = servers[number % 2], servers[1 - number % 2]
            assert are_allowed(there, number)
            with operator_of(here) as operator:
                receipt = revoke_everywhere(operator, number, workers=len(here.askers), replicas=1)
            assert 200 not in {status for status, _ in ask(there, number)}
            seconds.append(receipt["seconds"])
    print(f"\nto every worker of both servers, {loads.asked} other answers meanwhile: {in_words(seconds)}")  # noqa: T201 — its point
    redis_server.freeze()
    seconds_of_patience(partial(is_confirmed_here_alone, servers[0], 100))
    for server in servers:
        seconds_of_patience(partial(is_stale, server))
    redis_server.thaw()
    for server in servers:
        seconds_of_patience(partial(are_allowed, server, 200))
    seconds_of_patience(lambda: 200 not in {status for status, _ in ask(servers[1], 100)})
