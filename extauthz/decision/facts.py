"""Request + Identity → Facts: what rules may see, as values and as flat variables.

A fact that is not known is left out: an expression that reads it fails, instead of comparing with empty text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from extauthz.model.facts import Facts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from extauthz.clock import Instant
    from extauthz.model.decision import Target
    from extauthz.model.facts import AttributeValue
    from extauthz.model.identity import Identity, Principal
    from extauthz.model.request import Request


def gather_facts(
    request: Request,
    identity: Identity,
    target: Target,
    attributes: Mapping[str, AttributeValue],
    at: Instant,
) -> Facts:
    """Return the facts of one decision.

    Args:
        request: what was asked.
        identity: who asks.
        target: the resource and action that the request means.
        attributes: the resource's attributes by name.
        at: the instant of the decision.
    """
    variables: dict[str, object] = dict(_known_texts(request, identity, target))
    variables["identity.scopes"] = sorted(identity.scopes)
    variables["identity.roles"] = sorted(identity.subject.roles)
    variables["identity.groups"] = sorted(identity.groups)
    variables["identity.amr"] = list(identity.amr)
    variables["identity.human"] = identity.human
    variables["identity.registered"] = identity.registration is not None
    variables["identity.delegated"] = identity.actor is not None
    variables["delegation.depth"] = len(identity.involved) - 1
    if identity.transaction:
        variables["transaction.scopes"] = sorted(identity.transaction_scopes)
        variables["transaction.workloads"] = list(identity.transaction_workloads)
    kinds = [party.kind.value for party in identity.involved if party.kind is not None]
    if len(kinds) == len(identity.involved):
        variables["involved.kinds"] = kinds
    variables.update({f"resource.{name}": value for name, value in attributes.items()})
    return Facts(request=request, identity=identity, attributes=attributes, at=at, variables=variables)


def _known_texts(request: Request, identity: Identity, target: Target) -> Iterator[tuple[str, str]]:
    """Yield every text fact that is known, that is, not empty."""
    texts = {
        **_party("identity", identity.subject),
        "identity.tenant": identity.tenant,
        "identity.session": identity.session,
        "identity.acr": identity.acr,
        "identity.workload": identity.workload,
        "identity.profile": identity.profile,
        "identity.environment": identity.environment,
        "identity.credential": identity.credential.value,
        "identity.binding": identity.binding.value,
        **_declared(identity),
        **(_party("actor", identity.actor) if identity.actor is not None else {}),
        "transaction.id": identity.transaction,
        "request.method": request.method,
        "request.host": request.host,
        "request.path": request.path,
        "source.address": request.source.address,
        "source.principal": request.source.principal,
        "source.sni": request.source.sni,
        "resource.name": target.resource,
        "resource.action": target.action,
    }
    return ((name, text) for name, text in texts.items() if text)


def _declared(identity: Identity) -> dict[str, str]:
    entry = identity.registration
    if entry is None:
        return {}
    return {
        "identity.owner": entry.owner,
        "identity.purpose": entry.purpose,
        "identity.peer_group": entry.peer_group,
    }


def _party(name: str, party: Principal) -> dict[str, str]:
    return {
        f"{name}.kind": party.kind.value if party.kind is not None else "",
        f"{name}.subject": party.subject,
        f"{name}.issuer": party.issuer,
        f"{name}.client": party.client,
    }
