"""Client certificates as texts → `PeerCertificate`, in one reading or not at all. Nothing here is a proof.

Envoy hands certificates over as URL-encoded PEM. A text that is not exactly that is refused, and so is a certificate
whose names or extensions cannot be read: what cannot be read cannot be compared. Whether the certificate is good for
anything is decided by `workload.py` and `binding.py`.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from extauthz.clock import Instant
from extauthz.errors import Refusal
from extauthz.limits import MAX_CERTIFICATE_BYTES, MAX_CHAIN_CERTIFICATES
from extauthz.model.reason import Reason

if TYPE_CHECKING:
    from datetime import datetime

_BLOCK: Final = re.compile(
    rb"-----BEGIN CERTIFICATE-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END CERTIFICATE-----(?:\r?\n)*+"
)
"""One certificate as PEM (RFC 7468 section 5), without any text round it."""

_LONGEST_TEXT: Final = 6 * MAX_CERTIFICATE_BYTES
"""Characters of one certificate as URL-encoded PEM: base64 takes four for three bytes, an encoded line break three."""

_REMEMBERED: Final = 512
"""Certificates kept in memory, by their whole text. They are public, and few connections show a new one."""

_FOR_CLIENTS: Final = frozenset({ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})
_CONTROL: Final = re.compile("[\x00-\x1f\x7f]")

_UNREADABLE: Final = "Connect with a certificate that follows RFC 5280."
_FAULTS: Final = (
    ValueError,
    TypeError,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What reading a hostile certificate raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerCertificate:
    """One certificate, read.

    Attributes:
        thumbprint: SHA-256 of the DER in base64url without padding, as in `x5t#S256` (RFC 8705 section 3.1).
        fingerprint: the same in hexadecimal, as Envoy and people write it.
        uris: URI names (subjectAltName), as they stand there.
        dns_names: DNS names, in lower case.
        subject: distinguished name by RFC 4514; empty when it has none.
        not_before: first instant of its validity.
        not_after: last instant of its validity.
        is_authority: whether it may sign other certificates, by `cA` or by its key usage.
        for_clients: whether its extended key usage, if it has one, names clients.
        parsed: for chain verification.
    """

    thumbprint: str
    fingerprint: str
    uris: tuple[str, ...]
    dns_names: tuple[str, ...]
    subject: str
    not_before: Instant
    not_after: Instant
    is_authority: bool
    for_clients: bool
    parsed: x509.Certificate = field(repr=False, compare=False)


@lru_cache(maxsize=_REMEMBERED)
def read_certificate(text: str) -> PeerCertificate:
    """Return the certificate in a text that holds exactly one, as URL-encoded PEM.

    Raises:
        Refusal: `credentials_malformed`.
    """
    if len(text) > _LONGEST_TEXT:
        _refuse("longer than a certificate may be")
    ders = _decode(text)
    if len(ders) != 1:
        _refuse("several certificates where there is one")
    return _read(ders[0])


@lru_cache(maxsize=_REMEMBERED)
def read_chain(text: str) -> tuple[PeerCertificate, ...]:
    """Return the certificates in a text that holds at least one, as URL-encoded PEM, in that order.

    Raises:
        Refusal: `credentials_malformed`.
    """
    if len(text) > _LONGEST_TEXT * MAX_CHAIN_CERTIFICATES:
        _refuse("longer than a chain may be")
    return tuple([_read(der) for der in _decode(text)])


def to_thumbprint(digest: bytes) -> str:
    """Return the SHA-256 digest of a certificate as `x5t#S256` has it."""
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def _decode(text: str) -> tuple[bytes, ...]:
    """Return the DER of each certificate in `text`."""
    # Not `unquote_plus`: base64 has plus signs.
    pem = unquote_to_bytes(text)
    ders: list[bytes] = []
    at = 0
    while at < len(pem) or not ders:
        block = _BLOCK.match(pem, at)
        if block is None or len(ders) == MAX_CHAIN_CERTIFICATES:
            _refuse("not PEM, or too many certificates")
        at = block.end()
        try:
            ders.append(a2b_base64(block[1].replace(b"\n", b"").replace(b"\r", b""), strict_mode=True))
        except Base64Error:
            _refuse("not base64")
    return tuple(ders)


def _read(der: bytes) -> PeerCertificate:
    if len(der) > MAX_CERTIFICATE_BYTES:
        _refuse("larger than a certificate may be")
    try:
        return _to_peer(x509.load_der_x509_certificate(der), der)
    except _FAULTS as error:
        _refuse(f"unreadable: {type(error).__name__}")


def _to_peer(parsed: x509.Certificate, der: bytes) -> PeerCertificate:
    extensions = parsed.extensions
    uris: tuple[str, ...] = ()
    dns_names: tuple[str, ...] = ()
    is_authority, for_clients = False, True
    for extension in extensions:
        value = extension.value
        if isinstance(value, x509.SubjectAlternativeName):
            uris = tuple(value.get_values_for_type(x509.UniformResourceIdentifier))
            dns_names = tuple(name.lower() for name in value.get_values_for_type(x509.DNSName))
        elif isinstance(value, x509.BasicConstraints):
            is_authority |= value.ca
        elif isinstance(value, x509.KeyUsage):
            is_authority |= value.key_cert_sign or value.crl_sign
        elif isinstance(value, x509.ExtendedKeyUsage):
            for_clients = not _FOR_CLIENTS.isdisjoint(value)
    subject = parsed.subject.rfc4514_string()
    if any(_CONTROL.search(name) for name in (*uris, *dns_names, subject)):
        _refuse("control character in a name")
    digest = sha256(der).digest()
    return PeerCertificate(
        thumbprint=to_thumbprint(digest),
        fingerprint=digest.hex(),
        uris=uris,
        dns_names=dns_names,
        subject=subject,
        not_before=_instant(parsed.not_valid_before_utc),
        not_after=_instant(parsed.not_valid_after_utc),
        is_authority=is_authority,
        for_clients=for_clients,
        parsed=parsed,
    )


def _instant(moment: datetime) -> Instant:
    return Instant(moment.timestamp())


def _refuse(inner: str) -> NoReturn:
    raise Refusal(Reason.CREDENTIALS_MALFORMED, _UNREADABLE, inner=f"certificate: {inner}")
