"""What proving a caller may look at, and what it results in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from extauthz.model.wide import wide
from extauthz.nothing import NOTHING
from extauthz.ports import NO_EVIDENCE

if TYPE_CHECKING:
    from extauthz.identity.authorities import AuthoritySource
    from extauthz.ledger import Ledger
    from extauthz.model.identity import Identity
    from extauthz.model.spend import Spend
    from extauthz.ports import (
        ApiKeySource,
        Evidence,
        IntrospectionSource,
        KeySource,
        NonceSource,
        StatusListSource,
    )


@wide
@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Everything in memory that can prove or disprove a credential.

    Attributes:
        keys: issuers' public keys.
        introspections: answers of issuers about tokens.
        status_lists: lists of revoked tokens.
        api_keys: API keys of ours.
        nonces: for DPoP proofs; None when none are asked for.
        authorities: who may vouch for client certificates.
        evidence: what was fetched for this request so far.
        max_check_age: how old, in seconds, an issuer's word about a token may be here, which then is needed for JWTs as
            well; None where any that is kept will do.
        ledger: takes the name of every fact before it is looked at.
    """

    keys: KeySource
    ledger: Ledger
    introspections: IntrospectionSource = NOTHING
    status_lists: StatusListSource = NOTHING
    api_keys: ApiKeySource = NOTHING
    nonces: NonceSource | None = None
    authorities: AuthoritySource = NOTHING
    evidence: Evidence = NO_EVIDENCE
    max_check_age: float | None = None


@dataclass(frozen=True, slots=True)
class Proven:
    """A proven caller.

    Attributes:
        identity: who it is.
        spends: what must be spent before the request may be allowed (the `jti` of a DPoP proof).
        next_nonce: the nonce for the caller's next DPoP proof; empty when it has it, or none is asked for.
    """

    identity: Identity
    spends: tuple[Spend, ...] = ()
    next_nonce: str = ""
