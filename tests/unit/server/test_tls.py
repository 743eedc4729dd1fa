"""Certificates of a listener, read again when they change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from extauthz.config.settings import TlsSettings
from extauthz.errors import ConfigError
from extauthz.server.tls import _Certificates, server_credentials
from tests.simulators.certificates import Authority

if TYPE_CHECKING:
    from pathlib import Path

AUTHORITY = Authority()


@pytest.fixture
def tls(tmp_path: Path) -> TlsSettings:
    """Return settings with files that fit together."""
    certificate, key = AUTHORITY.issue().write(tmp_path, "server")
    (client_ca := tmp_path / "ca.pem").write_bytes(AUTHORITY.certificate)
    return TlsSettings(certificate=certificate, key=key, client_ca=client_ca)


def test_files_that_fit_make_credentials(tls: TlsSettings) -> None:
    """With and without client certificates."""
    for each in (tls, tls.model_copy(update={"client_ca": None})):
        assert isinstance(server_credentials(each), grpc.ServerCredentials)


def test_nothing_new_means_no_reload(tls: TlsSettings) -> None:
    """Also when the files were only touched."""
    certificates = _Certificates(tls)
    assert certificates.newer() is None
    tls.certificate.write_bytes(tls.certificate.read_bytes())
    assert certificates.newer() is None


def test_a_replaced_pair_is_taken_over(tls: TlsSettings, tmp_path: Path) -> None:
    """Once; the next handshake finds nothing new."""
    certificates = _Certificates(tls)
    AUTHORITY.issue().write(tmp_path, "server")
    assert certificates.newer() is not None
    assert certificates.newer() is None


def test_a_half_replaced_pair_waits_for_the_other_half(tls: TlsSettings, tmp_path: Path) -> None:
    """The earlier pair stays in use meanwhile."""
    certificates = _Certificates(tls)
    pair = AUTHORITY.issue()
    tls.certificate.write_bytes(pair.certificate)
    assert certificates.newer() is None
    pair.write(tmp_path, "server")
    assert certificates.newer() is not None


def test_a_removed_file_keeps_the_earlier_pair(tls: TlsSettings) -> None:
    """Until it is back."""
    certificates = _Certificates(tls)
    content = tls.key.read_bytes()
    tls.key.unlink()
    assert certificates.newer() is None
    tls.key.write_bytes(content)
    assert certificates.newer() is None


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("server.pem", b"nonsense", "not PEM"),
        ("server.key", b"nonsense", "not PEM"),
        ("server.key", AUTHORITY.issue().key, "this is not the key of"),
        ("ca.pem", b"nonsense", "no PEM certificate"),
        ("ca.pem", None, "cannot be read: No such file"),
    ],
)
def test_files_that_do_not_fit_are_refused_at_start(
    tls: TlsSettings, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    """With the file and what is the matter."""
    (tmp_path / name).unlink() if content is None else (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        server_credentials(tls)
