"""Certificates in texts are read in one reading, or refused."""

from __future__ import annotations

import base64
from urllib.parse import quote, unquote

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from extauthz.errors import Refusal
from extauthz.identity.certificate import read_certificate, read_chain
from extauthz.limits import MAX_CERTIFICATE_BYTES, MAX_CHAIN_CERTIFICATES
from extauthz.model.reason import Reason
from tests.simulators.client_certificates import HOUR, Authority, dns, uri, usage
from tests.simulators.tokens import NOW

AUTHORITY = Authority()
LEAF = AUTHORITY.issue(uri("spiffe://example.org/a"), dns("A.Example"), subject="a+b, c")


def refused(text: str, read: object = read_certificate) -> str:
    """Return the inner text of the refusal."""
    with pytest.raises(Refusal) as refusal:
        read(text)  # type: ignore[operator] # both readers take a text
    assert refusal.value.reason is Reason.CREDENTIALS_MALFORMED
    return refusal.value.inner


def test_a_certificate_is_read() -> None:
    """Names, validity, thumbprint; what an extension does not say is not assumed."""
    found = read_certificate(LEAF.encoded)
    assert found.uris == ("spiffe://example.org/a",)
    assert found.dns_names == ("a.example",)
    assert found.subject == r"CN=a\+b\, c"
    assert (found.not_before, found.not_after) == (NOW - HOUR, NOW + HOUR)
    assert (found.thumbprint, found.fingerprint) == (LEAF.thumbprint, LEAF.digest.hex())
    assert not found.is_authority
    assert found.for_clients
    assert read_certificate(LEAF.encoded) is found


def test_plus_signs_of_base64_survive() -> None:
    """A plus sign is a plus sign, in either encoding."""
    issued = LEAF
    while "+" not in issued.pem.decode():
        issued = AUTHORITY.issue(uri("spiffe://example.org/a"))
    assert read_certificate(quote(issued.pem.decode(), safe="+/=")).thumbprint == issued.thumbprint


@pytest.mark.parametrize(
    ("extension", "is_authority"),
    [
        (x509.BasicConstraints(ca=True, path_length=None), True),
        (x509.BasicConstraints(ca=False, path_length=None), False),
        (usage("digital_signature", "key_cert_sign"), True),
        (usage("crl_sign"), True),
        (usage("digital_signature"), False),
    ],
)
def test_authorities_are_told_from_clients(extension: x509.ExtensionType, is_authority: bool) -> None:
    """By `cA` and by each key usage that signs certificates or lists of revoked ones."""
    assert read_certificate(AUTHORITY.issue(extensions=[extension]).encoded).is_authority is is_authority


@pytest.mark.parametrize(
    ("purposes", "for_clients"),
    [
        ([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH], True),
        ([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE], True),
        ([ExtendedKeyUsageOID.SERVER_AUTH], False),
    ],
)
def test_purposes_are_read(purposes: list[x509.ObjectIdentifier], for_clients: bool) -> None:
    """An extended key usage that names others only is not for clients."""
    issued = AUTHORITY.issue(extensions=[x509.ExtendedKeyUsage(purposes)])
    assert read_certificate(issued.encoded).for_clients is for_clients


PEM = LEAF.pem.decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        quote(PEM * 2),
        quote(PEM + "x"),
        quote("x" + PEM),
        quote(" " + PEM),
        quote(PEM.replace("CERTIFICATE", "PRIVATE KEY")),
        quote(PEM.replace("\n", "", 1)),
        quote(PEM[: len(PEM) // 2]),
        quote(PEM.replace("MII", "!II", 1)),
        quote(PEM.replace("MII", "MI", 1)),
        quote(PEM.replace("MII", "NII", 1)),
        quote("-----BEGIN CERTIFICATE-----\n" + "=" * 8 + "\n-----END CERTIFICATE-----\n"),
        "%zz",
        "\x00",
        "é",
    ],
)
def test_what_is_not_one_certificate_is_refused(text: str) -> None:
    """Nothing, several, something round it, another kind, bad base64, bad DER."""
    assert refused(text).startswith("certificate: ")


def test_large_texts_and_certificates_are_refused() -> None:
    """Before they are decoded, and before they are parsed."""
    assert "longer" in refused("a" * (6 * MAX_CERTIFICATE_BYTES + 1))
    assert "longer" in refused("a" * (6 * MAX_CHAIN_CERTIFICATES * MAX_CERTIFICATE_BYTES + 1), read_chain)
    body = base64.b64encode(b"\x30" * (MAX_CERTIFICATE_BYTES + 1)).decode()
    assert "larger" in refused(f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")


@pytest.mark.parametrize("name", ["spiffe://example.org/a\n", "https://a\x00b"])
def test_control_characters_in_names_are_refused(name: str) -> None:
    """Names travel in headers, logs and records."""
    assert "control character" in refused(AUTHORITY.issue(uri(name)).encoded)


def test_extensions_that_cannot_be_read_are_refused() -> None:
    """What cannot be read cannot be compared: a broken list of names must not read as having none."""
    broken = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"\x30\x03\x86\x01\xff\xff")
    assert "unreadable" in refused(AUTHORITY.issue(extensions=[broken]).encoded)
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    assert read_certificate(AUTHORITY.issue(extensions=[unknown]).encoded).uris == ()


def test_chains_are_read_in_order_and_bounded() -> None:
    """The client's own certificate is first; too many are refused."""
    other = AUTHORITY.issue()
    found = read_chain(LEAF.encoded + other.encoded)
    assert [each.thumbprint for each in found] == [LEAF.thumbprint, other.thumbprint]
    assert len(read_chain(LEAF.encoded * MAX_CHAIN_CERTIFICATES)) == MAX_CHAIN_CERTIFICATES
    assert "too many" in refused(LEAF.encoded * (MAX_CHAIN_CERTIFICATES + 1), read_chain)


DER = base64.b64decode("".join(unquote(LEAF.encoded).splitlines()[1:-1]))


@given(st.integers(0, len(DER) - 1), st.integers(1, 255))
def test_a_changed_byte_is_read_or_refused(place: int, change: int) -> None:
    """Whatever a byte becomes, no other exception, and never the thumbprint of the original."""
    changed = DER[:place] + bytes([DER[place] ^ change]) + DER[place + 1 :]
    body = base64.encodebytes(changed).decode()
    try:
        found = read_certificate(f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n")
    except Refusal:
        return
    assert found.thumbprint != LEAF.thumbprint
