"""The endpoint that transmitters push events to (RFC 8935): what it is made of, and when it serves.

What it does with a connection stands in `push_http.py`. It has no key, no state and no say; what it holds is a secret
for each stream that it can be pushed to. So it can be open to the network, in a process of its own.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import structlog

from extauthz.errors import ConfigError, FetchError, Problem
from extauthz.receiver.authorization import AuthorizationFile
from extauthz.receiver.push_http import PushServer, Terms
from extauthz.receiver.tls import ReceiverTls
from extauthz.server.listen import Address, parse_address

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from extauthz.clock import Clock
    from extauthz.config.settings import Settings
    from extauthz.config.signals import ReceiverSettings
    from extauthz.receiver.desk import Desk

_log = structlog.get_logger(__name__)

REQUEST_SECONDS: Final = 10.0
"""From the connection to the request's last byte; a transmitter sends one or two packets."""

_STOP_SECONDS: Final = 0.05
_DRAIN_SECONDS: Final = 5.0


def push_streams(settings: Settings) -> dict[str, Path]:
    """Return the streams that are pushed, and where their transmitters' `Authorization` is. None: no receiver."""
    streams = settings.signals.streams
    return {stream.name: stream.push.authorization_file for stream in streams if stream.push is not None}


class PushReceiver:
    """Serves on threads of its own.

    Args:
        settings: where, and how many at once.
        authorizations: name of each stream that is pushed → file with its `Authorization`.
        desk: takes events.
        clock: only its monotonic side is read.
        plaintext_beyond_loopback: whether an address that others reach may be without TLS.
        request_seconds: time for one request.

    Raises:
        ConfigError: the address is wrong, taken, or plaintext for all to read; or a file cannot be used.
    """

    def __init__(  # noqa: PLR0913 — each is an argument of its own
        self,
        settings: ReceiverSettings,
        authorizations: Mapping[str, Path],
        desk: Desk,
        clock: Clock,
        *,
        plaintext_beyond_loopback: bool = False,
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        place = _judged_place(settings, plaintext_allowed=plaintext_beyond_loopback)
        self._streams = sorted(authorizations)
        files = {name: AuthorizationFile(path) for name, path in authorizations.items()}
        for name, file in files.items():
            _require_readable(name, file)
        tls = None
        if settings.certificate is not None and settings.key is not None:
            tls = ReceiverTls(settings.certificate, settings.key)
        terms = Terms(files=files, desk=desk, clock=clock, request_seconds=request_seconds)
        try:
            self._server = PushServer(place, settings.max_connections, terms, tls)
        except OSError as error:
            problem = Problem("signals.receiver.address", 0, 0, f"cannot listen on {place}: {error.strerror}")
            raise ConfigError([problem]) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_STOP_SECONDS,), name="receiver", daemon=True
        )

    @property
    def address(self) -> str:
        """Return the bound address."""
        host, port, *_ = self._server.server_address
        return str(Address(host=str(host), port=int(port)))

    def start(self) -> None:
        """Serve."""
        self._thread.start()
        _log.info("events are taken", address=self.address, streams=self._streams)

    def check(self, within: float) -> str:
        """Return what is wrong, empty when connections are being accepted.

        Args:
            within: seconds in which it must have been busy with that.
        """
        if not self._thread.is_alive():
            return "the receiver has stopped"
        return "" if self._server.idle() <= within else "the receiver accepts no connections"

    def stop(self, drain: float = _DRAIN_SECONDS) -> None:
        """Take no more events; those under way have `drain` seconds. What is not confirmed is sent again."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._server.drain(drain)


def _judged_place(settings: ReceiverSettings, *, plaintext_allowed: bool) -> Address:
    where = "signals.receiver.address"
    place = parse_address(settings.address)
    if place.path is not None:
        raise ConfigError([Problem(where, 0, 0, "not a TCP address", "write 127.0.0.1:9290")])
    if settings.certificate is None and not place.is_local and not plaintext_allowed:
        fix = "give certificate and key, listen on 127.0.0.1, or set insecure.plaintext_beyond_loopback"
        raise ConfigError([Problem(where, 0, 0, "plaintext on an address others reach", fix)])
    return place


def _require_readable(name: str, file: AuthorizationFile) -> None:
    try:
        file.read()
    except FetchError as error:
        raise ConfigError([Problem(f"signals.streams: {name}", 0, 0, str(error))]) from None
