"""Answers for Envoy: what allows, what denies, and what each carries."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from extauthz.gen.envoy.type.v3.http_status_pb2 import StatusCode
from extauthz.model.identity import Identity, Principal
from extauthz.model.reason import REASONS, Reason, ReasonSpec
from extauthz.model.verdict import UseMethod
from extauthz.response import to_envoy as module
from extauthz.response.to_envoy import UNANSWERABLE, to_envoy
from extauthz.response.wire import denial_status
from tests.simulators.decisions import ALLOW, IDENTITY, ISSUER, TARGET, decision_of, denial, request_with

if TYPE_CHECKING:
    from collections.abc import Iterable

    from extauthz.gen.envoy.config.core.v3.base_pb2 import HeaderValueOption
    from extauthz.model.decision import Decision

WRONG: Any = "allow"
"""A value of no type that an answer can be made of."""
DENIALS = [reason for reason in Reason if reason is not Reason.ALLOWED]


def answer_to(decision: Decision) -> CheckResponse:
    """Return the parsed answer."""
    return CheckResponse.FromString(to_envoy(decision))


def headers_of(options: Iterable[HeaderValueOption]) -> dict[str, str]:
    """Return header options as a dict, having checked that no name stands twice."""
    pairs = [(option.header.key, option.header.value) for option in options]
    assert len({name for name, _ in pairs}) == len(pairs)
    return dict(pairs)


def assert_overwriting(option: HeaderValueOption) -> None:
    """Check that every Envoy reads the option as an overwrite."""
    assert option.HasField("append")
    assert option.append.value is False
    assert option.append_action == 2
    assert not option.header.raw_value


def test_an_allow_has_code_zero_and_an_ok_response() -> None:
    """An allow is status code 0 with `ok_response`, and says so explicitly."""
    answer = answer_to(decision_of(ALLOW))
    assert answer.HasField("status")
    assert answer.status.code == 0
    assert answer.WhichOneof("http_response") == "ok_response"


def test_an_allow_overwrites_each_header_on_every_envoy() -> None:
    """Each option of an allow sets both `append=false` and `append_action=2`."""
    options = answer_to(decision_of(ALLOW)).ok_response.headers
    assert len(options) == 9
    for option in options:
        assert_overwriting(option)


def test_an_allow_never_sets_and_removes_one_name() -> None:
    """Envoy removes after setting, so no name is in both lists."""
    ok = answer_to(decision_of(ALLOW)).ok_response
    assert not headers_of(ok.headers).keys() & set(ok.headers_to_remove)
    assert len(set(ok.headers_to_remove)) == len(ok.headers_to_remove)


def test_credential_parameters_are_removed_from_the_query() -> None:
    """`?access_token` does not reach the upstream."""
    request = request_with(query=(("access_token", "x"), ("page", "2")))
    assert answer_to(decision_of(ALLOW, request=request)).ok_response.query_parameters_to_remove == ["access_token"]


@pytest.mark.parametrize("reason", DENIALS)
def test_a_denial_denies_whatever_its_reason(reason: Reason) -> None:
    """Each reason gives a non-zero code, `denied_response` and a status that Envoy knows."""
    answer = answer_to(decision_of(denial(reason)))
    assert answer.status.code != 0
    assert answer.status.message == reason.value
    assert answer.WhichOneof("http_response") == "denied_response"
    assert answer.denied_response.status.code in StatusCode.values()
    assert answer.denied_response.status.code >= 400


@pytest.mark.parametrize("reason", DENIALS)
def test_a_denial_carries_reason_and_decision_for_the_client(reason: Reason) -> None:
    """Each denial has an RFC 9457 body and headers that name reason and decision."""
    denied = answer_to(decision_of(denial(reason))).denied_response
    for option in denied.headers:
        assert_overwriting(option)
    headers = headers_of(denied.headers)
    assert headers["content-type"] == "application/problem+json"
    assert headers["cache-control"] == "no-store"
    assert headers["x-extauthz-reason"] == reason.value
    assert headers["x-extauthz-decision-id"] == "d-00112233445566778899"
    assert json.loads(denied.body)["status"] == denied.status.code


def test_a_denial_before_anything_is_known_is_complete() -> None:
    """A request that was refused while decoding still gets reason, decision id and challenge."""
    answer = answer_to(decision_of(denial(Reason.CREDENTIALS_AMBIGUOUS), request=None, target=None, identity=None))
    assert answer.denied_response.status.code == 400
    assert 'error="invalid_request"' in headers_of(answer.denied_response.headers)["www-authenticate"]
    assert "resource" not in answer.dynamic_metadata.fields


def test_a_wrong_method_names_the_right_ones() -> None:
    """405 carries `allow`."""
    denied = answer_to(decision_of(denial(Reason.METHOD_NOT_ALLOWED, UseMethod(("GET", "POST"))))).denied_response
    assert denied.status.code == 405
    assert headers_of(denied.headers)["allow"] == "GET, POST"


def test_inner_text_stays_inside() -> None:
    """What happened inside is in no part of the answer."""
    raw = to_envoy(decision_of(denial(Reason.INTERNAL_ERROR, inner="inner-canary", detail="detail-canary")))
    assert b"inner-canary" not in raw
    assert b"detail-canary" in raw


def test_metadata_names_the_decision_and_the_caller() -> None:
    """Envoy's access log can show who did what, and why it was answered so."""
    fields = answer_to(decision_of(ALLOW)).dynamic_metadata.fields
    assert {name: value.string_value for name, value in fields.items()} == {
        "decision_id": "d-00112233445566778899",
        "outcome": "allow",
        "reason": "allowed",
        "rule": "people-deploy",
        "policy": "0123456789abcdef",
        "resource": "deployment",
        "action": "deploy",
        "subject": "alice",
        "issuer": ISSUER,
        "kind": "user",
        "actor": "agent-7",
        "client": "console",
        "tenant": "acme",
    }


def test_metadata_is_bounded_and_encodable() -> None:
    """A long subject is cut and a lone surrogate replaced, instead of losing the answer."""
    identity = Identity(subject=Principal(issuer="", subject="\ud800" + "é" * 3000))
    answer = answer_to(decision_of(denial(Reason.NO_PERMIT), identity=identity))
    assert answer.denied_response.status.code == 403
    assert len(answer.dynamic_metadata.fields["subject"].string_value) == 1024


@pytest.mark.parametrize(
    ("decision", "fault"),
    [
        (decision_of(ALLOW, request=None), "no request"),
        (decision_of(ALLOW, target=None), "no target"),
        (
            decision_of(ALLOW, identity=dataclasses.replace(IDENTITY, tenant="t" * 16385)),
            "an identity too long for a header",
        ),
        (decision_of(ALLOW, request=WRONG), "a request that is none"),
        (decision_of(WRONG, target=TARGET), "a verdict that is none"),
        (decision_of(denial(Reason.ALLOWED)), "a denial that says allowed"),
    ],
)
def test_what_cannot_be_answered_is_denied(decision: Decision, fault: str) -> None:
    """A decision that cannot be put into an answer is a 503 denial, never an exception and never an allow."""
    assert to_envoy(decision) == UNANSWERABLE, fault


def test_the_prepared_denial_denies() -> None:
    """The last resort is a 503 `denied_response` with a non-zero code and a body."""
    answer = CheckResponse.FromString(UNANSWERABLE)
    assert answer.status.code != 0
    assert answer.WhichOneof("http_response") == "denied_response"
    assert answer.denied_response.status.code == 503
    assert json.loads(answer.denied_response.body)["reason"] == "internal_error"
    assert answer.dynamic_metadata.fields["outcome"].string_value == "deny"
    for option in answer.denied_response.headers:
        assert_overwriting(option)


def test_a_prepared_denial_that_allows_stops_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check at import time is real: without a status it raises; a status of 0 is not even made."""
    monkeypatch.setattr(module, "denial_status", lambda _code, _message: b"")
    with pytest.raises(RuntimeError, match="does not deny"):
        module._unanswerable()
    with pytest.raises(ValueError, match="other than 0"):
        denial_status(0, "allowed")


def test_a_status_that_envoy_does_not_know_stops_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reason with such a status (418) is found at import time."""
    monkeypatch.setitem(REASONS, Reason.FORBIDDEN, ReasonSpec(418, "A teapot."))
    with pytest.raises(RuntimeError, match="418"):
        module._require_known_statuses()


def test_a_log_that_fails_does_not_change_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even when the failure cannot be logged the answer is the prepared denial."""

    class BrokenLog:
        def exception(self, *_: object, **__: object) -> None:
            raise OSError

    monkeypatch.setattr(module, "_log", BrokenLog())
    assert to_envoy(decision_of(WRONG)) == UNANSWERABLE
