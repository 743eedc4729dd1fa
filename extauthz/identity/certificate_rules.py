"""What the operator configured about client certificates, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from extauthz.model.state import StateName

if TYPE_CHECKING:
    from extauthz.model.identity import Kind


class Forwarded(Enum):
    """What `x-forwarded-client-cert` is worth; that depends on the proxy in front, which only the operator knows."""

    IGNORED = "ignored"
    """Nothing: a client can send it."""
    ONLY = "only"
    """The proxy replaces it (`SANITIZE_SET`), so that it has one element."""
    LAST = "last"
    """The proxy appends to what proxies before it sent (`APPEND_FORWARD`): its own element is the last."""


class NameType(Enum):
    """Where in a certificate a name stands."""

    TRUST_DOMAIN = "trust_domain"
    """The trust domain of the one URI name, a SPIFFE ID."""
    URI = "uri"
    """A URI name, exactly; or all that begin like this, for a pattern that ends in `*`."""
    DNS = "dns"
    """A DNS name, exactly; or with one label more, for `*.example.com`."""
    SUBJECT = "subject"
    """The distinguished name (RFC 4514), exactly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """Whose certificates are accepted, and what is known about the callers by that.

    Attributes:
        type: which names are looked at.
        name: the name or pattern.
        issuer: who vouches for callers, as policy calls it.
        kind: of the callers.
        tenant: of the callers; empty for none.
        environment: where the callers run; empty when that is not said.
        authorities: file of the authorities that must have signed; empty leaves that to Envoy.
    """

    type: NameType
    name: str
    issuer: str
    kind: Kind
    tenant: str = ""
    environment: str = ""
    authorities: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRules:
    """How client certificates are read and judged.

    Attributes:
        accepted: in order; the first that fits counts. Empty accepts no certificate as a credential; tokens can be
            bound to any certificate all the same.
        forwarded: what `x-forwarded-client-cert` is worth.
        leeway: seconds of clock difference tolerated.
        rests_on: the facts that verifying a certificate may read.
    """

    accepted: tuple[Accepted, ...] = ()
    forwarded: Forwarded = Forwarded.IGNORED
    leeway: float = 0.0
    rests_on: tuple[StateName, ...] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        files = dict.fromkeys(each.authorities for each in self.accepted if each.authorities)
        object.__setattr__(self, "rests_on", tuple(StateName("authorities", file) for file in files))


class BindingRule(Enum):
    """How tokens must be bound to their sender."""

    NONE = "none"
    """Not at all: a token that is bound is refused."""
    ANY = "any"
    """As they like; a binding that is there must hold."""
    REQUIRED = "required"
    """In one way or another."""
    MTLS = "mtls"
    """To the client certificate (RFC 8705)."""
    DPOP = "dpop"
    """To a key that signs a proof (RFC 9449)."""
