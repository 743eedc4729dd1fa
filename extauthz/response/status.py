"""The HTTP status of a denial, and the status code that tells Envoy to deny."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from extauthz.model.identity import Credential
from extauthz.model.reason import REASONS, Reason
from extauthz.model.verdict import StepUp

if TYPE_CHECKING:
    from extauthz.model.decision import Target
    from extauthz.model.verdict import Deny, Remedy

UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403

PERMISSION_DENIED: Final = 7
"""`google.rpc.Code` for whatever has no code of its own."""

_CODES: Final = {400: 3, 401: 16, 403: PERMISSION_DENIED, 405: 12, 413: 8, 429: 8, 503: 14}
"""HTTP status → `google.rpc.Code`. Envoy only looks whether it is 0; the rest is for whoever reads a trace."""


def asks_step_up(reason: Reason, remedies: tuple[Remedy, ...]) -> bool:
    """Return whether a person is asked to sign in again (RFC 9470).

    Policy puts the remedy there only when a person stands behind the token; without it, `step_up_required` is final,
    because a machine has nobody to send to a sign-in page.
    """
    if not remedies:
        return False
    return REASONS[reason].status in (UNAUTHORIZED, FORBIDDEN) and any(
        isinstance(remedy, StepUp) for remedy in remedies
    )


def has_no_challenge(credential: str) -> bool:
    """Return whether callers of a resource prove themselves by what no HTTP authentication scheme is about: TLS."""
    return credential == Credential.CERTIFICATE


def status_of(deny: Deny, target: Target | None = None) -> int:
    """Return the HTTP status of a denial: but for client certificates, `own_status`.

    A 401 must hold a challenge (RFC 9110 section 15.5.2). There is none for client certificates, so it is a 403 there.
    """
    status = own_status(deny.reason, deny.remedies)
    if status == UNAUTHORIZED and target is not None and has_no_challenge(target.credential):
        return FORBIDDEN
    return status


def own_status(reason: Reason, remedies: tuple[Remedy, ...]) -> int:
    """Return the HTTP status of a denial wherever it happens, the reason's own but for sign-ins.

    When a sign-in and more scopes are both missing the answer is one 401 that asks for both (RFC 9470 section 3).
    """
    if asks_step_up(reason, remedies):
        return UNAUTHORIZED
    return FORBIDDEN if reason is Reason.STEP_UP_REQUIRED else REASONS[reason].status


def code_of(status: int) -> int:
    """Return the `google.rpc.Code` for an HTTP status; never 0, which would allow."""
    return _CODES.get(status, PERMISSION_DENIED)
