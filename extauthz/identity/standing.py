"""What the registry says about a proven caller, and about everybody that it acts for.

1. The epoch of the registry is noted before it is looked at; all that is read comes from one version of it.
2. A quarantine, a switched-off entry or one that has ended refuses, of *any* entry about *any* member of subject, actor
   and chain: a quarantine of a client holds for its tokens whatever an entry about their subjects says.
3. Where the profile refuses who is not declared, every member must be.
4. A kind that is declared and another that is proven cannot both be true. A kind that nobody proves contradicts none.
5. The same holds for the environment, which only the subject's evidence can name. What is declared fills in what the
   evidence leaves open; two entries that declare different ones contradict each other.
6. Who presents the credential comes from the networks that every entry about it lists: the actor and the client that
   the token was issued to; without an actor the subject itself. An address that is not known is in no network.

Nobody (`credential: none`) is in no registry and does not come here.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from extauthz.clock import Instant
from extauthz.errors import Refusal
from extauthz.model.reason import Reason
from extauthz.model.registry import NOT_DECLARED, Declared, Registration, Standing
from extauthz.model.state import StateName

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from extauthz.identity.rules import Profile
    from extauthz.ledger import Ledger
    from extauthz.model.identity import Identity
    from extauthz.model.request import Request
    from extauthz.ports import RegistrySource

REGISTRY: Final = StateName("registry", "")
"""The one epoch of the whole registry."""

_OWNER: Final = "Ask the owner of the identity."


@dataclass(frozen=True, slots=True)
class Known:
    """A caller that may go on.

    Attributes:
        identity: with what is declared about it.
        declared: about each of `identity.involved`, in that order; empty for nobody.
    """

    identity: Identity
    declared: tuple[Declared, ...] = ()


def require_standing(  # noqa: PLR0913 — the caller, what is believed about it, and when
    identity: Identity, profile: Profile, request: Request, at: Instant, *, registry: RegistrySource, ledger: Ledger
) -> Known:
    """Return the caller with what is declared about it.

    Args:
        identity: a proven caller.
        profile: the verification profile that proved it.
        request: for the address that it comes from.
        at: the instant of the decision.
        registry: declared identities.
        ledger: takes the name of the registry before it is looked at.

    Raises:
        Refusal: by one of the rules above, the gravest first.
    """
    # 1. One version.
    ledger.note(REGISTRY)
    declared = registry.find_declared(identity)
    entries = [entry for each in declared if each is not NOT_DECLARED for entry in each.entries]
    if entries:
        # 2. Nobody involved is under suspicion, switched off, or past its end.
        _require_good_standing(entries, at)
    # 3. Everybody is declared, where that is asked for.
    if profile.refuses_unknown and not all(each.entries for each in declared):
        raise Refusal(Reason.IDENTITY_UNREGISTERED, "Ask for the identity to be added to the registry.")
    if not entries:
        return Known(identity, declared)
    # 4. Kinds agree.
    _require_kinds(identity, declared)
    # 5. Environments agree.
    own = declared[0].entries
    environment = _agreed_environment(identity, own)
    # 6. The credential comes from where it may.
    for entry in _presenting(identity, declared):
        _require_network(entry, request.source.address)
    ends = [entry.expires_at for entry in entries if entry.expires_at is not None]
    if identity.accepted_until is not None:
        ends.append(identity.accepted_until)
    known = replace(
        identity,
        environment=environment,
        registration=own[0] if own else None,
        accepted_until=Instant(min(ends)) if ends else None,
    )
    return Known(known, declared)


def _require_good_standing(entries: Iterable[Registration], at: Instant) -> None:
    for entry in entries:
        if entry.standing is Standing.QUARANTINED:
            raise Refusal(Reason.IDENTITY_QUARANTINED, _OWNER, inner=f"`{entry.name}` is quarantined")
    for entry in entries:
        if entry.standing is Standing.DISABLED:
            raise Refusal(Reason.IDENTITY_DISABLED, _OWNER, inner=f"`{entry.name}` is disabled")
    for entry in entries:
        if entry.expires_at is not None and at >= entry.expires_at:
            raise Refusal(Reason.IDENTITY_EXPIRED, _OWNER, inner=f"`{entry.name}` has ended")


def _require_kinds(identity: Identity, declared: Iterable[Declared]) -> None:
    for party, about in zip(identity.involved, declared, strict=True):
        for entry in about.entries:
            if entry.kind is not None and party.kind is not None and entry.kind is not party.kind:
                inner = f"`{entry.name}` is declared as {entry.kind.value}, proven is {party.kind.value}"
                raise Refusal(Reason.IDENTITY_UNMAPPED, "The registry declares another kind of caller.", inner=inner)


def _agreed_environment(identity: Identity, own: Iterable[Registration]) -> str:
    """Return the one environment that evidence and entries name; empty when none does."""
    agreed = identity.environment
    for entry in own:
        if entry.environment and agreed and entry.environment != agreed:
            inner = f"`{entry.name}` is declared in another environment"
            raise Refusal(Reason.UNEXPECTED_ENVIRONMENT, "The registry declares another environment.", inner=inner)
        agreed = agreed or entry.environment
    return agreed


def _presenting(identity: Identity, declared: tuple[Declared, ...]) -> Iterator[Registration]:
    """Yield every entry about whoever presents the credential."""
    subject = declared[0]
    if identity.actor is None:
        yield from subject.entries
        return
    yield from declared[1].entries
    if subject.by_client is not None:
        yield subject.by_client


def _require_network(entry: Registration, address: str) -> None:
    if not entry.networks:
        return
    source = ipaddress.ip_address(address) if address else None
    if source is None or not any(source in network for network in entry.networks):
        inner = f"`{entry.name}` does not come from here"
        raise Refusal(Reason.UNEXPECTED_NETWORK, "Send the request from a network that is expected.", inner=inner)
