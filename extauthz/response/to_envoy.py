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
from typing import TYPE_CHECKING, Final, cast

import structlog

from extauthz.gen.envoy.config.core.v3.base_pb2 import HeaderValueOption
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from extauthz.gen.envoy.type.v3.http_status_pb2 import StatusCode
from extauthz.ids import DecisionId
from extauthz.model.reason import REASONS, Reason
from extauthz.model.verdict import Allow, Deny
from extauthz.response.challenge import find_allow_header, find_challenge
from extauthz.response.header_text import to_header_value
from extauthz.response.metadata import to_metadata
from extauthz.response.problem import CONTENT_TYPE, to_problem
from extauthz.response.status import PERMISSION_DENIED, code_of, status_of
from extauthz.response.upstream import to_upstream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

    from extauthz.model.decision import Decision

_log = structlog.get_logger(__name__)

_OVERWRITE: Final = HeaderValueOption.HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD


def to_envoy(decision: Decision) -> bytes:
    """Return the answer for Envoy.

    It allows only if the decision does. A decision that cannot be put into an answer (an identity too long for a
    header, an allow that does not say what was asked) becomes the 503 denial `UNANSWERABLE`.
    """
    try:
        return _answer(decision).SerializeToString()
    except Exception as error:  # noqa: BLE001 — the last step: an exception would be an RPC error, which may let through
        with contextlib.suppress(Exception):  # A log that cannot be written must not change the answer either.
            _log.exception("answer could not be built", error=type(error).__name__)
        return UNANSWERABLE


def _answer(decision: Decision) -> CheckResponse:
    verdict = decision.verdict
    answer = _allowed(decision) if isinstance(verdict, Allow) else _denied(verdict, decision)
    fields = answer.dynamic_metadata.fields
    for name, text in to_metadata(decision):
        fields[name].string_value = text
    return answer


def _allowed(decision: Decision) -> CheckResponse:
    if decision.request is None or decision.target is None:
        message = "an allow must say what was asked"
        raise ValueError(message)
    upstream = to_upstream(decision, decision.request, decision.target)
    answer = CheckResponse()
    answer.status.code = 0
    _set_headers(answer.ok_response.headers, upstream.headers)
    answer.ok_response.headers_to_remove.extend(upstream.remove)
    answer.ok_response.headers_to_remove.extend(upstream.remove_seen)
    answer.ok_response.query_parameters_to_remove.extend(upstream.remove_parameters)
    return answer


def _denied(deny: Deny, decision: Decision) -> CheckResponse:
    answer = CheckResponse()
    answer.status.code = PERMISSION_DENIED
    status = status_of(deny)
    answer.status.code = code_of(status)
    answer.status.message = deny.reason.value
    denied = answer.denied_response
    denied.status.code = cast("StatusCode", status)
    denied.body = to_problem(deny, decision.decision_id)
    _set_headers(denied.headers, _denial_headers(deny, decision))
    return answer


def _denial_headers(deny: Deny, decision: Decision) -> list[tuple[str, str]]:
    headers = [
        ("content-type", CONTENT_TYPE),
        ("cache-control", "no-store"),
        ("x-extauthz-reason", deny.reason.value),
        ("x-extauthz-decision-id", to_header_value(decision.decision_id)),
    ]
    challenge = find_challenge(deny, decision.target)
    if challenge is not None:
        headers.append(("www-authenticate", challenge))
    allow = find_allow_header(deny)
    if allow is not None:
        headers.append(("allow", allow))
    return headers


def _set_headers(
    options: RepeatedCompositeFieldContainer[HeaderValueOption], headers: Iterable[tuple[str, str]]
) -> None:
    """Add one overwriting option for each header.

    Several denial headers of one name (two challenges) are all sent, since Envoy overwrites only what was there before.
    """
    for name, value in headers:
        option = options.add()
        option.header.key = name
        option.header.value = value
        option.append.value = False
        option.append_action = _OVERWRITE


def _unanswerable() -> bytes:
    """Return the denial for decisions that cannot be put into an answer.

    Raises:
        RuntimeError: it would not deny; the program must not start.
    """
    deny = Deny(reason=Reason.INTERNAL_ERROR)
    answer = CheckResponse()
    answer.status.code = code_of(status_of(deny))
    answer.status.message = deny.reason.value
    answer.denied_response.status.code = StatusCode.ServiceUnavailable
    answer.denied_response.body = to_problem(deny, DecisionId(""))
    headers = [
        ("content-type", CONTENT_TYPE),
        ("cache-control", "no-store"),
        ("x-extauthz-reason", deny.reason.value),
    ]
    _set_headers(answer.denied_response.headers, headers)
    answer.dynamic_metadata.fields["outcome"].string_value = "deny"
    answer.dynamic_metadata.fields["reason"].string_value = deny.reason.value
    serialised = answer.SerializeToString()
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
