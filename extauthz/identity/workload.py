"""Proves a caller by its client certificate: an X.509-SVID of SPIFFE, or a plain one. Raises, or returns the Identity.

The argument, step by step; the code below has the same numbers.

1. There is exactly one certificate, and a proxy saw it (`peer.py`): the caller holds its key.
2. Now lies within its validity, give or take the leeway.
3. It is a client's own: not an authority's, and not one for servers only. (SVID specification section 4: `cA` false, no
   `keyCertSign`, no `cRLSign`.)
4. Its name is one that the profile accepts. A certificate with a URI name that claims to be a SPIFFE ID is an SVID and
   nothing else: it has exactly that one URI name (section 2), in a configured trust domain. It never falls back to
   being plain, or a second name would be a second identity.
5. Who may vouch for that name has signed it, where the profile says who that is; elsewhere Envoy has seen to that.

What a certificate says besides its name (organisation, other names) means nothing here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from extauthz.clock import Instant
from extauthz.errors import Refusal
from extauthz.identity.authorities import verify_signed
from extauthz.identity.certificate_rules import Accepted, NameType
from extauthz.identity.peer import find_peer
from extauthz.identity.spiffe import is_spiffe, parse_spiffe_id
from extauthz.model.identity import Binding, Credential, Identity, Principal
from extauthz.model.reason import Reason

if TYPE_CHECKING:
    from extauthz.identity.certificate import PeerCertificate
    from extauthz.identity.certificate_rules import CertificateRules
    from extauthz.identity.peer import Peer
    from extauthz.identity.sources import Sources
    from extauthz.model.request import Request

_CONNECT: Final = "Connect with a client certificate."
_OWN: Final = "Connect with a certificate of a client's own, not with an authority's or a server's."
_SVID: Final = "An X.509-SVID has exactly one URI name, a SPIFFE ID with a path."
_TRUST_DOMAIN: Final = "Connect with a certificate of a trust domain that this resource accepts."
_NAME: Final = "Connect with a certificate that has exactly one name of the kind that this resource accepts."


class _Named(NamedTuple):
    accepted: Accepted
    subject: str
    binding: Binding


def verify_workload(request: Request, rules: CertificateRules, sources: Sources, profile: str, at: Instant) -> Identity:
    """Prove the caller of a request by the argument above.

    Args:
        request: the normalised request.
        rules: whose certificates are accepted.
        sources: what may be looked at.
        profile: name of the verification profile.
        at: the instant of the decision.

    Raises:
        Refusal: a step fails; the reason says which, the detail names the fix.
    """
    # 1. One certificate.
    peer = find_peer(request, rules.forwarded)
    if peer is None:
        raise Refusal(Reason.NO_CREDENTIALS, _CONNECT)
    certificate = peer.certificate
    if certificate is None:
        raise Refusal(Reason.NO_CREDENTIALS, _CONNECT, inner="the proxy tells the certificate's hash only")
    # 2. Now.
    _verify_times(certificate, rules.leeway, at)
    # 3. A client's own.
    if certificate.is_authority or not certificate.for_clients:
        raise Refusal(Reason.CREDENTIALS_MALFORMED, _OWN, inner="certificate: an authority's, or not for clients")
    # 4. A name that is accepted.
    named = _find_name(certificate, rules)
    # 5. By who may vouch for it.
    until = Instant(certificate.not_after + rules.leeway)
    if named.accepted.authorities:
        until = min(until, _verify_signed(peer, certificate, named.accepted.authorities, sources, at))
    return _to_identity(named, certificate, profile, until)


def _verify_times(certificate: PeerCertificate, leeway: float, at: Instant) -> None:
    if at >= certificate.not_after + leeway:
        raise Refusal(Reason.TOKEN_EXPIRED, "Connect with a new certificate; this one has expired.")
    if at < certificate.not_before - leeway:
        raise Refusal(Reason.TOKEN_NOT_YET_VALID, "Wait until the certificate is valid, or check the clocks.")


def _find_name(certificate: PeerCertificate, rules: CertificateRules) -> _Named:
    if any(is_spiffe(uri) for uri in certificate.uris):
        return _find_svid(certificate, rules)
    for accepted in rules.accepted:
        names = [name for name in _names(certificate, accepted.type) if _fits(name, accepted)]
        if len(names) > 1:
            raise Refusal(Reason.IDENTITY_UNMAPPED, _NAME, inner=f"several names fit {accepted.name}")
        if names:
            return _Named(accepted, names[0], Binding.MTLS)
    raise Refusal(Reason.IDENTITY_UNMAPPED, _NAME, inner="no name of the certificate is accepted")


def _find_svid(certificate: PeerCertificate, rules: CertificateRules) -> _Named:
    try:
        (uri,) = certificate.uris
        spiffe_id = parse_spiffe_id(uri)
    except ValueError:
        raise Refusal(Reason.CREDENTIALS_MALFORMED, _SVID, inner="not a SPIFFE ID, or several URI names") from None
    for accepted in rules.accepted:
        if accepted.type is NameType.TRUST_DOMAIN and accepted.name == spiffe_id.trust_domain:
            return _Named(accepted, str(spiffe_id), Binding.SPIFFE)
    raise Refusal(Reason.ISSUER_UNKNOWN, _TRUST_DOMAIN, inner="trust domain")


def _names(certificate: PeerCertificate, type_: NameType) -> tuple[str, ...]:
    match type_:
        case NameType.URI:
            return certificate.uris
        case NameType.DNS:
            return certificate.dns_names
        case NameType.SUBJECT:
            return (certificate.subject,)
        case _:  # a trust domain, which plain certificates do not have
            return ()


def _fits(name: str, accepted: Accepted) -> bool:
    pattern = accepted.name
    if accepted.type is NameType.DNS and pattern.startswith("*."):
        label, _, rest = name.partition(".")
        # A name that is a wildcard itself stands for many callers, and so for nobody.
        return label not in {"", "*"} and rest == pattern[2:]
    if accepted.type is NameType.URI and pattern.endswith("*"):
        return name.startswith(pattern[:-1])
    return name == pattern


def _verify_signed(peer: Peer, certificate: PeerCertificate, file: str, sources: Sources, at: Instant) -> Instant:
    # Within the leeway a certificate counts as valid, so its chain is looked at while it was, or will be.
    valid_at = Instant(max(certificate.not_before, min(at, certificate.not_after)))
    return verify_signed(peer, sources.authorities.find_authorities(file), valid_at)


def _to_identity(named: _Named, certificate: PeerCertificate, profile: str, until: Instant) -> Identity:
    accepted, subject = named.accepted, named.subject
    return Identity(
        subject=Principal(issuer=accepted.issuer, subject=subject, kind=accepted.kind),
        tenant=accepted.tenant,
        session=certificate.fingerprint,
        token_id=certificate.fingerprint,
        workload=subject if named.binding is Binding.SPIFFE else f"{accepted.issuer}|{subject}",
        environment=accepted.environment,
        credential=Credential.CERTIFICATE,
        binding=named.binding,
        profile=profile,
        issued_at=certificate.not_before,
        expires_at=certificate.not_after,
        accepted_until=until,
    )
