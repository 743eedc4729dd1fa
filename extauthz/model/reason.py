"""Reason codes: the stable, documented names of every answer. They are API: add, never rename silently."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """Why a request was answered as it was."""

    ALLOWED = "allowed"
    # Credentials
    NO_CREDENTIALS = "no_credentials"
    CREDENTIALS_AMBIGUOUS = "credentials_ambiguous"
    CREDENTIALS_MALFORMED = "credentials_malformed"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 — a reason code, not a password
    TOKEN_NOT_YET_VALID = "token_not_yet_valid"  # noqa: S105 — a reason code, not a password
    TOKEN_TOO_OLD = "token_too_old"  # noqa: S105 — a reason code, not a password
    SIGNATURE_INVALID = "signature_invalid"
    ISSUER_UNKNOWN = "issuer_unknown"
    AUDIENCE_MISMATCH = "audience_mismatch"
    TOKEN_TYPE_WRONG = "token_type_wrong"  # noqa: S105 — a reason code, not a password
    BINDING_MISSING = "binding_missing"
    BINDING_MISMATCH = "binding_mismatch"
    PROOF_INVALID = "proof_invalid"
    PROOF_REPLAYED = "proof_replayed"
    PROOF_NONCE_REQUIRED = "proof_nonce_required"
    IDENTITY_UNMAPPED = "identity_unmapped"
    # State
    TOKEN_REVOKED = "token_revoked"  # noqa: S105 — a reason code, not a password
    SESSION_REVOKED = "session_revoked"
    IDENTITY_UNREGISTERED = "identity_unregistered"
    IDENTITY_QUARANTINED = "identity_quarantined"
    IDENTITY_DISABLED = "identity_disabled"
    IDENTITY_EXPIRED = "identity_expired"
    # Policy
    NO_RESOURCE = "no_resource"
    NO_PERMIT = "no_permit"
    FORBIDDEN = "forbidden"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    AUTHORIZATION_DETAILS_MISSING = "authorization_details_missing"
    ROLE_MISSING = "role_missing"
    TENANT_MISMATCH = "tenant_mismatch"
    STEP_UP_REQUIRED = "step_up_required"
    UNEXPECTED_ENVIRONMENT = "unexpected_environment"
    UNEXPECTED_NETWORK = "unexpected_network"
    APPROVAL_REQUIRED = "approval_required"
    TICKET_REQUIRED = "ticket_required"
    OUTSIDE_CHANGE_WINDOW = "outside_change_window"
    POSTURE_MISSING = "posture_missing"
    POSTURE_STALE = "posture_stale"
    POSTURE_NONCOMPLIANT = "posture_noncompliant"
    TASK_MISSING = "task_missing"
    TASK_BOUNDARY = "task_boundary"
    BUDGET_EXHAUSTED = "budget_exhausted"
    RATE_EXCEEDED = "rate_exceeded"
    SESSION_ENDED = "session_ended"
    RISK_TOO_HIGH = "risk_too_high"
    UNFAMILIAR_ACTION = "unfamiliar_action"
    WORKFLOW_DEPARTURE = "workflow_departure"
    TOOL_NOT_ALLOWED = "tool_not_allowed"
    EXTERNAL_DENIED = "external_denied"
    PLUGIN_DENIED = "plugin_denied"
    # Request
    MALFORMED_REQUEST = "malformed_request"
    REQUEST_TOO_LARGE = "request_too_large"
    UNREADABLE_BODY = "unreadable_body"
    UPGRADE_NOT_ALLOWED = "upgrade_not_allowed"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    # Ours
    PROXY_UNAUTHENTICATED = "proxy_unauthenticated"
    PROXY_OUT_OF_BOUNDS = "proxy_out_of_bounds"
    EVIDENCE_UNAVAILABLE = "evidence_unavailable"
    STATE_STALE = "state_stale"
    SIGNALS_STALE = "signals_stale"
    OVERLOADED = "overloaded"
    EVALUATION_FAILED = "evaluation_failed"
    INTERNAL_ERROR = "internal_error"


@dataclass(frozen=True, slots=True)
class ReasonSpec:
    """What a reason code means to the outside.

    Attributes:
        status: HTTP status of the denial; must exist in Envoy's `type.v3.StatusCode`.
        title: the fixed sentence for people (RFC 9457 `title`); it never varies with the request.
        error: the OAuth error code in `WWW-Authenticate` (RFC 6750 section 3.1, RFC 9470 section 3), None where the
            challenge carries none, or where there is no challenge.
        challenge: whether the denial carries `WWW-Authenticate` at all.
    """

    status: int
    title: str
    error: str | None = None
    challenge: bool = False


def _token(title: str) -> ReasonSpec:
    return ReasonSpec(401, title, error="invalid_token", challenge=True)


def _ours(title: str) -> ReasonSpec:
    return ReasonSpec(503, title)


REASONS: Final[dict[Reason, ReasonSpec]] = {
    Reason.NO_CREDENTIALS: ReasonSpec(401, "A credential is required.", challenge=True),
    Reason.CREDENTIALS_AMBIGUOUS: ReasonSpec(
        400, "The request carries more than one credential.", error="invalid_request", challenge=True
    ),
    Reason.CREDENTIALS_MALFORMED: ReasonSpec(
        401, "The credential is not well-formed.", error="invalid_token", challenge=True
    ),
    Reason.TOKEN_EXPIRED: _token("The token has expired."),
    Reason.TOKEN_NOT_YET_VALID: _token("The token is not valid yet."),
    Reason.TOKEN_TOO_OLD: _token("The token lives longer, or is older, than this resource accepts."),
    Reason.SIGNATURE_INVALID: _token("The token's signature does not verify."),
    Reason.ISSUER_UNKNOWN: _token("The token's issuer is not accepted here."),
    Reason.AUDIENCE_MISMATCH: _token("The token was issued for another audience."),
    Reason.TOKEN_TYPE_WRONG: _token("The token is of the wrong type."),
    Reason.BINDING_MISSING: _token("The token must be bound to its sender."),
    Reason.BINDING_MISMATCH: _token("The token is bound to another sender."),
    Reason.PROOF_INVALID: ReasonSpec(
        401, "The proof of possession does not hold.", error="invalid_dpop_proof", challenge=True
    ),
    Reason.PROOF_REPLAYED: ReasonSpec(
        401, "The proof of possession was used before.", error="invalid_dpop_proof", challenge=True
    ),
    Reason.PROOF_NONCE_REQUIRED: ReasonSpec(
        401, "The proof of possession must hold a nonce of ours.", error="use_dpop_nonce", challenge=True
    ),
    Reason.TOKEN_REVOKED: _token("The token is revoked, or no longer active."),
    Reason.SESSION_REVOKED: _token("The session, or the sign-in, that the token comes from is revoked."),
    Reason.IDENTITY_UNREGISTERED: ReasonSpec(403, "The caller is proven, but not declared here."),
    Reason.IDENTITY_QUARANTINED: ReasonSpec(403, "The caller, or somebody it acts for, is quarantined."),
    Reason.IDENTITY_DISABLED: ReasonSpec(403, "The caller, or somebody it acts for, is disabled."),
    Reason.IDENTITY_EXPIRED: ReasonSpec(403, "The caller's registration, or that of somebody it acts for, has ended."),
    Reason.IDENTITY_UNMAPPED: ReasonSpec(403, "The caller is proven, but not of a kind that is known here."),
    Reason.NO_RESOURCE: ReasonSpec(403, "Nothing is declared at this address."),
    Reason.NO_PERMIT: ReasonSpec(403, "No permit allows this caller to do this."),
    Reason.FORBIDDEN: ReasonSpec(403, "A rule forbids this."),
    Reason.INSUFFICIENT_SCOPE: ReasonSpec(403, "The token lacks a scope.", error="insufficient_scope", challenge=True),
    Reason.AUTHORIZATION_DETAILS_MISSING: ReasonSpec(403, "The token does not grant this right."),
    Reason.ROLE_MISSING: ReasonSpec(403, "The caller lacks a role."),
    Reason.TENANT_MISMATCH: ReasonSpec(403, "The caller belongs to another tenant."),
    Reason.STEP_UP_REQUIRED: ReasonSpec(
        401, "A stronger or more recent sign-in is needed.", error="insufficient_user_authentication", challenge=True
    ),
    Reason.UNEXPECTED_ENVIRONMENT: ReasonSpec(403, "The caller belongs to another environment."),
    Reason.UNEXPECTED_NETWORK: ReasonSpec(403, "The request comes from a network that is not expected."),
    Reason.APPROVAL_REQUIRED: ReasonSpec(403, "Somebody has to approve this first."),
    Reason.TICKET_REQUIRED: ReasonSpec(403, "A ticket that covers this is needed."),
    Reason.OUTSIDE_CHANGE_WINDOW: ReasonSpec(403, "This is only done in a change window."),
    Reason.POSTURE_MISSING: ReasonSpec(403, "Nothing is known about the state of the device."),
    Reason.POSTURE_STALE: ReasonSpec(403, "What is known about the state of the device is too old."),
    Reason.POSTURE_NONCOMPLIANT: ReasonSpec(403, "The device is not in the state that is asked for."),
    Reason.TASK_MISSING: ReasonSpec(403, "The caller has no task now."),
    Reason.TASK_BOUNDARY: ReasonSpec(403, "This is not part of the caller's task."),
    Reason.BUDGET_EXHAUSTED: ReasonSpec(403, "The budget for this is used up."),
    Reason.RATE_EXCEEDED: ReasonSpec(429, "This was done too often."),
    Reason.SESSION_ENDED: ReasonSpec(403, "The caller's session has ended, or is not known."),
    Reason.RISK_TOO_HIGH: ReasonSpec(403, "The risk is too high at the moment."),
    Reason.UNFAMILIAR_ACTION: ReasonSpec(403, "The caller never did this before."),
    Reason.WORKFLOW_DEPARTURE: ReasonSpec(403, "This is not the next step of the caller's workflow."),
    Reason.TOOL_NOT_ALLOWED: ReasonSpec(403, "This tool or method is not meant for this caller."),
    Reason.EXTERNAL_DENIED: ReasonSpec(403, "Another decision point does not allow this."),
    Reason.PLUGIN_DENIED: ReasonSpec(403, "A check that was added here does not allow this."),
    Reason.MALFORMED_REQUEST: ReasonSpec(400, "The request can be read in more than one way."),
    Reason.REQUEST_TOO_LARGE: ReasonSpec(413, "The request is too large to be decided."),
    Reason.UNREADABLE_BODY: ReasonSpec(400, "The request body cannot be read."),
    Reason.UPGRADE_NOT_ALLOWED: ReasonSpec(403, "Protocol upgrades are not declared here."),
    Reason.METHOD_NOT_ALLOWED: ReasonSpec(405, "The method is not declared here."),
    Reason.PROXY_UNAUTHENTICATED: _ours("The proxy that asked is not known."),
    Reason.PROXY_OUT_OF_BOUNDS: ReasonSpec(403, "The proxy that asked may not ask about this."),
    Reason.EVIDENCE_UNAVAILABLE: _ours("Something needed for the decision cannot be reached now."),
    Reason.STATE_STALE: _ours("What has been revoked is not known well enough at the moment."),
    Reason.SIGNALS_STALE: _ours("Nothing was heard for too long from who reports changes about the caller."),
    Reason.OVERLOADED: _ours("Too many decisions are waiting."),
    Reason.EVALUATION_FAILED: _ours("A rule could not be evaluated."),
    Reason.INTERNAL_ERROR: _ours("The decision could not be made."),
}
"""Outward meaning of every reason except `allowed`."""
