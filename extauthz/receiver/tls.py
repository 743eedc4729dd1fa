"""TLS of the receiver, with a certificate that is read again when its files change."""

from __future__ import annotations

import ssl
import threading
from typing import TYPE_CHECKING

import structlog

from extauthz.errors import ConfigError, Problem

if TYPE_CHECKING:
    from pathlib import Path

_log = structlog.get_logger(__name__)


class ReceiverTls:
    """The certificate files, as they were when they last made sense. Use it from any thread.

    Args:
        certificate: PEM file with our certificate and its chain.
        key: PEM file with its private key.

    Raises:
        ConfigError: the files make no sense.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = (certificate, key)
        self._lock = threading.Lock()
        self._seen = self._look()
        self._context = self._load()

    def context(self) -> ssl.SSLContext:
        """Return what the next connection is served by.

        Files that make no sense, for instance because only one has been replaced yet, are not taken over.
        """
        with self._lock:
            seen = self._look()
            if seen != self._seen:
                self._seen = seen
                self._replace()
            return self._context

    def _replace(self) -> None:
        try:
            self._context = self._load()
        except ConfigError as error:
            _log.error("certificate of the receiver rejected; the earlier one stays in use", problems=str(error))
        else:
            _log.info("certificate of the receiver replaced", certificate=str(self._files[0]))

    def _look(self) -> tuple[object, ...]:
        """Return what changes when a file does."""
        seen: list[object] = []
        for path in self._files:
            try:
                status = path.stat()
            except OSError:
                seen.append(None)
            else:
                seen.append((status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))
        return tuple(seen)

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        certificate, key = self._files
        try:
            # Without a password of its own an encrypted key would have the process ask for one on the terminal.
            context.load_cert_chain(certificate, key, password="")
        except (OSError, ssl.SSLError, ValueError) as error:
            message = f"certificate and key of the receiver cannot be used ({type(error).__name__})"
            fix = f"check that both are PEM, the key is not encrypted, and that it is the certificate's: {key}"
            raise ConfigError([Problem(str(certificate), 0, 0, message, fix)]) from None
        return context
