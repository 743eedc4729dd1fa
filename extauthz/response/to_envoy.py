"""Decision → serialised `envoy.service.auth.v3.CheckResponse`.

What Envoy does with an answer shapes this file:

1. Status code 0 allows, whatever else the message holds, and an empty message has code 0. So every denial is built from
   its non-zero code on, and only an `Allow` ever sets 0.
2. `error_response` obeys `failure_mode_allow` and lets requests through. It is never used: our own failures are
   `denied_response` with 503.
3. Envoys differ in which of `append` and `append_action` they obey. Both are always set, and both mean overwrite.
4. An exception here would be an RPC error, which Envoy may let through. `to_envoy` does not raise: whatever goes wrong
   inside, the answer is `UNANSWERABLE`, a denial made and checked when this module is imported.
"""

from __future__ import annotations

import contextlib
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import structlog

from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from extauthz.gen.envoy.type.v3.http_status_pb2 import StatusCode
from extauthz.ids import DecisionId
from extauthz.model.reason import REASONS, Reason
from extauthz.model.verdict import Allow, Deny
from extauthz.response.challenge import find_allow_header, find_challenge, find_nonce_header, find_retry_header
from extauthz.response.header_text import to_header_value
from extauthz.response.metadata import to_metadata
from extauthz.response.problem import CONTENT_TYPE, to_problem
from extauthz.response.status import code_of, status_of
from extauthz.response.upstream import OWN_NAMES, to_observed_upstream, to_upstream
from extauthz.response.wire import (
    ALLOWING_STATUS,
    BODY,
    DENIED_RESPONSE,
    DYNAMIC_METADATA,
    OK_RESPONSE,
    RESPONSE_HEADERS,
    delimited,
    denial_status,
    header_option,
    http_status,
    metadata_member,
    removals,
)

if TYPE_CHECKING:
    from extauthz.model.decision import Decision

_log = structlog.get_logger(__name__)


def to_envoy(decision: Decision) -> bytes:
    """Return the answer for Envoy.

    It allows only if the decision does. A decision that cannot be put into an answer (an identity too long for a
    header, an allow that does not say what was asked) becomes the 503 denial `UNANSWERABLE`; where it is only observed,
    `LET_THROUGH`.
    """
    try:
        verdict = decision.verdict
        said = _allowed(decision) if isinstance(verdict, Allow) else _denied(verdict, decision)
        return said + delimited(DYNAMIC_METADATA, to_metadata(decision))
    except Exception as error:  # noqa: BLE001 — the last step: an exception would be an RPC error, which may let through
        with contextlib.suppress(Exception):  # A log that cannot be written must not change the answer either.
            _log.exception("answer could not be built", error=type(error).__name__)
        return UNANSWERABLE if decision.observed is None else LET_THROUGH


def _allowed(decision: Decision) -> bytes:
    """Return a serialised `CheckResponse` with `status` and `ok_response`."""
    changes = _upstream(decision)
    nonce = find_nonce_header(decision.next_nonce)
    if nonce is not None:
        # A stored answer would hand out an old nonce (RFC 9449 section 8.2).
        changes += header_option("dpop-nonce", nonce, RESPONSE_HEADERS)
        changes += header_option("cache-control", "no-store", RESPONSE_HEADERS)
    return ALLOWING_STATUS + delimited(OK_RESPONSE, changes)


def _upstream(decision: Decision) -> bytes:
    if decision.observed is not None:
        return to_observed_upstream(decision, decision.request)
    if decision.request is None or decision.target is None:
        message = "an allow must say what was asked"
        raise ValueError(message)
    return to_upstream(decision, decision.request, decision.target)


def _denied(deny: Deny, decision: Decision) -> bytes:
    """Return a serialised `CheckResponse` with a `status` other than 0 and `denied_response`."""
    status = status_of(deny, decision.target)
    headers = [header_option(name, text) for name, text in _denial_headers(deny, decision)]
    body = to_problem(deny, decision.decision_id, decision.target)
    denied = b"".join([_opening(deny.reason, status), *headers, delimited(BODY, body.encode())])
    return denial_status(code_of(status), deny.reason.value) + delimited(DENIED_RESPONSE, denied)


@lru_cache(maxsize=256)
def _opening(reason: Reason, status: int) -> bytes:
    """Return what each `denied_response` for a reason begins with: HTTP status and headers."""
    fixed = (("content-type", CONTENT_TYPE), ("cache-control", "no-store"), ("x-extauthz-reason", reason.value))
    return http_status(status) + b"".join([header_option(name, text) for name, text in fixed])


def _denial_headers(deny: Deny, decision: Decision) -> list[tuple[str, str]]:
    headers = [("x-extauthz-decision-id", to_header_value(decision.decision_id))]
    challenge = find_challenge(deny, decision.target)
    if challenge is not None:
        headers.append(("www-authenticate", challenge))
    allow = find_allow_header(deny) if deny.remedies else None
    if allow is not None:
        headers.append(("allow", allow))
    retry = find_retry_header(deny, decision.at) if deny.remedies else None
    if retry is not None:
        headers.append(("retry-after", retry))
    nonce = find_nonce_header(decision.next_nonce)
    if nonce is not None:
        headers.append(("dpop-nonce", nonce))
    return headers


def _unanswerable() -> bytes:
    """Return the denial for decisions that cannot be put into an answer.

    Raises:
        RuntimeError: it would not deny; the program must not start.
    """
    deny = Deny(reason=Reason.INTERNAL_ERROR)
    status = status_of(deny)
    body = to_problem(deny, DecisionId("")).encode()
    metadata = metadata_member("outcome", b"deny") + metadata_member("reason", deny.reason.value.encode())
    serialised = (
        denial_status(code_of(status), deny.reason.value)
        + delimited(DENIED_RESPONSE, _opening(deny.reason, status) + delimited(BODY, body))
        + delimited(DYNAMIC_METADATA, metadata)
    )
    read_back = CheckResponse.FromString(serialised)
    if not read_back.status.code or read_back.WhichOneof("http_response") != "denied_response":
        message = "the prepared denial does not deny"
        raise RuntimeError(message)
    return serialised


def _require_known_statuses() -> None:
    """Envoy refuses statuses that its enum does not hold.

    Raises:
        RuntimeError: a reason has such a status; the program must not start.
    """
    for reason, spec in REASONS.items():
        if spec.status not in StatusCode.values():
            message = f"{reason.value}: Envoy does not know status {spec.status}"
            raise RuntimeError(message)


_require_known_statuses()
UNANSWERABLE: Final = _unanswerable()
"""A serialised 503 denial."""

LET_THROUGH: Final = ALLOWING_STATUS + delimited(OK_RESPONSE, removals(OWN_NAMES))
"""A serialised allow for requests that are only observed, when there is nothing to say about them. It sets nothing."""
