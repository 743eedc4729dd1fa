"""Callers as cases state them → identities as the identity stage would prove them."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from extauthz.model.identity import Binding, Credential, Identity, Kind, Principal
from extauthz.model.registry import Registration
from extauthz.policytools.formerror import FormError
from extauthz.policytools.moments import parse_moment

if TYPE_CHECKING:
    from extauthz.clock import Instant
    from extauthz.policy.ruleset import Route
    from extauthz.policytools.caseform import IdentityForm, PartyForm


def to_identity(form: IdentityForm, at: Instant) -> Identity:
    """Return the caller that a case states.

    Args:
        form: the caller.
        at: the instant of the decision, which durations count from.

    Raises:
        FormError: an instant is none.
    """
    return Identity(
        subject=_to_principal(form),
        actor=_to_principal(form.actor) if form.actor is not None else None,
        chain=tuple(_to_principal(party) for party in form.chain),
        tenant=form.tenant,
        session=form.session or form.token_id,
        scopes=frozenset(form.scopes),
        acr=form.acr,
        auth_time=_moment(form, "auth_time", at),
        amr=form.amr,
        groups=frozenset(form.groups),
        token_id=form.token_id,
        workload=form.workload or f"{form.issuer}|{form.client or form.subject}",
        environment=form.environment,
        device=form.device,
        authorization_details=form.authorization_details,
        credential=Credential(form.credential) if form.credential else Credential.NONE,
        binding=Binding(form.binding),
        transaction=form.transaction,
        transaction_scopes=frozenset(form.transaction_scopes),
        transaction_workloads=form.transaction_workloads,
        registration=Registration(**dict(form.registration)) if form.registration is not None else None,
        checked_at=_moment(form, "checked_at", at),
        profile=form.profile,
        issued_at=_moment(form, "issued_at", at),
        expires_at=_moment(form, "expires_at", at),
        claims=MappingProxyType(form.claims),
    )


def for_route(identity: Identity, route: Route) -> Identity:
    """Return a caller who proved itself as the route asks, where the case does not say otherwise."""
    credential = route.credential if identity.credential is Credential.NONE else identity.credential
    return replace(identity, credential=credential, profile=identity.profile or route.verify or "")


def _to_principal(form: PartyForm) -> Principal:
    kind = Kind(form.kind) if form.kind is not None else None
    return Principal(
        issuer=form.issuer, subject=form.subject, kind=kind, client=form.client, roles=frozenset(form.roles)
    )


def _moment(form: IdentityForm, name: str, at: Instant) -> Instant | None:
    text = getattr(form, name)
    if text is None:
        return None
    try:
        return parse_moment(text, at)
    except ValueError as error:
        raise FormError(("identity", name), str(error)) from error
