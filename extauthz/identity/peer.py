"""Request → the client's end of the TLS connection, as the proxy saw it. Never as the client says.

1. Envoy's own account (`source.certificate`, with `include_peer_certificate`) always counts: clients cannot set it.
2. `x-forwarded-client-cert` counts only where the profile says which element the proxy in front writes. Elsewhere it is
   not even looked at, and it never goes upstream unless the resource forwards it. Where the last of several elements
   counts, none may have a name that a certificate could have written the last one into (`xfcc.may_be_forged`).
3. Where both name a certificate it must be the same one: two certificates are two credentials.
4. Within an element, hash, certificate and chain must be about the same certificate.

That the client holds the certificate's key is what TLS proves to Envoy. Whether anybody vouches for the certificate is
another question, and `workload.py` asks it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from extauthz.errors import Refusal
from extauthz.identity.certificate import PeerCertificate, read_certificate, read_chain, to_thumbprint
from extauthz.identity.certificate_rules import Forwarded
from extauthz.identity.xfcc import HEADER, Element, may_be_forged, parse_xfcc
from extauthz.model.reason import Reason

if TYPE_CHECKING:
    from extauthz.model.request import Request

_ONE: Final = "The proxies in front disagree about the client certificate; connect to one of them directly."
_NAMES: Final = "No proxy may write URI or DNS into x-forwarded-client-cert (set_current_client_cert_details)."
_SHAPE: Final = "The proxy in front must say one thing about the client certificate."


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The client's end of the connection.

    Attributes:
        thumbprint: of its certificate, as `x5t#S256` has it.
        certificate: None when the proxy told only its hash.
        intermediates: certificates between it and an authority, as far as the proxy told.
    """

    thumbprint: str
    certificate: PeerCertificate | None = None
    intermediates: tuple[PeerCertificate, ...] = ()


def find_peer(request: Request, forwarded: Forwarded) -> Peer | None:
    """Return the client that a proxy saw, or None when it came without a certificate, or nobody says so.

    Args:
        request: the normalised request.
        forwarded: what `x-forwarded-client-cert` is worth.

    Raises:
        Refusal: `credentials_malformed`, or `credentials_ambiguous` when two certificates are named.
    """
    seen = _seen(request)
    told = _told(request, forwarded)
    if seen is None or told is None:
        return seen or told
    if seen.thumbprint != told.thumbprint:
        raise Refusal(Reason.CREDENTIALS_AMBIGUOUS, _ONE, inner=f"source.certificate and {HEADER} differ")
    return Peer(thumbprint=seen.thumbprint, certificate=seen.certificate, intermediates=told.intermediates)


def _seen(request: Request) -> Peer | None:
    if not request.source.certificate:
        return None
    certificate = read_certificate(request.source.certificate)
    return Peer(thumbprint=certificate.thumbprint, certificate=certificate)


def _told(request: Request, forwarded: Forwarded) -> Peer | None:
    lines = request.headers.all(HEADER)
    if forwarded is Forwarded.IGNORED or not lines:
        return None
    value = ",".join(lines)
    elements = parse_xfcc(value)
    if forwarded is Forwarded.ONLY and len(elements) != 1:
        raise Refusal(Reason.CREDENTIALS_MALFORMED, _SHAPE, inner=f"{HEADER}: several elements")
    if len(elements) > 1 and may_be_forged(value):
        raise Refusal(Reason.CREDENTIALS_MALFORMED, _NAMES, inner=f"{HEADER}: the last element may be a certificate's")
    return _to_peer(elements[-1])


def _to_peer(element: Element) -> Peer:
    chain = read_chain(element.chain) if element.chain else ()
    certificate = read_certificate(element.certificate) if element.certificate else None
    leaf = certificate or (chain[0] if chain else None)
    thumbprints = {to_thumbprint(element.digest)} if element.digest else set()
    thumbprints.update(each.thumbprint for each in (certificate, *chain[:1]) if each is not None)
    if len(thumbprints) != 1:
        raise Refusal(Reason.CREDENTIALS_MALFORMED, _SHAPE, inner=f"{HEADER}: no certificate, or several")
    return Peer(thumbprint=thumbprints.pop(), certificate=leaf, intermediates=chain[1:])
