"""Files of authorities: what they may hold, and for whom what is in them can vouch."""

from __future__ import annotations

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from extauthz.errors import Refusal
from extauthz.identity.authorities import parse_authorities, verify_signed
from extauthz.identity.certificate import read_certificate
from extauthz.identity.peer import Peer
from extauthz.limits import MAX_AUTHORITIES_BYTES
from extauthz.model.reason import Reason
from tests.simulators.client_certificates import HOUR, Authority, Issued, uri, usage
from tests.simulators.tokens import NOW

ROOT = Authority("root")


def peer(issued: Issued, *between: Authority) -> Peer:
    """Return the client's end with this certificate."""
    certificate = read_certificate(issued.encoded)
    others = tuple(read_certificate(Issued(each.certificate, each.key).encoded) for each in between)
    return Peer(thumbprint=certificate.thumbprint, certificate=certificate, intermediates=others)


def is_signed(issued: Issued, pem: bytes, *between: Authority) -> bool:
    """Return whether the file's authorities vouch now."""
    try:
        verify_signed(peer(issued, *between), parse_authorities(pem), NOW)
    except Refusal as refusal:
        return refusal.reason is not Reason.SIGNATURE_INVALID
    return True


@pytest.mark.parametrize(
    ("pem", "message"),
    [
        (b"", "not a list"),
        (b"nonsense", "not a list"),
        (ROOT.pem[:200], "not a list"),
        (ROOT.pem + ROOT.issue(subject="web").pem, "CN=web is not an authority"),
        (ROOT.issue(subject="web", extensions=[x509.BasicConstraints(ca=False, path_length=None)]).pem, "not an auth"),
        (b"#" * (MAX_AUTHORITIES_BYTES + 1), "more than"),
    ],
)
def test_files_that_hold_no_authorities_are_refused(pem: bytes, message: str) -> None:
    """The operator is told what is wrong."""
    with pytest.raises(ValueError, match=message):
        parse_authorities(pem)


def test_a_chain_leads_from_the_client_to_an_authority() -> None:
    """Directly or over others, as far as the others allow."""
    between = Authority("between", ROOT)
    strict = Authority("strict", ROOT, length=0)
    below = Authority("below", strict)
    assert is_signed(ROOT.issue(), ROOT.pem)
    assert is_signed(between.issue(), ROOT.pem, between)
    assert is_signed(between.issue(), between.pem)
    assert is_signed(strict.issue(), ROOT.pem, strict)
    assert not is_signed(below.issue(), ROOT.pem, below, strict)
    assert not is_signed(between.issue(), ROOT.pem)


def test_a_client_s_certificate_signs_nobody() -> None:
    """Neither one without `cA` nor one whose key usage does not allow it, whoever signed it."""
    client = ROOT.issue(subject="between", extensions=[x509.BasicConstraints(ca=False, path_length=None)])
    impostor = Authority("between")
    impostor.key, impostor.certificate = client.key, client.parsed
    assert not is_signed(impostor.issue(), ROOT.pem, impostor)
    weak = ROOT.issue(
        subject="between", extensions=[x509.BasicConstraints(ca=True, path_length=None), usage("crl_sign")]
    )
    impostor.key, impostor.certificate = weak.key, weak.parsed
    assert not is_signed(impostor.issue(), ROOT.pem, impostor)
    fit = usage("key_cert_sign")
    sound = ROOT.issue(subject="between", extensions=[x509.BasicConstraints(ca=True, path_length=None), fit])
    impostor.key, impostor.certificate = sound.key, sound.parsed
    assert is_signed(impostor.issue(), ROOT.pem, impostor)


def test_a_certificate_that_signs_itself_vouches_for_nobody() -> None:
    """Also under the name of an authority."""
    impostor = Authority("root")
    assert not is_signed(impostor.issue(uri("spiffe://prod.example/a")), ROOT.pem)


def test_an_authority_that_has_ended_vouches_no_more() -> None:
    """Nor one that has not begun."""
    for now in (NOW - 25 * HOUR, NOW + 25 * HOUR):
        other = Authority("other", now=now)
        lasting = other.issue(life=(NOW - now - HOUR, NOW - now + HOUR))
        assert not is_signed(lasting, other.pem)


def test_name_constraints_are_heeded() -> None:
    """An authority that is limited to names of one kind does not vouch for others."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "limited")])
    limited = x509.NameConstraints(permitted_subtrees=[x509.DNSName("ci.example")], excluded_subtrees=None)
    first = dt.datetime.fromtimestamp(NOW - HOUR, dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(first).not_valid_after(first + dt.timedelta(hours=2))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate = builder.add_extension(limited, critical=True).sign(key, hashes.SHA256())
    authority = Authority("limited")
    authority.key, authority.certificate = key, certificate  # type: ignore[assignment] # signs as well
    assert is_signed(authority.issue(x509.DNSName("a.ci.example")), authority.pem)
    assert not is_signed(authority.issue(x509.DNSName("a.other.example")), authority.pem)


@pytest.mark.parametrize("critical", [True, False])
@pytest.mark.parametrize("permitted", [True, False], ids=["permitted", "excluded"])
def test_an_authority_that_is_limited_to_distinguished_names_vouches_for_nobody(
    critical: bool, permitted: bool
) -> None:
    """A limit that is not compared would be none; both for the authority that is trusted and for one between."""
    tree = [x509.DirectoryName(x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "a")]))]
    limits = x509.NameConstraints(tree, None) if permitted else x509.NameConstraints(None, tree)
    above, key = Authority("above"), Authority("between").key
    first = dt.datetime.fromtimestamp(NOW - HOUR, dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(Authority("between").name)
        .issuer_name(above.name)
        .public_key(key.public_key())
    )
    builder = builder.serial_number(1).not_valid_before(first).not_valid_after(first + dt.timedelta(hours=2))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    for limited in (False, True):
        builder = builder.add_extension(limits, critical) if limited else builder
        between = Authority("between")
        between.key, between.certificate = key, builder.sign(above.key, hashes.SHA256())
        client = between.issue(subject="client")
        assert is_signed(client, above.pem, between) is not limited
        assert is_signed(client, between.pem) is not limited


def test_what_was_not_loaded_vouches_for_nobody() -> None:
    """And it is our failure."""
    with pytest.raises(Refusal) as refusal:
        verify_signed(peer(ROOT.issue()), None, NOW)
    assert refusal.value.reason is Reason.EVIDENCE_UNAVAILABLE
