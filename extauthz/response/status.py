"""The HTTP status of a denial, and the status code that tells Envoy to deny."""

from __future__ import annotations

from typing import Final

from extauthz.model.reason import REASONS, Reason
from extauthz.model.verdict import Deny, StepUp

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


def status_of(deny: Deny) -> int:
    """Return the HTTP status of a denial, the reason's own but for sign-ins.

    When a sign-in and more scopes are both missing the answer is one 401 that asks for both (RFC 9470 section 3).
    """
    if asks_step_up(deny):
        return UNAUTHORIZED
    if deny.reason is Reason.STEP_UP_REQUIRED:
        return FORBIDDEN
    return REASONS[deny.reason].status


def code_of(status: int) -> int:
    """Return the `google.rpc.Code` for an HTTP status; never 0, which would allow."""
    return _CODES.get(status, PERMISSION_DENIED)
