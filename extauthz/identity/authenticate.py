"""The only door from a request to an identity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extauthz.identity.bearer import verify_bearer
from extauthz.identity.credentials import find_bearer
from extauthz.identity.mapping import to_identity
from extauthz.ports import NeedsEvidence

if TYPE_CHECKING:
    from extauthz.clock import Instant
    from extauthz.identity.rules import Profile
    from extauthz.model.identity import Identity
    from extauthz.model.request import Request
    from extauthz.ports import Evidence, KeySource


def authenticate(
    request: Request, profile: Profile, keys: KeySource, evidence: Evidence, at: Instant
) -> Identity | NeedsEvidence:
    """Return the proven caller of a request, or what must be fetched to prove one.

    Args:
        request: the normalised request.
        profile: the verification profile that the resource declares.
        keys: issuers' public keys.
        evidence: what was fetched for this request so far.
        at: the instant of the decision.

    Raises:
        Refusal: the request carries no credential, more than one, or one that does not prove a caller.
    """
    # 1. Exactly one credential.
    unverified_token = find_bearer(request)
    # 2. Proven, or not yet provable.
    verified = verify_bearer(unverified_token, profile, keys, evidence, at)
    if isinstance(verified, NeedsEvidence):
        return verified
    # 3. Who that is.
    return to_identity(verified, profile.name, at)
