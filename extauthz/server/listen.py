"""Addresses to listen on: parsed, judged, and for Unix sockets prepared."""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import socket
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from extauthz.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extauthz.config.settings import ListenerSettings, Settings

_HOST_PORT: Final = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^\[\]:/]+)):([0-9]{1,5})")
_MAX_PORT: Final = 65535
_MAX_SOCKET_PATH: Final = 107
"""Bytes of a Unix socket's path (`sun_path` on Linux, less the final NUL)."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen.

    Attributes:
        host: IP address or name; empty for a Unix socket.
        port: 0 lets the system choose.
        path: path of the Unix socket, None for TCP.
    """

    host: str = ""
    port: int = 0
    path: Path | None = None

    def __str__(self) -> str:
        """Return the address as gRPC and the settings write it."""
        if self.path is not None:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Return whether only this machine reaches it."""
        if self.path is not None or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_address(text: str) -> Address:
    """Return the address that `host:port`, `[::1]:port` or `unix:/path` means.

    Raises:
        ConfigError: it is none of these.
    """
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if path and len(os.fsencode(path)) <= _MAX_SOCKET_PATH:
            return Address(path=Path(path))
        raise ConfigError([Problem(f"listener {text}", 0, 0, "the socket path is empty or too long", "shorten it")])
    match = _HOST_PORT.fullmatch(text)
    if match is None or int(match[3]) > _MAX_PORT:
        fix = "write 127.0.0.1:9191, [::1]:9191 or unix:/run/extauthz/check.sock"
        raise ConfigError([Problem(f"listener {text}", 0, 0, "not an address to listen on", fix)])
    return Address(host=match[1] or match[2], port=int(match[3]))


def judge_listeners(settings: Settings) -> tuple[Address, ...]:
    """Return the addresses of all listeners.

    Raises:
        ConfigError: an address is wrong, or plaintext would leave the machine without `insecure` saying so.
    """
    addresses, problems = [], []
    for listener in settings.listeners:
        try:
            addresses.append(address := parse_address(listener.address))
        except ConfigError as error:
            problems += error.problems
            continue
        if listener.tls is None and not address.is_local and not settings.insecure.plaintext_beyond_loopback:
            fix = "set `tls`, listen on 127.0.0.1, or set insecure.plaintext_beyond_loopback"
            problems.append(Problem(f"listener {address}", 0, 0, "plaintext on an address others reach", fix))
    if problems:
        raise ConfigError(problems)
    return tuple(addresses)


@contextmanager
def prepared_socket(address: Address, listener: ListenerSettings) -> Iterator[None]:
    """Make room for a Unix socket; the block binds it; then set its permissions. Does nothing for TCP.

    A socket that nobody answers is left over from an earlier run and removed; anything else that is in the way stays.
    Until its permissions are set, only we can open the new socket.

    Raises:
        ConfigError: the folder is missing or anyone may replace files in it, or the path is taken.
    """
    path = address.path
    if path is None:
        yield
        return
    _judge_folder(path)
    _remove_dead_socket(path)
    previous = os.umask(0o177)
    try:
        yield
        path.chmod(listener.socket_mode)
    finally:
        os.umask(previous)


def _judge_folder(path: Path) -> None:
    where = f"listener unix:{path}"
    try:
        mode = path.parent.stat().st_mode
    except OSError:
        raise ConfigError([Problem(where, 0, 0, "the socket's folder does not exist", "make it first")]) from None
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        message = "anyone may replace the socket: its folder is writable by all"
        raise ConfigError([Problem(where, 0, 0, message, "use a folder of its own")])


def _remove_dead_socket(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    where = f"listener unix:{path}"
    if not stat.S_ISSOCK(mode):
        raise ConfigError([Problem(where, 0, 0, "something that is not a socket has this path", "use another path")])
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        outcome = probe.connect_ex(str(path))
    if outcome != errno.ECONNREFUSED:
        raise ConfigError([Problem(where, 0, 0, "another process listens on it", "stop it or use another path")])
    path.unlink()
