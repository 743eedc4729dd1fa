"""The tools decide as the pipeline does: the same question with the same caller has the same decision."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.ids import DecisionId
from extauthz.judge import TOOL_PROXY, Given, KnownState, NotRecorded, judge, no_credential
from extauthz.model.reason import Reason
from extauthz.model.verdict import Deny
from extauthz.pipeline import Answer, Views, check
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.request.bounds import Proxy
from extauthz.request.decode import decode
from tests.simulators.envoy_messages import check_request
from tests.simulators.policy_cases import POLICY
from tests.simulators.profiles import profile
from tests.simulators.tokens import NOW, MemoryKeys, TokenMaker

if TYPE_CHECKING:
    from extauthz.model.decision import Decision
    from extauthz.model.identity import Identity
    from extauthz.model.request import Request
    from extauthz.policy.ruleset import Route

MAKER = TokenMaker()
RULESET = compile_policy({"p.yaml": POLICY.encode()}, PolicyContext())


def asked(method: str, path: str, claims: dict[str, Any] | None, **fields: Any) -> bytes:
    """Return a question with a token of these claims, or without one."""
    headers = dict(fields.pop("headers", {}))
    if claims is not None:
        headers["authorization"] = f"Bearer {MAKER.mint(**claims)}"
    return check_request(method, path, headers=headers, **fields)


JSON = {"content-type": "application/json"}
QUESTIONS = [
    asked("GET", "/orders/7", {"kind": "user", "scope": "orders.read"}),
    asked("GET", "/orders/7", {"kind": "user"}),
    asked("GET", "/orders/7", {"kind": "service", "scope": "orders.read"}),
    asked("GET", "/orders/secret", {"kind": "user", "scope": "orders.read"}),
    asked("GET", "/orders/secret", {"kind": "user", "scope": "orders.read", "roles": ["auditor"]}),
    asked(
        "POST",
        "/orders/7/shipment",
        {"roles": ["shipper"], "auth_time": int(NOW) - 10},
        headers=JSON,
        body='{"speed":"fast"}',
    ),
    asked("POST", "/orders/7/shipment", {"kind": "user", "roles": ["shipper"]}, headers=JSON, body='{"speed":"fast"}'),
    asked("POST", "/orders/7/shipment?note=a&note=b", {"roles": ["shipper"]}, headers=JSON, body='{"speed":"fast"}'),
    asked("POST", "/orders/7/shipment", {"roles": ["shipper"]}, headers=JSON, body='{"speed":"warp"}'),
    asked("GET", "/orders/7", {"kind": "user", "scope": "orders.read", "act": {"sub": "bot", "kind": "agent"}}),
    asked("GET", "/orders/7", None),
    asked("GET", "/status", None),
    asked(
        "OPTIONS", "/orders/7", None, headers={"origin": "https://a.example", "access-control-request-method": "GET"}
    ),
    asked("DELETE", "/orders/7", None),
    asked("GET", "/nowhere", None),
    asked("GET", "/orders/7", None, context={"extauthz.wrong": "x"}),
    b"",
]


def served(raw: bytes) -> Decision:
    """Return what the pipeline decides."""
    keys = MemoryKeys().add(MAKER)
    views = Views(keys=keys, profiles={"default": profile()}, epochs=keys)
    answer = check(raw, proxy=Proxy(TOOL_PROXY), views=views, ruleset=RULESET, at=NOW, decision_id=DecisionId("d-1"))
    assert isinstance(answer, Answer)
    return answer.decision


@pytest.mark.parametrize("raw", QUESTIONS)
def test_tools_and_server_agree(raw: bytes) -> None:
    """Verdict with trail and remedies, request, target, caller and attributes: everything but the id."""
    expected = served(raw)

    def identify(route: Route, request: Request) -> Identity:
        return expected.identity if expected.identity is not None else no_credential(route, request)

    given = Given(
        read_request=lambda: decode(raw), identify=identify, state=KnownState(), at=NOW, proxy=Proxy(TOOL_PROXY)
    )
    assert replace(judge(given, RULESET).decision, decision_id=expected.decision_id) == expected


def test_the_questions_reach_every_step() -> None:
    """Agreement about denials alone would prove little."""
    reasons = [served(raw).reason for raw in QUESTIONS]
    assert reasons.count(Reason.ALLOWED) >= 4
    assert len(set(reasons)) >= 10


def test_what_was_not_recorded_is_no_decision() -> None:
    """It is named, and counts neither as allow nor as a denial by policy; no failure is logged for it."""

    def identify(route: Route, request: Request) -> Identity:
        del route, request
        what = "who asked"
        raise NotRecorded(what)

    given = Given(read_request=lambda: decode(QUESTIONS[0]), identify=identify, state=KnownState(), at=NOW)
    judged = judge(given, RULESET)
    assert (judged.missing, judged.decision.reason) == ("who asked", Reason.EVIDENCE_UNAVAILABLE)


@pytest.mark.parametrize(
    ("credential", "detail"),
    [("bearer", "Authorization: Bearer"), ("dpop", "Authorization: DPoP"), ("certificate", "")],
)
def test_a_case_without_a_caller_is_refused_as_a_request_without_a_credential(credential: str, detail: str) -> None:
    """Whatever the resource asks for, also when a header says something that nobody proves."""
    text = POLICY.replace("preflight: true", f"credential: {credential}")
    ruleset = compile_policy({"p.yaml": text.encode()}, PolicyContext())
    for headers in ({}, {"authorization": f"{credential} made-up"}):
        raw = check_request(path="/orders/7", headers=headers)
        given = Given(read_request=partial(decode, raw), identify=no_credential, state=KnownState(), at=NOW)
        verdict = judge(given, ruleset).verdict
        assert isinstance(verdict, Deny)
        assert verdict.reason is Reason.NO_CREDENTIALS
        assert headers or detail in verdict.detail
