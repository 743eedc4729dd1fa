"""Proves an access token, whatever scheme it came under: by its signature or its issuer's word, and not revoked.

1. A token of an issuer with opaque tokens: what the issuer answers about it (`opaque.py`).
2. Any other: the argument for JWTs (`bearer.py`). Where the resource asks for a fresh look, its issuer is asked too.
3. Only then its status list is looked at (`status_list.py`).

The caller goes on to prove what `cnf` binds the token to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from extauthz.identity.bearer import VerifiedClaims, verify_bearer
from extauthz.identity.opaque import find_asked, require_still_active, verify_opaque
from extauthz.identity.status_list import look_up_status
from extauthz.ports import NeedsEvidence

if TYPE_CHECKING:
    from extauthz.clock import Instant
    from extauthz.identity.credentials import UnverifiedToken
    from extauthz.identity.rules import Profile
    from extauthz.identity.sources import Sources


def prove_access_token(
    unverified_token: UnverifiedToken, profile: Profile, sources: Sources, at: Instant
) -> VerifiedClaims | NeedsEvidence:
    """Return what the issuer says in or about an access token, or what must be fetched first.

    Args:
        unverified_token: what the client sent.
        profile: who is believed, and for which audience.
        sources: what may be looked at.
        at: the instant of the decision.

    Raises:
        Refusal: it is not proven; the reason says why not.
    """
    sources.ledger.note(*profile.rests_on)
    asked = find_asked(unverified_token, profile)
    if asked is not None:
        # 1. Asked about.
        verified = verify_opaque(unverified_token, asked, profile, sources, at)
    else:
        # 2. Signed.
        verified = verify_bearer(unverified_token, profile, sources.keys, sources.evidence, at, proof_follows=True)
        if sources.max_check_age is not None and not isinstance(verified, NeedsEvidence):
            verified = require_still_active(unverified_token, verified, sources, at, sources.max_check_age)
    # 3. Not revoked.
    return verified if isinstance(verified, NeedsEvidence) else look_up_status(verified, sources, at)
