"""202 means that nothing can be lost any more: killed right after it, and watched at its system calls."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from tests.integration.running import seconds_of_patience, settings
from tests.integration.signalled import ALLOWED, POLICY, REVOKED, signal_settings
from tests.integration.supervised import supervised
from tests.simulators.envoy_messages import check_request
from tests.simulators.grpc_client import client, outcome_of
from tests.simulators.keyhost import KeyHost
from tests.simulators.tokens import TokenMaker
from tests.simulators.transmitter import Transmitter, push

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS: Final = 60.0
PRODUCT: Final = "extauthz"
CARELESS: Final = "tests.simulators.careless_server"
WATCHED: Final = "fsync,fdatasync,write,sendto,sendmsg,recvfrom,read"
_SYNC: Final = re.compile(r"(\d+) +f(?:data)?sync\(\d+<([^>]*)>(?:\) += 0| <unfinished)")
"""A file is synced, or is about to be; the thread does nothing else before it is."""
PUSHED: Final = (re.compile(r'(\d+) .*"POST /events/'), re.compile(r'(\d+) .*"HTTP/1\.1 202 '))
"""What the receiver reads, and how it confirms it."""
HANDED_ON: Final = (re.compile(r'(\d+) .*"op\\":\\"event'), re.compile(r'(\d+) .*status\\":\\"accepted'))
"""What the keeper's process reads from the receiver's, and how it confirms it."""


@dataclass
class Server:
    """A started server.

    Attributes:
        child: the process.
        log: what it prints.
        maker: of the callers' tokens.
        transmitter: whom it hears.
    """

    child: subprocess.Popen[bytes]
    log: Path
    maker: TokenMaker
    transmitter: Transmitter

    def found(self, pattern: str) -> str:
        """Return what it prints, once it does."""
        seconds_of_patience(lambda: re.search(pattern, self.log.read_text()) or self.child.poll() is not None, SECONDS)
        match = re.search(pattern, self.log.read_text())
        assert match, self.log.read_text()
        return match[1]

    @property
    def receiver(self) -> str:
        """Return where events are pushed to, when all of it has started."""
        self.found(r"  (metrics) ")
        return self.found(r"events are taken +address=(\S+)")

    def revoke(self, subject: str) -> int:
        """Push an event about somebody, again where it could not be taken in time; return the status."""
        now = time.time()
        named = {"format": "iss_sub", "iss": self.maker.issuer, "sub": subject}
        event = self.transmitter.event(subject=named, now=now, payload={"event_timestamp": int(now)}, jti=subject)
        statuses = (push(self.receiver, event).status for _ in range(5))
        return next((status for status in statuses if status != 503), 503)

    def outcome(self, subject: str) -> tuple[int, str]:
        """Return what becomes of a request of somebody whose token is older than any event here."""
        now = time.time() - 300
        token = self.maker.mint(now=now, lifetime=3600, sub=subject, kind="user")
        with client(self.found(r"listening +(\S+) ")) as asker:
            headers = {"authorization": f"Bearer {token}"}
            return outcome_of(asker.ask(check_request(path="/things/7", headers=headers)))


@dataclass
class Place:
    """A folder with settings, and the world around the server."""

    folder: Path
    transmitter: Transmitter
    maker: TokenMaker

    @contextmanager
    def serve(self, program: str = PRODUCT) -> Iterator[Server]:
        """Yield a server; it is killed at the end, if not before."""
        command = [sys.executable, "-m", program, "serve", "--config", str(self.folder / "settings.yaml")]
        with (log := self.folder / "log").open("wb") as stderr:
            child = subprocess.Popen(command, stderr=stderr, stdout=stderr, env={**os.environ, "PYTHONUNBUFFERED": "1"})
        try:
            yield Server(child, log, self.maker, self.transmitter)
        finally:
            child.kill()
            child.wait(SECONDS)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Return a place where nothing runs yet."""
    maker = TokenMaker()
    host = KeyHost(maker.jwks())
    (tmp_path / "policy.yaml").write_text(POLICY)
    with Transmitter() as transmitter:
        found = signal_settings(tmp_path, transmitter, pushes=True, verify_every=None)
        (tmp_path / "settings.yaml").write_text(json.dumps(settings(tmp_path, host.url, **found)))
        yield Place(tmp_path, transmitter, maker)
    host.stop()


def test_what_was_confirmed_survives_a_kill_right_after(place: Place) -> None:
    """After the next start it is in force."""
    with place.serve() as server:
        assert server.receiver
        assert server.revoke("killed") == 202
        server.child.kill()
    with place.serve() as server:
        assert server.receiver
        assert server.outcome("killed") == REVOKED
        assert server.outcome("alive") == ALLOWED


@contextmanager
def watching(process: int, into: Path) -> Iterator[None]:
    """Write the system calls of all threads of a process into a file, from the block's beginning to its end.

    Where a process must not be watched, or strace is missing, this fails: `make tools` gets strace, and a container
    needs the capability SYS_PTRACE.
    """
    command = ["strace", "-f", "-p", str(process), "-e", f"trace={WATCHED}", "-s", "48", "-y", "-o", str(into)]
    with (into.with_suffix(".log")).open("wb+") as told:
        watcher = subprocess.Popen(command, stderr=told)
        try:
            log = into.with_suffix(".log")
            seconds_of_patience(lambda: b" attached" in log.read_bytes() or watcher.poll() is not None, SECONDS)
            assert watcher.poll() is None, log.read_text()
            yield
        finally:
            if watcher.poll() is None:
                watcher.send_signal(signal.SIGINT)
            watcher.wait(SECONDS)


def unsynced(calls: str, wire: tuple[re.Pattern[str], re.Pattern[str]]) -> list[bool]:
    """Return for each confirmation whether its thread had not synced the state since it read the event."""
    asked, confirmed = wire
    synced: dict[str, bool] = {}
    found: list[bool] = []
    for line in calls.splitlines():
        if match := asked.match(line):
            synced[match[1]] = False
        elif (match := _SYNC.match(line)) and "/state.db" in match[2]:
            synced[match[1]] = True
        elif match := confirmed.match(line):
            found.append(not synced.get(match[1], False))
    return found


@pytest.mark.parametrize(("program", "careful"), [(PRODUCT, True), (CARELESS, False)])
def test_the_state_is_synced_before_every_202(place: Place, program: str, *, careful: bool) -> None:
    """By the thread that answers, after it has read the event; the control is a server that does not sync."""
    calls = place.folder / "calls"
    with place.serve(program) as server:
        receiver = server.receiver
        assert receiver
        with watching(server.child.pid, calls):
            assert [server.revoke(f"synced-{number}") for number in range(5)] == [202] * 5
    seen = calls.read_text()
    assert unsynced(seen, PUSHED) == [not careful] * 5, seen[-2000:]


@pytest.mark.long
def test_the_keepers_process_syncs_the_state_before_it_confirms(place: Place) -> None:
    """With several processes: what the receiver's confirms, the keeper's had confirmed to it."""
    calls = place.folder / "calls"
    found = signal_settings(place.folder, place.transmitter, pushes=True, verify_every=None)
    with supervised(place.folder, policy=POLICY, **found) as server:
        taken = re.compile(r"events are taken +address=(\S+)")
        seconds_of_patience(lambda: taken.search(server.printed))
        where = taken.search(server.printed)
        assert where
        with watching(server.pid_of("keeper"), calls):
            for number in range(5):
                named = {"format": "iss_sub", "iss": place.maker.issuer, "sub": f"person-{number}"}
                event = place.transmitter.event(subject=named, now=time.time(), jti=f"event-of-{number}")
                assert push(where[1], event).status == 202
    seen = calls.read_text()
    assert unsynced(seen, HANDED_ON) == [False] * 5, seen[-3000:]
