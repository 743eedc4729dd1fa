"""Throw-away certificates."""

from __future__ import annotations

import ssl
import stat
from typing import TYPE_CHECKING

from cryptography import x509

from extauthz.clock import SystemClock
from extauthz.demo.certificates import CLIENT_NAME, make_certificates

if TYPE_CHECKING:
    from pathlib import Path


def test_certificates_load_and_verify(tmp_path: Path) -> None:
    """The files form a chain: server and client certificate are signed by the written authority."""
    files = make_certificates(tmp_path / "tls", SystemClock().now())
    context = ssl.create_default_context(cafile=str(files.authority))
    context.load_cert_chain(*files.client)
    authority = x509.load_pem_x509_certificate(files.authority.read_bytes())
    for stem in ("server", "client"):
        certificate = x509.load_pem_x509_certificate((files.folder / f"{stem}.pem").read_bytes())
        certificate.verify_directly_issued_by(authority)
        assert stat.S_IMODE((files.folder / f"{stem}.key").stat().st_mode) == 0o600


def test_client_certificate_names_the_workload(tmp_path: Path) -> None:
    """The client's certificate has exactly one URI name."""
    files = make_certificates(tmp_path, SystemClock().now())
    certificate = x509.load_pem_x509_certificate(files.client[0].read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [CLIENT_NAME]
