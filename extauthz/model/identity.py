"""Who asks, and on whose behalf. Made only from verified bytes, by `identity/`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from extauthz.model.wide import wide

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.clock import Instant
    from extauthz.model.registry import Registration


class Kind(StrEnum):
    """What sort of caller; a closed vocabulary."""

    USER = "user"
    SERVICE = "service"
    WORKLOAD = "workload"
    CI = "ci"
    AGENT = "agent"
    THIRD_PARTY = "third_party"
    ANONYMOUS = "anonymous"
    """Nobody: the resource declares `credential: none`."""


class Credential(StrEnum):
    """How callers of a resource prove who they are; each resource declares one."""

    BEARER = "bearer"
    """`Authorization: Bearer TOKEN` (RFC 6750): a JWT or an opaque token; it may be bound to a client certificate."""
    DPOP = "dpop"
    """`Authorization: DPoP TOKEN` with one proof in `DPoP` (RFC 9449)."""
    CERTIFICATE = "certificate"
    """The client certificate of the connection that Envoy accepted (X.509-SVID, or plain)."""
    API_KEY = "api_key"
    """A key of ours in a header of its own."""
    NONE = "none"
    """Nothing: the caller is nobody in particular."""


class Binding(StrEnum):
    """What ties a credential to its sender, so that a stolen copy is useless."""

    NONE = "none"
    MTLS = "mtls"
    """The token names the client certificate (RFC 8705), or the certificate is the credential."""
    DPOP = "dpop"
    """The token names a key, and the request carries a proof by it (RFC 9449)."""
    SPIFFE = "spiffe"
    """The certificate is an X.509-SVID."""


@wide
@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """One party of a delegation.

    Attributes:
        issuer: who vouches; an absolute URL.
        subject: unique within the issuer. Never compare it without the issuer.
        kind: None when the evidence does not say; None meets no rule that asks for a kind.
        client: OAuth client, empty when unknown.
        roles: as the issuer states them for this party.
    """

    issuer: str
    subject: str
    kind: Kind | None = None
    client: str = ""
    roles: frozenset[str] = frozenset()


@wide
@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A proven caller.

    Attributes:
        subject: whose authority is used.
        actor: who is acting, when not the subject itself (outermost `act`, RFC 8693 section 4.1).
        chain: earlier actors, most recent first; informational for permits, but forbids, guards and revocation look at
            every member.
        tenant: empty when the evidence names none.
        session: `sid`, else token id, else empty.
        scopes: what the token was granted; belongs to the token, not to one party.
        acr: authentication context class (RFC 9470), empty when unknown.
        auth_time: last active authentication, None when unknown. Never derived from `iat`.
        amr: methods (RFC 8176).
        token_id: `jti`.
        workload: stable key of an ephemeral caller (never `jti` or a pod's name); `issuer|client or subject` here.
        environment: where the caller runs, as its issuer or the registry says (`production`); empty when unknown.
        device: stable id of the device, empty when unknown.
        authorization_details: rights as RFC 9396 objects, each with a string `type`.
        transaction: `txn` of a transaction token that came along; context, never proof of a caller.
        transaction_scopes: what that transaction is for.
        transaction_workloads: who asked for that token, the first one first (`req_wl`).
        credential: how the caller proved itself.
        binding: what ties the credential to its sender.
        checked_at: start of the newest fetch by which somebody else vouched for the credential (introspection); None
            when it was proven from what we hold.
        registration: what the registry declares about the caller; None when it declares nothing.
        profile: name of the verification profile that accepted the credential.
        issued_at: `iat`.
        expires_at: `exp`; None only for anonymous callers.
        accepted_until: when the credential stops being accepted by itself: its expiry and the profile's maximum age,
            leeway included. None only for anonymous callers.
        claims: the verified claims, unchanged.
    """

    subject: Principal
    actor: Principal | None = None
    chain: tuple[Principal, ...] = ()
    tenant: str = ""
    session: str = ""
    scopes: frozenset[str] = frozenset()
    acr: str = ""
    auth_time: Instant | None = None
    amr: tuple[str, ...] = ()
    groups: frozenset[str] = frozenset()
    token_id: str = ""
    workload: str = ""
    environment: str = ""
    device: str = ""
    authorization_details: tuple[Mapping[str, Any], ...] = ()
    transaction: str = ""
    transaction_scopes: frozenset[str] = frozenset()
    transaction_workloads: tuple[str, ...] = ()
    credential: Credential = Credential.NONE
    binding: Binding = Binding.NONE
    checked_at: Instant | None = None
    registration: Registration | None = None
    profile: str = ""
    issued_at: Instant | None = None
    expires_at: Instant | None = None
    accepted_until: Instant | None = None
    claims: Mapping[str, Any] = field(default_factory=dict)

    @property
    def involved(self) -> tuple[Principal, ...]:
        """Return subject, actor and chain: everybody whom a forbid, a guard or a revocation must look at."""
        actor = (self.actor,) if self.actor is not None else ()
        return (self.subject, *actor, *self.chain)

    @property
    def client(self) -> str:
        """Return the OAuth client that presents the credential: the subject's, else the actor's, else empty."""
        return self.subject.client or (self.actor.client if self.actor is not None else "")

    @property
    def human(self) -> bool:
        """Return whether a person stands behind the token, so that a sign-in can be asked for (RFC 9470)."""
        return self.subject.kind is Kind.USER


ANONYMOUS = Identity(subject=Principal(issuer="", subject="", kind=Kind.ANONYMOUS))
"""The caller of a resource that declares `credential: none`."""
