"""One connection to the Redis that machines share: verified, bounded in time, and given up at the first doubt.

1. `rediss` verifies the server by the authorities of the settings, by its name; `redis` is for loopback, or where the
   operator said so. The password is read anew for each connection, so a new one needs no restart.
2. Every wait ends. After whatever goes wrong the connection is closed, since an answer that arrives late would be taken
   for that of the next command; the next command opens another, after a pause that grows and is never the same twice.
3. A server that could forget what we told it while it goes on running is refused: one that evicts keys when it is full.
4. Nothing is ever sent twice by itself: who asks knows whether that would be right.
"""

from __future__ import annotations

import ssl
from contextlib import ExitStack
from hashlib import sha1
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, cast
from urllib.parse import urlsplit

import structlog
from redis import Connection, ConnectionError, SSLConnection, TimeoutError  # noqa: A004 — the names of that library
from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError, RedisError, ResponseError

from extauthz.errors import SharedStoreError
from extauthz.server.breaker import random_share

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from extauthz.clock import Clock
    from extauthz.config.state import RedisSettings

    Word = str | bytes | int | float
    Command = tuple[Word, ...]

_log = structlog.get_logger(__name__)

FIRST_PAUSE: Final = 0.05
LAST_PAUSE: Final = 1.0
"""Seconds between attempts to connect; doubled each time, and short, since every request is refused meanwhile."""


_IN_SCRIPT: Final = "user executing the script"
"""How Redis says within a script that the ACL does not allow something."""


class Wire(Protocol):
    """What we use of the library: one connection, whose methods it does not type."""

    def pack_commands(self, commands: Sequence[Command], /) -> list[bytes]:
        """Return what is sent for commands."""
        ...

    def send_packed_command(self, command: list[bytes], /, *, check_health: bool) -> None:
        """Send that; the first time, connect before."""
        ...

    def read_response(self, *, disable_decoding: bool) -> Any:
        """Return the answer to the oldest command that has none."""
        ...

    def disconnect(self) -> None:
        """Close it."""
        ...


class Script:
    """A Lua script: Redis runs it as one, with nothing else in between.

    Args:
        text: the source.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._name = sha1(text.encode(), usedforsecurity=False).hexdigest()

    def call(self, keys: Sequence[str | bytes], *arguments: Word) -> Command:
        """Return the command that runs it; each connection has loaded it before."""
        return ("EVALSHA", self._name, len(keys), *keys, *arguments)


class Server(NamedTuple):
    """The server behind a connection.

    Attributes:
        run: names this run of the process; another one may know less than the one before.
        durable: whether it writes down what it is told (`appendonly yes`).
    """

    run: str
    durable: bool


class Backoff:
    """The pause before the next attempt.

    Args:
        jitter: returns a factor from 0.5 to 1.
    """

    def __init__(self, jitter: Callable[[], float] = random_share) -> None:
        self._jitter = jitter
        self._pause = FIRST_PAUSE

    def next_pause(self) -> float:
        """Return how many seconds to wait after one more failure."""
        pause, self._pause = self._pause, min(LAST_PAUSE, 2 * self._pause)
        return pause * self._jitter()

    def reset(self) -> None:
        """Begin with the shortest pause again: it went well."""
        self._pause = FIRST_PAUSE


class RedisConnection:
    """A connection that is opened when it is needed; for one thread at a time.

    Args:
        settings: where, and as whom.
        scripts: what may be called through it.
        clock: only its monotonic side is read.
        patience: seconds that a command may wait on purpose, besides the time for one command.
    """

    def __init__(
        self, settings: RedisSettings, scripts: Sequence[Script], clock: Clock, *, patience: float = 0.0
    ) -> None:
        self._settings = settings
        self._scripts = tuple(scripts)
        self._clock = clock
        self._patience = patience
        self._backoff = Backoff()
        self._not_before = 0.0
        self._connection: Wire | None = None
        self.server = Server("", durable=False)

    @property
    def pause(self) -> float:
        """Return how many seconds are left until the next attempt to connect; 0 when it may be made, or need not."""
        return 0.0 if self._connection is not None else max(0.0, self._not_before - self._clock.monotonic())

    def ask(self, *command: Word) -> Any:
        """Return the answer to one command.

        Raises:
            SharedStoreError: there is none, or it was refused; whether it was carried out is not known.
        """
        return self.ask_all([command])[0]

    def ask_all(self, commands: Sequence[Command]) -> list[Any]:
        """Return the answers to commands that are sent together; others may run in between.

        Raises:
            SharedStoreError: one of them has none, or was refused.
        """
        connection = self._connection or self._open()
        with ExitStack() as undo:
            undo.callback(self.close)
            try:
                answers = _exchange(connection, commands)
            except (RedisError, OSError, ValueError) as error:
                raise _to_failure(self._settings.url, error) from error
            undo.pop_all()
        return answers

    def close(self) -> None:
        """Close it; the next command opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()

    def _open(self) -> Wire:
        if self.pause:
            message = f"{self._settings.url}: it failed a moment ago; the next attempt comes in a moment"
            raise SharedStoreError(message)
        with ExitStack() as undo:
            undo.callback(self._wait_before_next)
            try:
                connection = make_connection(self._settings, self._patience)
                undo.callback(connection.disconnect)
                self.server = _greet(connection, self._scripts)
            except (RedisError, OSError, ValueError) as error:
                raise _to_failure(self._settings.url, error) from error
            undo.pop_all()
        self._backoff.reset()
        self._connection = connection
        return connection

    def _wait_before_next(self) -> None:
        self._not_before = self._clock.monotonic() + self._backoff.next_pause()


def make_connection(settings: RedisSettings, patience: float) -> Wire:
    """Return a connection that connects with its first command.

    Raises:
        SharedStoreError: a file that the settings name cannot be read.
    """
    parts = urlsplit(settings.url)
    options: dict[str, Any] = {
        "host": parts.hostname,
        "port": parts.port or 6379,
        "db": int(parts.path.strip("/") or 0),
        "username": settings.username or None,
        "password": _read_password(settings.password_file),
        "socket_timeout": settings.timeout + patience,
        "socket_connect_timeout": settings.timeout,
        "socket_keepalive": True,
        "protocol": 2,
        "driver_info": None,
    }
    plain: Any = Connection
    verified: Any = SSLConnection
    if parts.scheme == "redis":
        return cast("Wire", plain(**options))
    connection = verified(
        **options,
        ssl_ca_certs=str(settings.ca_file) if settings.ca_file is not None else None,
        ssl_certfile=str(settings.certificate) if settings.certificate is not None else None,
        ssl_keyfile=str(settings.key) if settings.key is not None else None,
        ssl_cert_reqs="required",
        ssl_check_hostname=True,
        ssl_min_version=ssl.TLSVersion.TLSv1_2,
    )
    return cast("Wire", connection)


def _greet(connection: Wire, scripts: Sequence[Script]) -> Server:
    """Load the scripts, and look at the server.

    Raises:
        SharedStoreError: it may forget what it was told.
    """
    commands: list[Command] = [("SCRIPT", "LOAD", script.text) for script in scripts]
    *_, info = _exchange(connection, [*commands, ("INFO",)])
    facts = _read_info(info)
    if facts.get("maxmemory", "0") != "0" and facts.get("maxmemory_policy") != "noeviction":
        message = "the shared Redis evicts keys when it is full; set `maxmemory-policy noeviction`"
        raise SharedStoreError(message)
    server = Server(facts.get("run_id", ""), durable=facts.get("aof_enabled") == "1")
    if not server.durable:
        _log.warning("the shared Redis may forget at a crash; set `appendonly yes` and `appendfsync always`")
    return server


def _exchange(connection: Wire, commands: Sequence[Command]) -> list[Any]:
    """Send all, read all answers; a refusal is raised when all are read."""
    connection.send_packed_command(connection.pack_commands(commands), check_health=False)
    answers: list[Any] = []
    refusal: ResponseError | None = None
    for _ in commands:
        try:
            answers.append(connection.read_response(disable_decoding=True))
        except ResponseError as error:
            refusal = refusal or error
    if refusal is not None:
        raise refusal
    return answers


def _read_info(info: object) -> dict[str, str]:
    """Return the lines `name:value` of `INFO`."""
    text = info.decode("utf-8", "replace") if isinstance(info, bytes) else ""
    return {name: value for name, _, value in (line.partition(":") for line in text.splitlines())}


def _read_password(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path}: the password for the shared Redis cannot be read; check path and rights"
        raise SharedStoreError(message) from error


def _to_failure(url: str, error: Exception) -> SharedStoreError:
    """Return what is wrong, and the fix, for the operator."""
    match error:
        case NoPermissionError() | ResponseError() if isinstance(error, NoPermissionError) or _IN_SCRIPT in str(error):
            why = "its ACL does not allow our user what we do; see docs/redis.md for the rule"
        case AuthenticationError() | AuthorizationError():
            why = "it does not accept our user and password; check `username` and `password_file`"
        case ResponseError():
            why = f"it refuses ({str(error).split(' ', 1)[0]}); see docs/redis.md"
        case TimeoutError():
            why = "it did not answer in time"
        case ConnectionError() if "certificate" in str(error).lower():
            why = "its certificate cannot be verified; check `ca_file` and the name in the URL"
        case _:
            why = f"it cannot be reached ({type(error).__name__})"
    return SharedStoreError(f"{url}: {why}")
