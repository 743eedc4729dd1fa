"""The HTTP status of a denial, and the status code that tells Envoy to deny."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from extauthz.model.identity import Credential
from extauthz.model.reason import REASONS, Reason
from extauthz.model.verdict import Deny, StepUp

if TYPE_CHECKING:
    from extauthz.model.decision import Target

UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403

PERMISSION_DENIED: Final = 7
"""`google.rpc.Code` for whatever has no code of its own."""

_CODES: Final = {400: 3, 401: 16, 403: PERMISSION_DENIED, 405: 12, 413: 8, 429: 8, 503: 14}
"""HTTP status → `google.rpc.Code`. Envoy only looks whether it is 0; the rest is for whoever reads a trace."""


def asks_step_up(deny: Deny) -> bool:
    """Return whether a person is asked to sign in again (RFC 9470).

    Policy puts the remedy there only when a person stands behind the token; without it, `step_up_required` is final,
    because a machine has nobody to send to a sign-in page.
    """
    return REASONS[deny.reason].status in (UNAUTHORIZED, FORBIDDEN) and any(
        isinstance(remedy, StepUp) for remedy in deny.remedies
    )


def has_no_challenge(target: Target | None) -> bool:
    """Return whether callers of a resource prove themselves by what no HTTP authentication scheme is about: TLS."""
    return target is not None and target.credential == Credential.CERTIFICATE


def status_of(deny: Deny, target: Target | None = None) -> int:
    """Return the HTTP status of a denial, the reason's own but for sign-ins, and for client certificates.

    When a sign-in and more scopes are both missing the answer is one 401 that asks for both (RFC 9470 section 3).
    A 401 must hold a challenge (RFC 9110 section 15.5.2). There is none for client certificates, so it is a 403 there.
    """
    if asks_step_up(deny):
        status = UNAUTHORIZED
    elif deny.reason is Reason.STEP_UP_REQUIRED:
        status = FORBIDDEN
    else:
        status = REASONS[deny.reason].status
    return FORBIDDEN if status == UNAUTHORIZED and has_no_challenge(target) else status


def code_of(status: int) -> int:
    """Return the `google.rpc.Code` for an HTTP status; never 0, which would allow."""
    return _CODES.get(status, PERMISSION_DENIED)
