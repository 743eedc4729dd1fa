"""Roles that the registry binds to parties, where they hold: at this resource, now.

A binding holds when everything that it names has the value that it asks for, by type and content: `tenant` is the
caller's, `resource` the resource's name, and anything else an attribute of the resource. A name that means two things
here (a resource with an attribute `tenant`) must have the value in both, and what is not there has no value.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from extauthz.clock import Instant
from extauthz.model.registry import NOT_DECLARED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from extauthz.identity.standing import Known
    from extauthz.model.decision import Target
    from extauthz.model.facts import AttributeValue
    from extauthz.model.identity import Identity, Principal
    from extauthz.model.registry import RoleBinding


def bind_roles(known: Known, target: Target, attributes: Mapping[str, AttributeValue], at: Instant) -> Identity:
    """Return the caller, everybody involved with the roles that are bound to them here besides their own.

    Args:
        known: a caller, and what is declared about it.
        target: the resource.
        attributes: of the resource.
        at: the instant of the decision.

    Returns:
        The same object when no role is bound here. Its `accepted_until` is at most the end of the first binding that
        holds now, so that a decision that rests on it is not kept for longer.
    """
    identity = known.identity
    if known.declared == (NOT_DECLARED,):  # As nearly always.
        return identity
    holding = [
        tuple([each for each in about.bindings if _holds(each, identity, target, attributes, at)])
        for about in known.declared
    ]
    if not any(holding):
        return identity
    ends = [each.until for bindings in holding for each in bindings if each.until is not None]
    if identity.accepted_until is not None:
        ends.append(identity.accepted_until)
    parties = [_with_roles(party, bound) for party, bound in zip(identity.involved, holding, strict=True)]
    acting = identity.actor is not None
    return replace(
        identity,
        subject=parties[0],
        actor=parties[1] if acting else None,
        chain=tuple(parties[2:]),
        accepted_until=Instant(min(ends)) if ends else None,
    )


def _with_roles(party: Principal, bindings: tuple[RoleBinding, ...]) -> Principal:
    if not bindings:
        return party
    return replace(party, roles=party.roles | {binding.role for binding in bindings})


def _holds(
    binding: RoleBinding,
    identity: Identity,
    target: Target,
    attributes: Mapping[str, AttributeValue],
    at: Instant,
) -> bool:
    if binding.until is not None and at >= binding.until:
        return False
    for name, wanted in binding.where.items():
        values = list(_meant(name, identity, target, attributes))
        # By type too: 1 is not true, though Python finds them equal.
        if not values or any(type(value) is not type(wanted) or value != wanted for value in values):
            return False
    return True


def _meant(
    name: str, identity: Identity, target: Target, attributes: Mapping[str, AttributeValue]
) -> Iterator[AttributeValue]:
    """Yield the values of everything that a name means here."""
    if name == "tenant":
        yield identity.tenant
    if name == "resource":
        yield target.resource
    if name in attributes:
        yield attributes[name]
