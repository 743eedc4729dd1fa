"""The only door from a request to an identity."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from extauthz.errors import Refusal
from extauthz.identity.access_token import prove_access_token
from extauthz.identity.apikey import prove_api_key
from extauthz.identity.binding import verify_binding, verify_way
from extauthz.identity.credentials import find_bearer, find_dpop_token
from extauthz.identity.dpop import verify_possession
from extauthz.identity.mapping import to_identity
from extauthz.identity.sources import Proven
from extauthz.identity.transaction import find_transaction
from extauthz.identity.workload import verify_workload
from extauthz.model.identity import Binding, Credential
from extauthz.model.reason import Reason
from extauthz.model.state import StateName
from extauthz.ports import NeedsEvidence

if TYPE_CHECKING:
    from extauthz.clock import Instant
    from extauthz.identity.dpop import DpopRules
    from extauthz.identity.rules import Profile, TransactionRules
    from extauthz.identity.sources import Sources
    from extauthz.model.request import Request


def authenticate(
    request: Request, credential: Credential, profile: Profile, sources: Sources, at: Instant
) -> Proven | NeedsEvidence:
    """Return the proven caller of a request, or what must be fetched to prove one.

    Args:
        request: the normalised request.
        credential: how the resource says that callers prove themselves.
        profile: the verification profile that the resource declares.
        sources: what may be looked at.
        at: the instant of the decision.

    Raises:
        Refusal: the request carries no credential, more than one, or one that does not prove a caller; or it belongs
            to a transaction that does not hold.
    """
    proven = _prove(request, credential, profile, sources, at)
    if profile.transactions is None or isinstance(proven, NeedsEvidence):
        return proven
    return _within_transaction(proven, request, profile.transactions, sources, at)


def _prove(
    request: Request, credential: Credential, profile: Profile, sources: Sources, at: Instant
) -> Proven | NeedsEvidence:
    match credential:
        case Credential.BEARER:
            return _by_bearer(request, profile, sources, at)
        case Credential.DPOP if profile.dpop is not None:
            return _by_dpop(request, profile, profile.dpop, sources, at)
        case Credential.CERTIFICATE:
            sources.ledger.note(*profile.certificates.rests_on)
            return Proven(verify_workload(request, profile.certificates, sources, profile.name, at))
        case Credential.API_KEY:
            return Proven(prove_api_key(request, profile, sources, at))
        case _:
            raise Refusal(Reason.EVALUATION_FAILED, inner=f"nobody verifies the credential {credential.value}")


def _within_transaction(
    proven: Proven, request: Request, rules: TransactionRules, sources: Sources, at: Instant
) -> Proven | NeedsEvidence:
    """Return the caller with the transaction that the request belongs to, if any; it is context and proves nobody."""
    sources.ledger.note(StateName("keys", rules.rules.issuer))
    transaction = find_transaction(request, rules, sources, at)
    if transaction is None or isinstance(transaction, NeedsEvidence):
        return transaction or proven
    until = transaction.accepted_until
    identity = replace(
        proven.identity,
        transaction=transaction.id,
        transaction_scopes=transaction.scopes,
        transaction_workloads=transaction.workloads,
        accepted_until=min(until, proven.identity.accepted_until or until),
    )
    return replace(proven, identity=identity)


def _by_bearer(request: Request, profile: Profile, sources: Sources, at: Instant) -> Proven | NeedsEvidence:
    # 1. Exactly one credential.
    unverified_token = find_bearer(request)
    # 2. Proven, or not yet provable.
    verified = prove_access_token(unverified_token, profile, sources, at)
    if isinstance(verified, NeedsEvidence):
        return verified
    # 3. Its sender is the one that it was made for.
    binding = verify_binding(verified.claims, profile.binding, request, profile.certificates.forwarded)
    # 4. Who that is.
    return Proven(to_identity(verified, profile.name, at, binding=binding))


def _by_dpop(
    request: Request, profile: Profile, rules: DpopRules, sources: Sources, at: Instant
) -> Proven | NeedsEvidence:
    # 1. Exactly one credential.
    unverified_token = find_dpop_token(request)
    # 2. The token is proven, or not yet provable.
    verified = prove_access_token(unverified_token, profile, sources, at)
    if isinstance(verified, NeedsEvidence):
        return verified
    # 3. Its sender holds the key that it is bound to, which is a way that the profile accepts.
    verify_way(Binding.DPOP, profile.binding)
    possession = verify_possession(request, unverified_token, verified.claims, rules, nonces=sources.nonces, at=at)
    # 4. Who that is.
    identity = to_identity(verified, profile.name, at, credential=Credential.DPOP, binding=Binding.DPOP)
    return Proven(identity, (possession.spend,), possession.next_nonce)
