"""Transaction tokens (OAuth Transaction Tokens, IETF draft): what a chain of calls is about, in the header `Txn-Token`.

1. Exactly one, in one line; a comma is in none. Where the profile reads none, the header is not looked at, and the
   answer strips it.
2. One compact JWS with `typ` `txntoken+jwt`, so that no access token stands in for one, nor the other way round.
3. Signed by the one service that the profile names, with an algorithm and a key of that service's own set. `iss` may be
   missing; where it is there, it names that service.
4. `aud` names our trust domain exactly; `iat`, `exp`, `txn`, `sub`, `scope` and `req_wl` are there with their types.
5. Now lies within its life, which is bounded.

It is context and proves no caller: `sub` is whom the transaction is about, not who asks. The caller proves itself
besides. One that does not hold refuses the request, since whoever sent it meant it to count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from extauthz.errors import Refusal
from extauthz.identity.claims import refuse_claim, required_text, scopes_of, text_of, texts_of
from extauthz.identity.rules import Shape
from extauthz.identity.signed import (
    accepted_until,
    find_key,
    parse_token,
    read_life,
    verify_algorithm,
    verify_audience,
    verify_signed,
    verify_times,
    verify_type,
)
from extauthz.model.reason import Reason
from extauthz.ports import NeedsEvidence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.clock import Instant
    from extauthz.identity.rules import TransactionRules
    from extauthz.identity.sources import Sources
    from extauthz.model.request import Request

HEADER: Final = "txn-token"

_SHAPE: Final = Shape(name="transaction", types=frozenset({"txntoken+jwt", "application/txntoken+jwt"}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """What a verified transaction token says.

    Attributes:
        id: `txn`.
        scopes: what the transaction is for.
        workloads: who asked for the token, the first one first (`req_wl`).
        accepted_until: the first instant at which it may no longer be accepted.
    """

    id: str
    scopes: frozenset[str]
    workloads: tuple[str, ...]
    accepted_until: Instant


def find_transaction(
    request: Request, rules: TransactionRules, sources: Sources, at: Instant
) -> Transaction | NeedsEvidence | None:
    """Return the transaction that a request belongs to, None when it names none, or what must be fetched first.

    Raises:
        Refusal: the header is there and does not hold.
    """
    # 1. Exactly one.
    lines = request.headers.all(HEADER)
    if not lines:
        return None
    if len(lines) > 1 or "," in lines[0]:
        raise Refusal(Reason.CREDENTIALS_AMBIGUOUS, "Send exactly one Txn-Token.")
    try:
        return _verify(lines[0], rules, sources, at)
    except Refusal as refusal:
        raise Refusal(refusal.reason, f"In Txn-Token: {refusal.detail}", inner=refusal.inner) from None


def _verify(
    unverified_token: str, rules: TransactionRules, sources: Sources, at: Instant
) -> Transaction | NeedsEvidence:
    # 2. Type.
    jws, unverified_claims = parse_token(unverified_token)
    verify_type(jws, _SHAPE)
    # 3. Issuer and signature.
    if unverified_claims.get("iss", rules.rules.issuer) != rules.rules.issuer:
        raise Refusal(Reason.ISSUER_UNKNOWN, "Use the transaction token service of this trust domain.")
    verify_algorithm(jws, rules.rules)
    key = find_key(jws, rules.rules, sources.keys, sources.evidence)
    if isinstance(key, NeedsEvidence):
        return key
    verify_signed(jws, key)
    claims = unverified_claims
    # 4. Audience and claims.
    verify_audience(claims, rules.audience)
    required_text(claims, "sub")
    transaction, workloads, scopes = required_text(claims, "txn"), _workloads(claims), _scopes(claims)
    # 5. Times.
    life = read_life(claims, issued_at_required=True)
    verify_times(life, rules.rules, at)
    return Transaction(
        id=transaction, scopes=scopes, workloads=workloads, accepted_until=accepted_until(life, rules.rules)
    )


def _workloads(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """Return who asked for the token; a token that replaced another one lists several."""
    value = claims.get("req_wl")
    workloads = texts_of(value, "req_wl") if isinstance(value, list) else (text_of(value, "req_wl"),)
    if not workloads:
        refuse_claim("req_wl", "not empty")
    return workloads


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    scopes = scopes_of(claims)
    if not scopes:
        refuse_claim("scope", "there, with at least one scope")
    return scopes
