"""Client certificates as a credential: X.509-SVIDs and plain ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from extauthz.clock import Instant
from extauthz.errors import Refusal
from extauthz.identity.authenticate import authenticate
from extauthz.identity.authorities import Authorities, parse_authorities
from extauthz.identity.certificate_rules import Accepted, CertificateRules, Forwarded, NameType
from extauthz.identity.rules import Profile
from extauthz.identity.sources import Proven, Sources
from extauthz.ledger import Ledger
from extauthz.model.identity import Binding, Credential, Identity, Kind
from extauthz.model.reason import Reason
from extauthz.model.state import StateName
from tests.simulators.client_certificates import HOUR, Authority, Issued, dns, element, request, uri, usage
from tests.simulators.tokens import NOW, MemoryKeys, TokenMaker

if TYPE_CHECKING:
    from extauthz.model.request import Request

LEEWAY: Final = 5.0
FILE: Final = "authorities.pem"
AUTHORITY: Final = Authority()
SVID: Final = AUTHORITY.issue(uri("spiffe://prod.example/ns/web"), dns("web.example"))
TRUST_DOMAIN: Final = Accepted(
    type=NameType.TRUST_DOMAIN,
    name="prod.example",
    issuer="spiffe://prod.example",
    kind=Kind.WORKLOAD,
    tenant="acme",
    environment="production",
)
BUILDERS: Final = Accepted(type=NameType.DNS, name="*.ci.example", issuer="https://ca.example", kind=Kind.CI)
ONE_BUILDER: Final = replace(BUILDERS, name="build.example", tenant="globex")
ROBOTS: Final = replace(BUILDERS, type=NameType.URI, name="urn:robot:*", kind=Kind.AGENT)
ONE_ROBOT: Final = replace(ROBOTS, name="urn:machine:7")
BY_SUBJECT: Final = replace(BUILDERS, type=NameType.SUBJECT, name="CN=legacy", kind=Kind.THIRD_PARTY)
ALL: Final = (TRUST_DOMAIN, BUILDERS, ONE_BUILDER, ROBOTS, ONE_ROBOT, BY_SUBJECT)


class Held:
    """Authorities by file, in memory; notes whether the ledger knew the name when it was asked."""

    def __init__(self, ledger: Ledger, bundle: Authorities | None) -> None:
        self.ledger = ledger
        self.bundle = bundle

    def find_authorities(self, file: str) -> Authorities | None:
        """Return what it was made with."""
        assert StateName("authorities", file) in self.ledger.names
        return self.bundle


KEYS: Final[MemoryKeys] = TokenMaker(alg="EdDSA").key_source()


def prove(
    sent: Request | Issued,
    *accepted: Accepted,
    at: float = NOW,
    bundle: Authorities | None = None,
    forwarded: Forwarded = Forwarded.IGNORED,
) -> Identity:
    """Return the caller that a request, or a connection with a certificate, proves."""
    rules = CertificateRules(accepted=accepted or ALL, forwarded=forwarded, leeway=LEEWAY)
    profile = Profile(name="mesh", audience="", issuers={}, certificates=rules)
    ledger = Ledger(KEYS)
    sources = Sources(keys=KEYS, ledger=ledger, authorities=Held(ledger, bundle))
    shown = request(sent) if isinstance(sent, Issued) else sent
    proven = authenticate(shown, Credential.CERTIFICATE, profile, sources, Instant(at))
    assert isinstance(proven, Proven)
    assert proven.spends == ()
    return proven.identity


def refused(sent: Request | Issued, *accepted: Accepted, at: float = NOW, bundle: Authorities | None = None) -> Reason:
    """Return the reason of the refusal, which names a fix."""
    with pytest.raises(Refusal) as refusal:
        prove(sent, *accepted, at=at, bundle=bundle)
    assert refusal.value.detail
    return refusal.value.reason


def test_an_svid_proves_its_workload() -> None:
    """Everything that is known about the caller comes from the one name and from the settings."""
    identity = prove(SVID)
    assert identity.subject.issuer == "spiffe://prod.example"
    assert identity.subject.subject == "spiffe://prod.example/ns/web"
    assert identity.subject.kind is Kind.WORKLOAD
    assert identity.workload == "spiffe://prod.example/ns/web"
    assert (identity.tenant, identity.environment, identity.profile) == ("acme", "production", "mesh")
    assert (identity.credential, identity.binding) == (Credential.CERTIFICATE, Binding.SPIFFE)
    assert identity.token_id == identity.session == SVID.digest.hex()
    assert (identity.issued_at, identity.expires_at) == (NOW - HOUR, NOW + HOUR)
    assert identity.accepted_until == NOW + HOUR + LEEWAY
    assert not identity.scopes | identity.subject.roles | identity.groups


@pytest.mark.parametrize(
    ("issued", "subject", "kind"),
    [
        (AUTHORITY.issue(dns("seven.ci.example")), "seven.ci.example", Kind.CI),
        (AUTHORITY.issue(dns("SEVEN.CI.example")), "seven.ci.example", Kind.CI),
        (AUTHORITY.issue(dns("seven.ci.example"), dns("else.example")), "seven.ci.example", Kind.CI),
        (AUTHORITY.issue(dns("build.example")), "build.example", Kind.CI),
        (AUTHORITY.issue(uri("urn:robot:9"), uri("https://a.example")), "urn:robot:9", Kind.AGENT),
        (AUTHORITY.issue(uri("urn:machine:7")), "urn:machine:7", Kind.AGENT),
        (AUTHORITY.issue(subject="legacy"), "CN=legacy", Kind.THIRD_PARTY),
    ],
)
def test_a_plain_certificate_proves_the_name_that_is_accepted(issued: Issued, subject: str, kind: Kind) -> None:
    """Other names in it mean nothing."""
    identity = prove(issued)
    assert (identity.subject.subject, identity.subject.issuer) == (subject, "https://ca.example")
    assert identity.subject.kind is kind
    assert identity.workload == f"https://ca.example|{subject}"
    assert identity.binding is Binding.MTLS


@pytest.mark.parametrize(
    "names",
    [
        ["a.b.ci.example"],
        ["ci.example"],
        [".ci.example"],
        ["*.ci.example"],
        ["evilci.example"],
        ["seven.ci.example.evil.example"],
        ["www.build.example"],
        ["one.ci.example", "two.ci.example"],
        [],
    ],
)
def test_names_that_are_not_accepted_are_nobody_s(names: list[str]) -> None:
    """One label more and not two; a wildcard is nobody in particular; two names that fit are two callers."""
    assert refused(AUTHORITY.issue(*map(dns, names))) is Reason.IDENTITY_UNMAPPED


@pytest.mark.parametrize("name", ["urn:robo", "urn:machine:70", "URN:ROBOT:1", "https://urn:robot:1"])
def test_uri_names_that_are_not_accepted_are_nobody_s(name: str) -> None:
    """Compared from the beginning, letter by letter."""
    assert refused(AUTHORITY.issue(uri(name))) is Reason.IDENTITY_UNMAPPED


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["spiffe://other.example/ns/web"], Reason.ISSUER_UNKNOWN),
        (["spiffe://prod.example.evil/ns/web"], Reason.ISSUER_UNKNOWN),
        (["spiffe://prod.example/a", "spiffe://prod.example/b"], Reason.CREDENTIALS_MALFORMED),
        (["spiffe://prod.example/a", "https://prod.example/a"], Reason.CREDENTIALS_MALFORMED),
        (["urn:machine:7", "spiffe://prod.example/a"], Reason.CREDENTIALS_MALFORMED),
        (["urn:machine:7", "SPIFFE://prod.example/a"], Reason.CREDENTIALS_MALFORMED),
        (["spiffe://prod.example"], Reason.CREDENTIALS_MALFORMED),
        (["spiffe://Prod.example/a"], Reason.CREDENTIALS_MALFORMED),
        (["spiffe://prod.example/a/"], Reason.CREDENTIALS_MALFORMED),
        (["spiffe://prod.example/%61"], Reason.CREDENTIALS_MALFORMED),
        (["spiffe://prod.example/a//b"], Reason.CREDENTIALS_MALFORMED),
        (["spiffe://prod.example:80/a"], Reason.CREDENTIALS_MALFORMED),
    ],
)
def test_what_is_not_exactly_an_svid_is_refused(names: list[str], reason: Reason) -> None:
    """Another trust domain, several URI names, other spellings. It never becomes a plain certificate."""
    assert refused(AUTHORITY.issue(*map(uri, names), dns("build.example"), subject="legacy")) is reason


def test_a_trust_domain_that_is_not_configured_is_refused() -> None:
    """Also when a plain name of the same certificate would be accepted."""
    assert refused(SVID, replace(BUILDERS, name="web.example")) is Reason.ISSUER_UNKNOWN
    assert refused(SVID, replace(TRUST_DOMAIN, name="else.example")) is Reason.ISSUER_UNKNOWN


@pytest.mark.parametrize(
    "extension",
    [
        x509.BasicConstraints(ca=True, path_length=None),
        usage("digital_signature", "key_cert_sign"),
        usage("digital_signature", "crl_sign"),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
    ],
)
@pytest.mark.parametrize("name", [uri("spiffe://prod.example/a"), dns("build.example")])
def test_an_authority_or_a_server_is_no_client(extension: x509.ExtensionType, name: x509.GeneralName) -> None:
    """Whatever it is called."""
    assert refused(AUTHORITY.issue(name, extensions=[extension])) is Reason.CREDENTIALS_MALFORMED


def test_validity_counts_give_or_take_the_leeway() -> None:
    """Both edges."""
    assert prove(SVID, at=NOW + HOUR + LEEWAY - 1).token_id
    assert refused(SVID, at=NOW + HOUR + LEEWAY) is Reason.TOKEN_EXPIRED
    assert prove(SVID, at=NOW - HOUR - LEEWAY).token_id
    assert refused(SVID, at=NOW - HOUR - LEEWAY - 1) is Reason.TOKEN_NOT_YET_VALID


def test_without_a_certificate_there_is_no_credential() -> None:
    """Also when only the client says so, and when the proxy tells only the hash."""
    assert refused(request()) is Reason.NO_CREDENTIALS
    assert refused(request(None, element(SVID))) is Reason.NO_CREDENTIALS
    with pytest.raises(Refusal) as refusal:
        prove(request(None, element(SVID, cert=False)), forwarded=Forwarded.ONLY)
    assert refusal.value.reason is Reason.NO_CREDENTIALS
    assert "hash only" in refusal.value.inner


def test_a_trusted_header_is_as_good() -> None:
    """Where the proxy writes it."""
    identity = prove(request(None, element(SVID)), forwarded=Forwarded.ONLY)
    assert identity.subject.subject == "spiffe://prod.example/ns/web"


def bundle(*authorities: Authority) -> Authorities:
    """Return what a file with these authorities holds."""
    return parse_authorities(b"".join(each.pem for each in authorities))


SIGNED: Final = replace(TRUST_DOMAIN, authorities=FILE)


def test_the_authorities_of_the_profile_must_have_signed() -> None:
    """Whatever Envoy accepts: that closes ACCEPT_UNTRUSTED, and one authority cannot speak for another's names."""
    other = Authority("others")
    forged = other.issue(uri("spiffe://prod.example/ns/web"))
    namesake = Authority("clients").issue(uri("spiffe://prod.example/ns/web"))
    assert prove(SVID, SIGNED, bundle=bundle(AUTHORITY)).token_id
    assert prove(SVID, SIGNED, bundle=bundle(other, AUTHORITY)).token_id
    for issued in (forged, namesake):
        assert prove(issued, TRUST_DOMAIN).token_id
        assert refused(issued, SIGNED, bundle=bundle(AUTHORITY)) is Reason.SIGNATURE_INVALID


def test_authorities_that_could_not_be_loaded_are_no_opening() -> None:
    """It is our failure and not the caller's."""
    assert refused(SVID, SIGNED, bundle=None) is Reason.EVIDENCE_UNAVAILABLE


def test_intermediate_authorities_stand_in_the_file_or_come_along() -> None:
    """Envoy shows only the client's own certificate; a trusted header can bring the others."""
    root = Authority("root")
    between = Authority("between", root)
    issued = between.issue(uri("spiffe://prod.example/a"))
    assert refused(issued, SIGNED, bundle=bundle(root)) is Reason.SIGNATURE_INVALID
    assert prove(issued, SIGNED, bundle=bundle(between)).token_id
    chain = issued.encoded + Issued(between.certificate, between.key).encoded
    sent = request(None, f'Hash={issued.digest.hex()};Chain="{chain}"')
    assert prove(sent, SIGNED, bundle=bundle(root), forwarded=Forwarded.ONLY).token_id


def test_the_chain_bounds_how_long_the_caller_is_accepted() -> None:
    """An authority that ends before the certificate ends it too; the leeway is the client's, not the authority's."""
    old = Authority("old", now=NOW - 23.5 * HOUR)
    issued = old.issue(uri("spiffe://prod.example/a"), life=(23 * HOUR, 26 * HOUR))
    assert prove(issued, SIGNED, bundle=bundle(old)).accepted_until == NOW + HOUR / 2
    assert prove(issued, TRUST_DOMAIN).accepted_until == NOW + 2.5 * HOUR + LEEWAY
    assert refused(issued, SIGNED, bundle=bundle(old), at=NOW + HOUR / 2 + 2) is Reason.SIGNATURE_INVALID


def test_the_leeway_reaches_through_the_chain() -> None:
    """A certificate that has just ended is looked at as it was."""
    late = prove(SVID, SIGNED, bundle=bundle(AUTHORITY), at=NOW + HOUR + LEEWAY - 1)
    assert late.accepted_until == NOW + HOUR + LEEWAY
    assert prove(SVID, SIGNED, bundle=bundle(AUTHORITY), at=NOW - HOUR - LEEWAY).token_id
    assert refused(SVID, SIGNED, bundle=bundle(AUTHORITY), at=NOW + HOUR + LEEWAY) is Reason.TOKEN_EXPIRED
