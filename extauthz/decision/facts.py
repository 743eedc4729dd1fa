"""Request + Identity → Facts: what rules may see, as values and as flat variables.

A fact that is not known is left out: an expression that reads it fails, instead of comparing with empty text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from extauthz.model.enquiry import Enquiries
from extauthz.model.facts import Facts
from extauthz.model.identity import Kind, Principal
from extauthz.model.registry import Registration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from extauthz.clock import Instant
    from extauthz.model.decision import Target
    from extauthz.model.facts import AttributeValue
    from extauthz.model.identity import Identity
    from extauthz.model.request import Request

_ATTRIBUTE: Final = "resource."
"""What the names of attributes begin with, as variables."""

_NOBODY: Final = Principal(issuer="", subject="")
_UNDECLARED: Final = Registration(name="")
_KINDS: Final[Mapping[Kind | None, str]] = {None: "", **{kind: kind.value for kind in Kind}}


def gather_facts(  # noqa: PLR0913 — the parts of a decision that rules may see
    request: Request,
    identity: Identity,
    target: Target,
    attributes: Mapping[str, AttributeValue],
    at: Instant,
    *,
    enquiries: Enquiries | None = None,
) -> Facts:
    """Return the facts of one decision.

    Args:
        request: what was asked.
        identity: who asks.
        target: the resource and action that the request means.
        attributes: the resource's attributes by name.
        at: the instant of the decision.
        enquiries: what was answered by others; None where nobody is asked.
    """
    return Facts(
        request=request,
        identity=identity,
        attributes=attributes,
        at=at,
        variables=Variables(request, identity, target, attributes),
        enquiries=Enquiries() if enquiries is None else enquiries,
    )


class Variables(Mapping[str, object]):
    """The facts by flat name. Each is read when a rule asks for it: rules read few of them.

    Args:
        request: what was asked.
        identity: who asks.
        target: the resource and action that the request means.
        attributes: the resource's attributes by name.
    """

    __slots__ = ("_attributes", "identity", "request", "target")

    def __init__(
        self, request: Request, identity: Identity, target: Target, attributes: Mapping[str, AttributeValue]
    ) -> None:
        self.request = request
        self.identity = identity
        self.target = target
        self._attributes = attributes

    def get(self, name: str, default: object = None) -> object:
        """Return a fact, or `default` when it is not known."""
        read = _READ.get(name)
        if read is not None:
            value = read(self)
            if value:
                return value
            return default if value is None or isinstance(value, str) else value
        return self._attributes.get(name.removeprefix(_ATTRIBUTE), default) if name.startswith(_ATTRIBUTE) else default

    def __getitem__(self, name: str) -> object:
        """Return a fact.

        Raises:
            KeyError: it is not known.
        """
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __contains__(self, name: object) -> bool:
        """Return whether a fact is known."""
        return isinstance(name, str) and self.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the facts that are known."""
        yield from (name for name in _READ if name in self)
        yield from (f"{_ATTRIBUTE}{name}" for name in self._attributes)

    def __len__(self) -> int:
        """Return how many facts are known."""
        return sum(1 for _ in self)

    @property
    def actor(self) -> Principal:
        """Return the actor; one of whom nothing is known when the subject itself acts."""
        return self.identity.actor or _NOBODY

    @property
    def registration(self) -> Registration:
        """Return what is declared about the caller; an entry that says nothing when it has none."""
        return self.identity.registration or _UNDECLARED


def _kind(party: Principal) -> str:
    return _KINDS[party.kind]


def _involved_kinds(identity: Identity) -> list[str] | None:
    """Return the kinds of everybody involved; None when one of them is not known."""
    kinds = [_kind(party) for party in identity.involved]
    return kinds if all(kinds) else None


_READ: Final[Mapping[str, Callable[[Variables], object]]] = {
    "identity.kind": lambda seen: _kind(seen.identity.subject),
    "identity.subject": lambda seen: seen.identity.subject.subject,
    "identity.issuer": lambda seen: seen.identity.subject.issuer,
    "identity.client": lambda seen: seen.identity.subject.client,
    "identity.tenant": lambda seen: seen.identity.tenant,
    "identity.session": lambda seen: seen.identity.session,
    "identity.acr": lambda seen: seen.identity.acr,
    "identity.workload": lambda seen: seen.identity.workload,
    "identity.profile": lambda seen: seen.identity.profile,
    "identity.environment": lambda seen: seen.identity.environment,
    "identity.credential": lambda seen: seen.identity.credential.value,
    "identity.binding": lambda seen: seen.identity.binding.value,
    "identity.owner": lambda seen: seen.registration.owner,
    "identity.purpose": lambda seen: seen.registration.purpose,
    "identity.peer_group": lambda seen: seen.registration.peer_group,
    "identity.scopes": lambda seen: sorted(seen.identity.scopes),
    "identity.roles": lambda seen: sorted(seen.identity.subject.roles),
    "identity.groups": lambda seen: sorted(seen.identity.groups),
    "identity.amr": lambda seen: list(seen.identity.amr),
    "identity.human": lambda seen: seen.identity.human,
    "identity.registered": lambda seen: seen.identity.registration is not None,
    "identity.delegated": lambda seen: seen.identity.actor is not None,
    "delegation.depth": lambda seen: len(seen.identity.involved) - 1,
    "transaction.id": lambda seen: seen.identity.transaction,
    "transaction.scopes": lambda seen: sorted(seen.identity.transaction_scopes) if seen.identity.transaction else None,
    "transaction.workloads": lambda seen: (
        list(seen.identity.transaction_workloads) if seen.identity.transaction else None
    ),
    "actor.subject": lambda seen: seen.actor.subject,
    "actor.kind": lambda seen: _kind(seen.actor),
    "actor.issuer": lambda seen: seen.actor.issuer,
    "actor.client": lambda seen: seen.actor.client,
    "involved.kinds": lambda seen: _involved_kinds(seen.identity),
    "request.method": lambda seen: seen.request.method,
    "request.host": lambda seen: seen.request.host,
    "request.path": lambda seen: seen.request.path,
    "source.address": lambda seen: seen.request.source.address,
    "source.principal": lambda seen: seen.request.source.principal,
    "source.sni": lambda seen: seen.request.source.sni,
    "resource.name": lambda seen: seen.target.resource,
    "resource.action": lambda seen: seen.target.action,
}
"""Every fact that all resources have (`policy/names.py`), and how it is read. Empty text means that it is not known."""
