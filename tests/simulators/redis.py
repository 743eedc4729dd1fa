"""Real Redis servers for tests: a process on a port of loopback, which can be killed, frozen, emptied, started again.

It writes down what it is told before it answers (`appendfsync always`), as the documentation demands. Clients that test
the outside speak through `redis-cli`, as a person would.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extauthz.config.state import RedisSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PASSWORD = "correct horse"
PATIENCE = 60.0

COMMAND_SECONDS = 5.0
"""How long those who ask it wait for an answer, unless a test says otherwise: a crowded machine is no lost Redis."""

_next_ports = count(20_000 + os.getpid() * 199 % 10_000)
"""Each port is given once, so nobody gets that of a server which is down for a while; another process of tests has
others."""


@dataclass
class RedisServer:
    """One server; `start` it, `kill` it, `freeze` it.

    Attributes:
        folder: where its data is, and its files.
        port: of loopback.
        options: further lines of its configuration.
        tls: certificate, key and authority; None for plaintext.
    """

    folder: Path
    port: int = 0
    options: Sequence[str] = ()
    tls: tuple[Path, Path, Path] | None = None
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def password_file(self) -> Path:
        """Return the file with the password that it asks for."""
        return self.folder / "password"

    @property
    def url(self) -> str:
        """Return where it is."""
        return f"redis{'s' if self.tls else ''}://127.0.0.1:{self.port}/0"

    def settings(self, **changes: Any) -> RedisSettings:
        """Return settings for it, with patience; `changes` replace some."""
        fields: dict[str, Any] = {
            "url": self.url,
            "password_file": self.password_file,
            "timeout": COMMAND_SECONDS,
            **changes,
        }
        if self.tls is not None:
            fields.setdefault("ca_file", self.tls[2])
        return RedisSettings(**fields)

    def start(self) -> None:
        """Start it, on the data that is there, and return when it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.password_file.write_text(PASSWORD + "\n")
        self.port = self.port or free_port()
        lines = [
            f"{'tls-port' if self.tls else 'port'} {self.port}",
            *(["port 0"] if self.tls else []),
            "bind 127.0.0.1",
            f'dir "{self.folder}"',
            f'requirepass "{PASSWORD}"',
            "appendonly yes",
            "appendfsync always",
            'save ""',
            "maxmemory-policy noeviction",
            *self._tls_lines(),
            *self.options,
        ]
        (self.folder / "redis.conf").write_text("\n".join(lines) + "\n")
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["redis-server", str(self.folder / "redis.conf")], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        deadline = time.monotonic() + PATIENCE
        while self.say("PING") != "PONG":
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise AssertionError((self.folder / "log").read_text())
            time.sleep(0.01)

    def stop(self) -> None:
        """End it in an orderly way; nothing when it does not run."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a loss of power would."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Let it answer nobody and refuse nobody: connections are open, and everything vanishes in them."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        deadline = time.monotonic() + PATIENCE
        while not self._has_stopped(self._process.pid):
            assert time.monotonic() < deadline
            time.sleep(0.001)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def empty(self) -> None:
        """Forget all data; it must not run."""
        assert self._process is None
        for path in sorted(self.folder.rglob("*"), reverse=True):
            if path.suffix in {".aof", ".rdb", ".manifest"}:
                path.unlink()

    def say(self, *words: str, user: str = "", password: str = PASSWORD) -> str:
        """Return what `redis-cli` prints for a command."""
        command = ["redis-cli", "--no-auth-warning", "-p", str(self.port), "-a", password]
        if user:
            command += ["--user", user]
        if self.tls is not None:
            command += ["--tls", "--cacert", str(self.tls[2]), "--cert", str(self.tls[0]), "--key", str(self.tls[1])]
        done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=PATIENCE, check=False)
        return (done.stdout + done.stderr).strip()

    def _tls_lines(self) -> list[str]:
        if self.tls is None:
            return []
        certificate, key, authority = self.tls
        return [
            f'tls-cert-file "{certificate}"',
            f'tls-key-file "{key}"',
            f'tls-ca-cert-file "{authority}"',
            "tls-auth-clients yes",
        ]

    @staticmethod
    def _has_stopped(pid: int) -> bool:
        """Return whether all threads of a process are stopped; the signal arrives a moment after it is sent."""
        states = [
            (each / "stat").read_text().rpartition(")")[2].split()[0] for each in Path(f"/proc/{pid}/task").iterdir()
        ]
        return set(states) == {"T"}

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
            process.send_signal(how)
        process.wait(PATIENCE)


@contextmanager
def serving(folder: Path, **options: Any) -> Iterator[RedisServer]:
    """Yield a server that runs, and is gone afterwards."""
    server = RedisServer(folder, **options)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def free_port() -> int:
    """Return a port that nobody listens on, below those that the system gives to clients, where it can be had."""
    for port in islice(_next_ports, 2000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError
