"""Throw-away certificates for the demo's TLS edge: an authority, a server and a client, valid for a day.

They carry the key identifiers and key usages of RFC 5280 sections 4.2.1.1 to 4.2.1.3: Python 3.13 and later refuse a
server without them.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.clock import Instant

CLIENT_NAME: Final = "spiffe://example.com/reporting"
"""URI name of the demo client's certificate."""

_HOSTS: Final = ("api.example.com", "localhost")
_DAY: Final = dt.timedelta(days=1)
_SKEW: Final = dt.timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths of PEM files; the names are those that `envoy/hardened.yaml` expects."""

    folder: Path

    @property
    def authority(self) -> Path:
        """Return the authority that signed both certificates."""
        return self.folder / "clients-ca.pem"

    @property
    def client(self) -> tuple[Path, Path]:
        """Return the client's certificate and key."""
        return self.folder / "client.pem", self.folder / "client.key"


def make_certificates(folder: Path, now: Instant) -> TlsFiles:
    """Write fresh certificates and keys into `folder`."""
    start = dt.datetime.fromtimestamp(now, dt.UTC)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "extauthz demo authority")])
    authority = (
        _builder(authority_name, authority_name, authority_key.public_key(), start)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(is_authority=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    signed_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    folder.mkdir(parents=True, exist_ok=True)
    files = TlsFiles(folder)
    files.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    server_names: list[x509.GeneralName] = [x509.DNSName(host) for host in _HOSTS]
    server_names.append(x509.IPAddress(IPv4Address("127.0.0.1")))
    client_names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(CLIENT_NAME)]
    for stem, names in (("server", server_names), ("client", client_names)):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"extauthz demo {stem}")])
        certificate = (
            _builder(subject, authority_name, key.public_key(), start)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(signed_by, critical=False)
            .add_extension(_usage(is_authority=False), critical=True)
            .sign(authority_key, hashes.SHA256())
        )
        (folder / f"{stem}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        _write_key(folder / f"{stem}.key", key)
    return files


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, start: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - _SKEW)
        .not_valid_after(start + _DAY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
