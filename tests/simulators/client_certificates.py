"""Client certificates, and what proxies say about them: well-formed by default, hostile on request."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from extauthz.model.request import Headers, Request, Source
from tests.simulators.tokens import NOW

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HOUR: Final = 3600.0
XFCC: Final = "x-forwarded-client-cert"


def uri(name: str) -> x509.GeneralName:
    """Return a URI name."""
    return x509.UniformResourceIdentifier(name)


def dns(name: str) -> x509.GeneralName:
    """Return a DNS name."""
    return x509.DNSName(name)


@dataclass(frozen=True)
class Issued:
    """A certificate with its key."""

    parsed: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        """Return the certificate as PEM."""
        return self.parsed.public_bytes(Encoding.PEM)

    @property
    def encoded(self) -> str:
        """Return it as Envoy shows it: URL-encoded PEM."""
        return quote(self.pem.decode(), safe="")

    @property
    def digest(self) -> bytes:
        """Return the SHA-256 digest of its DER."""
        return hashlib.sha256(self.parsed.public_bytes(Encoding.DER)).digest()

    @property
    def thumbprint(self) -> str:
        """Return the digest as `x5t#S256` has it."""
        return base64.urlsafe_b64encode(self.digest).rstrip(b"=").decode()

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write `name.pem` and `name.key` into `folder` and return the two paths."""
        (certificate := folder / f"{name}.pem").write_bytes(self.pem)
        secret = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (key := folder / f"{name}.key").write_bytes(secret)
        return certificate, key


class Authority:
    """Signs certificates for clients.

    Args:
        name: of the authority.
        signer: who signs its own certificate; None for itself.
        now: round which its certificates are valid.
        length: path length that it is limited to; None for any.
    """

    def __init__(
        self, name: str = "clients", signer: Authority | None = None, now: float = NOW, length: int | None = None
    ) -> None:
        self._now = now
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = _name(name)
        extensions: list[x509.ExtensionType] = [x509.BasicConstraints(ca=True, path_length=length)]
        above = signer or self
        builder = _builder(self.name, above.name, self.key, now, (-24 * HOUR, 24 * HOUR), extensions)
        self.certificate = builder.sign(above.key, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        """Return the authority's certificate as PEM."""
        return self.certificate.public_bytes(Encoding.PEM)

    def issue(
        self,
        *names: x509.GeneralName,
        subject: str = "client",
        life: tuple[float, float] = (-HOUR, HOUR),
        extensions: Sequence[x509.ExtensionType] = (),
    ) -> Issued:
        """Return a new certificate for `names`; `life` counts from now, `extensions` come on top of the names."""
        key = ec.generate_private_key(ec.SECP256R1())
        named = [x509.SubjectAlternativeName(names)] if names else []
        builder = _builder(_name(subject), self.name, key, self._now, life, [*named, *extensions])
        return Issued(builder.sign(self.key, hashes.SHA256()), key)


def usage(*allowed: str) -> x509.KeyUsage:
    """Return a key usage with these bits set."""
    bits = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
        *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{bit: bit in allowed for bit in bits})


def element(issued: Issued, *more: str, cert: bool = True, digest: bool = True) -> str:
    """Return an element of `x-forwarded-client-cert` as Envoy writes it; `more` are further pairs."""
    pairs = ["By=spiffe://example.org/edge"]
    pairs += [f"Hash={issued.digest.hex()}"] if digest else []
    pairs += [f'Cert="{issued.encoded}"'] if cert else []
    return ";".join([*pairs, *more])


def request(seen: Issued | str | None = None, *forwarded: str, authorization: str = "") -> Request:
    """Return a request that came by a connection with a certificate, and with `x-forwarded-client-cert` lines."""
    lines: dict[str, tuple[str, ...]] = {XFCC: forwarded} if forwarded else {}
    if authorization:
        lines["authorization"] = (authorization,)
    shown = seen.encoded if isinstance(seen, Issued) else seen or ""
    return Request(
        method="GET",
        host="api.example.com",
        path="/",
        segments=("",),
        headers=Headers(lines, exact=True),
        source=Source(address="192.0.2.10", certificate=shown),
    )


def _builder(  # noqa: PLR0917 — what a certificate consists of
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: float,
    life: tuple[float, float],
    extensions: Sequence[x509.ExtensionType],
) -> x509.CertificateBuilder:
    first, last = (dt.datetime.fromtimestamp(now + offset, dt.UTC) for offset in life)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(first)
        .not_valid_after(last)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    return builder


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)]) if common else x509.Name([])
