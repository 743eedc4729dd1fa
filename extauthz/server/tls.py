"""TLS of a listener, with certificates that are read again when their files change."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import grpc
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from extauthz.errors import ConfigError, Problem

if TYPE_CHECKING:
    from extauthz.config.settings import TlsSettings

_log = structlog.get_logger(__name__)

_Material = tuple[bytes, bytes, bytes | None]


def server_credentials(tls: TlsSettings) -> grpc.ServerCredentials:
    """Return credentials whose files are looked at on every handshake.

    With `client_ca` a client certificate is required and verified: never asked for and ignored.

    Raises:
        ConfigError: a file is missing, or certificate and key do not fit together.
    """
    certificates = _Certificates(tls)
    return grpc.dynamic_ssl_server_credentials(
        certificates.current(),
        certificates.newer,  # type: ignore[arg-type]  # None means unchanged; the stubs forget it
        require_client_authentication=tls.client_ca is not None,
    )


class _Certificates:
    """The certificate files, as they were when they last made sense."""

    def __init__(self, tls: TlsSettings) -> None:
        self._tls = tls
        self._lock = threading.Lock()
        self._signature = _signature(tls)
        self._material = _load(tls)

    def current(self) -> grpc.ServerCertificateConfiguration:
        """Return what gRPC shows to clients."""
        key, chain, client_ca = self._material
        return grpc.ssl_server_certificate_configuration([(key, chain)], root_certificates=client_ca)

    def newer(self) -> grpc.ServerCertificateConfiguration | None:
        """Return the changed certificates, or None when nothing changed; gRPC asks on every handshake.

        Files that do not make sense, for instance because only one of them has been replaced yet, are not taken over.
        """
        with self._lock:
            signature = _signature(self._tls)
            if signature == self._signature:
                return None
            try:
                material = _load(self._tls)
            except ConfigError as error:
                _log.error("certificate files rejected; the earlier ones stay in use", problems=str(error))
                self._signature = signature
                return None
            self._signature = signature
            if material == self._material:
                return None
            self._material = material
            _log.info("certificate replaced", certificate=str(self._tls.certificate))
            return self.current()


def _signature(tls: TlsSettings) -> tuple[object, ...]:
    """Return what changes when a file changes: identity, size and time of each."""
    seen: list[object] = []
    for path in (tls.certificate, tls.key, tls.client_ca):
        if path is None:
            continue
        try:
            status = path.stat()
        except OSError:
            seen.append(None)
        else:
            seen.append((status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(seen)


def _load(tls: TlsSettings) -> _Material:
    problems: list[Problem] = []
    contents: list[bytes] = []
    for path in (tls.key, tls.certificate, tls.client_ca):
        try:
            contents.append(path.read_bytes() if path is not None else b"")
        except OSError as error:
            problems.append(Problem(str(path), 0, 0, f"cannot be read: {error.strerror}"))
    if problems:
        raise ConfigError(problems)
    key, chain, client_ca = contents
    _judge_pair(tls, key, chain)
    if tls.client_ca is not None:
        _judge_authorities(tls, client_ca)
    return key, chain, client_ca or None


def _judge_pair(tls: TlsSettings, key: bytes, chain: bytes) -> None:
    try:
        ours = x509.load_pem_x509_certificate(chain).public_key()
        theirs = load_pem_private_key(key, None).public_key()
    except (ValueError, TypeError) as error:
        message = "the certificate or its key is not PEM, or the key is encrypted"
        raise ConfigError([Problem(str(tls.certificate), 0, 0, message)]) from error
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if ours.public_bytes(*form) != theirs.public_bytes(*form):
        raise ConfigError([Problem(str(tls.key), 0, 0, f"this is not the key of {tls.certificate}")])


def _judge_authorities(tls: TlsSettings, raw: bytes) -> None:
    try:
        found = x509.load_pem_x509_certificates(raw)
    except ValueError:
        found = []
    if not found:
        raise ConfigError([Problem(str(tls.client_ca), 0, 0, "no PEM certificate in it")])
