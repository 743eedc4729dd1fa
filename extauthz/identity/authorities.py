"""Does a chain of signatures lead from a client certificate to an authority that the operator named?

Envoy asks the same when it has `trusted_ca`. It does not with `trust_chain_verification: ACCEPT_UNTRUSTED`, and one
authority of its list can vouch for names that are another's. So a profile can name its own authorities, each for the
names that it may vouch for, and then it does not matter what Envoy would have accepted.

Signatures, validity, `cA`, key usage, path lengths and name constraints are checked by `cryptography`'s path validation
(RFC 5280 section 6, with the algorithms of the web). Extensions that only the web demands (key identifiers, a
subjectAltName) are not demanded. An authority that is limited to distinguished names vouches for nobody, since that
validation passes over such a limit where it is not critical. Every certificate in the file is trusted as it is: since
Envoy shows only the client's own certificate, intermediate authorities belong into the file. Revocation lists are
Envoy's matter (`crl`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

from cryptography import x509
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from extauthz.clock import Instant
from extauthz.errors import Refusal
from extauthz.limits import MAX_AUTHORITIES_BYTES, MAX_CHAIN_CERTIFICATES
from extauthz.model.reason import Reason

if TYPE_CHECKING:
    from cryptography.x509.verification import Policy

    from extauthz.identity.peer import Peer

_DETAIL: Final = "Connect with a certificate that an authority of this resource has signed."


def _may_sign(_: Policy, __: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        message = "the key may not sign certificates"
        raise ValueError(message)


def _may_be_limited(_: Policy, __: x509.Certificate, limits: x509.NameConstraints | None) -> None:
    if limits is None:
        return
    subtrees = (*(limits.permitted_subtrees or ()), *(limits.excluded_subtrees or ()))
    if any(isinstance(subtree, x509.DirectoryName) for subtree in subtrees):
        message = "limited to distinguished names, which nobody here compares"
        raise ValueError(message)


_AUTHORITY: Final = (
    ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
    .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _may_sign)
    .may_be_present(x509.NameConstraints, Criticality.AGNOSTIC, _may_be_limited)
)
_CLIENT: Final = ExtensionPolicy.permit_all()


@dataclass(frozen=True, slots=True)
class Authorities:
    """Certificates of authorities that may vouch, as loaded from one file.

    Attributes:
        certificates: at least one.
    """

    certificates: tuple[x509.Certificate, ...]
    _store: Store = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_store", Store(list(self.certificates)))

    def verify(self, parsed: x509.Certificate, intermediates: list[x509.Certificate], at: Instant) -> Instant:
        """Return the last instant at which the authorities of the chain that was found are valid.

        Raises:
            VerificationError: there is none at `at`.
            ValueError: likewise.
        """
        policy = (
            PolicyBuilder()
            .store(self._store)
            .time(datetime.fromtimestamp(at, UTC))
            .max_chain_depth(MAX_CHAIN_CERTIFICATES)
            .extension_policies(ca_policy=_AUTHORITY, ee_policy=_CLIENT)
        )
        chain = policy.build_client_verifier().verify(parsed, intermediates).chain
        return Instant(min(each.not_valid_after_utc.timestamp() for each in chain[1:]))


class AuthoritySource(Protocol):
    """Authorities by file, from memory. Epoch: `authorities` of the file."""

    def find_authorities(self, file: str) -> Authorities | None:
        """Return what the file held when it could last be read; None when it never could."""
        ...


def parse_authorities(pem: bytes) -> Authorities:
    """Return the authorities in a PEM file.

    Raises:
        ValueError: it holds none, or something that is none; the message says what, for the operator.
    """
    if len(pem) > MAX_AUTHORITIES_BYTES:
        message = f"the file has more than {MAX_AUTHORITIES_BYTES} bytes"
        raise ValueError(message)
    try:
        certificates = x509.load_pem_x509_certificates(pem)
        others = [each for each in certificates if not _is_authority(each)]
    except (ValueError, x509.DuplicateExtension, x509.InvalidVersion):
        message = "the file is not a list of certificates (PEM)"
        raise ValueError(message) from None
    if others:
        message = f"{others[0].subject.rfc4514_string()} is not an authority (basicConstraints)"
        raise ValueError(message)
    return Authorities(tuple(certificates))


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def verify_signed(peer: Peer, authorities: Authorities | None, at: Instant) -> Instant:
    """Return until when one of the authorities vouches for a client's certificate.

    Args:
        peer: its certificate must be valid at `at`.
        authorities: None when they could not be loaded.
        at: the instant of the decision.

    Raises:
        Refusal: `signature_invalid` when nobody vouches, `evidence_unavailable` when that cannot be told.
    """
    if authorities is None or peer.certificate is None:
        raise Refusal(Reason.EVIDENCE_UNAVAILABLE, "Try again shortly.", inner="the authorities could not be loaded")
    try:
        between = [each.parsed for each in peer.intermediates]
        return authorities.verify(peer.certificate.parsed, between, at)
    except (VerificationError, ValueError) as error:
        raise Refusal(Reason.SIGNATURE_INVALID, _DETAIL, inner=f"certificate: {type(error).__name__}") from None
