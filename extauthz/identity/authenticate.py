"""The only door from a request to an identity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extauthz.errors import Refusal
from extauthz.identity.bearer import verify_bearer
from extauthz.identity.credentials import find_bearer
from extauthz.identity.mapping import to_identity
from extauthz.identity.sources import Proven
from extauthz.model.identity import Credential
from extauthz.model.reason import Reason
from extauthz.ports import NeedsEvidence

if TYPE_CHECKING:
    from extauthz.clock import Instant
    from extauthz.identity.rules import Profile
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
        Refusal: the request carries no credential, more than one, or one that does not prove a caller.
    """
    match credential:
        case Credential.BEARER:
            return _by_bearer(request, profile, sources, at)
        case _:
            raise Refusal(Reason.EVALUATION_FAILED, inner=f"nobody verifies the credential {credential.value}")


def _by_bearer(request: Request, profile: Profile, sources: Sources, at: Instant) -> Proven | NeedsEvidence:
    # 1. Exactly one credential.
    unverified_token = find_bearer(request)
    # 2. Proven, or not yet provable.
    sources.ledger.note(*profile.rests_on)
    verified = verify_bearer(unverified_token, profile, sources.keys, sources.evidence, at)
    if isinstance(verified, NeedsEvidence):
        return verified
    # 3. Who that is.
    return Proven(to_identity(verified, profile.name, at))
