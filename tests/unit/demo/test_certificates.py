"""Throw-away certificates."""

from __future__ import annotations

import contextlib
import ssl
import stat
from typing import TYPE_CHECKING

from cryptography import x509

from extauthz.clock import SystemClock
from extauthz.demo.certificates import CLIENT_NAME, make_certificates

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.demo.certificates import TlsFiles


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


def test_both_ends_verify_each_other_strictly(tmp_path: Path) -> None:
    """A verifier that demands what RFC 5280 does, as Python 3.13 does unasked, takes both certificates."""
    files = make_certificates(tmp_path, SystemClock().now())
    server = _context(ssl.PROTOCOL_TLS_SERVER, files, "server")
    client = _context(ssl.PROTOCOL_TLS_CLIENT, files, "client")
    server_inbox, client_inbox = ssl.MemoryBIO(), ssl.MemoryBIO()
    caller = client.wrap_bio(client_inbox, server_inbox, server_hostname="localhost")
    called = server.wrap_bio(server_inbox, client_inbox, server_side=True)
    for end in (caller, called, caller, called):
        with contextlib.suppress(ssl.SSLWantReadError):
            end.do_handshake()
    seen = called.getpeercert()
    assert seen is not None
    assert seen["subjectAltName"] == (("URI", CLIENT_NAME),)


def _context(protocol: int, files: TlsFiles, stem: str) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    context.load_verify_locations(files.authority)
    context.load_cert_chain(files.folder / f"{stem}.pem", files.folder / f"{stem}.key")
    return context
