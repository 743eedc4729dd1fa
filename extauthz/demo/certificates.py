"""Throw-away certificates for the demo's TLS edge: an authority, a server and a client, valid for a day."""

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
        .sign(authority_key, hashes.SHA256())
    )
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
    )


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
