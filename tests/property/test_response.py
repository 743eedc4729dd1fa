"""Properties of every answer."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from extauthz.gen.envoy.type.v3.http_status_pb2 import StatusCode
from extauthz.ids import DecisionId, PolicyRevision, RuleId
from extauthz.model.decision import Decision, Target
from extauthz.model.identity import Identity, Kind, Principal
from extauthz.model.reason import Reason
from extauthz.model.request import Headers, Request
from extauthz.model.verdict import Allow, Deny, ObtainScopes, StepUp, UseMethod
from extauthz.response.to_envoy import UNANSWERABLE, to_envoy
from tests.simulators.decisions import AT
from tests.unit.response.auth_params import parse_challenge

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = st.text(st.characters(exclude_categories=()), max_size=40)
TEXTS = st.lists(TEXT, max_size=4).map(tuple)
NAMES = st.one_of(
    st.from_regex(r"x[-_.]extauthz[-_.](subject|actor|decision[-_]id|other)", fullmatch=True),
    st.sampled_from(["authorization", "cookie", "x_api_key", "accept", "impersonate-extra-a"]),
    st.from_regex(r"[a-z0-9!#$%&'*+.^_`|~-]{1,20}", fullmatch=True),
)
PRINCIPALS = st.builds(Principal, issuer=TEXT, subject=TEXT, kind=st.none() | st.sampled_from(Kind), client=TEXT)
IDENTITIES = st.builds(Identity, subject=PRINCIPALS, actor=st.none() | PRINCIPALS, tenant=TEXT)
REQUESTS = st.builds(
    Request,
    method=st.just("GET"),
    host=st.just("h"),
    path=st.just("/"),
    segments=st.just(("",)),
    query=st.lists(st.tuples(st.sampled_from(["access_token", "q"]), TEXT), max_size=2).map(tuple),
    headers=st.dictionaries(NAMES, st.just(("v",)), max_size=6).map(Headers),
)
TARGETS = st.builds(
    Target,
    resource=TEXT,
    action=TEXT,
    realm=TEXT,
    forward=st.frozensets(NAMES, max_size=2),
    carrier=st.sampled_from(["authorization", "", "x-machine-key"]),
)
REMEDIES = st.one_of(
    st.builds(ObtainScopes, TEXTS), st.builds(StepUp, TEXTS, st.none() | st.integers()), st.builds(UseMethod, TEXTS)
)
DENIALS = st.builds(
    Deny,
    reason=st.sampled_from(Reason),
    detail=TEXT,
    remedies=st.lists(REMEDIES, max_size=3).map(tuple),
    rule=st.none() | TEXT.map(RuleId),
    inner=TEXT,
)
DECISIONS = st.builds(
    Decision,
    decision_id=TEXT.map(DecisionId),
    at=st.just(AT),
    verdict=DENIALS | st.builds(Allow, rule=TEXT.map(RuleId)),
    policy=st.none() | TEXT.map(PolicyRevision),
    request=st.none() | REQUESTS,
    target=st.none() | TARGETS,
    identity=st.none() | IDENTITIES,
)
HEADER_VALUE = re.compile(r"[\x20-\x7e]*")


@pytest.fixture(autouse=True, scope="module")
def _no_log() -> Iterator[None]:
    """Keep failures that are meant to happen out of the log: rendering their tracebacks takes most of the time."""
    with structlog.testing.capture_logs():
        yield


@settings(max_examples=200, deadline=None)
@given(DECISIONS)
def test_only_an_allow_allows(decision: Decision) -> None:
    """Whatever the decision, the answer parses, and it allows only if the decision does."""
    answer = CheckResponse.FromString(to_envoy(decision))
    if answer.status.code == 0:
        assert decision.allowed
        assert answer.WhichOneof("http_response") == "ok_response"
    else:
        assert answer.WhichOneof("http_response") == "denied_response"
        assert answer.denied_response.status.code in StatusCode.values()
        assert answer.denied_response.status.code >= 400


@settings(max_examples=200, deadline=None)
@given(DECISIONS.filter(lambda decision: decision.request is not None and decision.target is not None))
def test_complete_decisions_are_answered_on_their_merits(decision: Decision) -> None:
    """With request and target known nothing in the texts forces the last resort (a denial `allowed` is no denial)."""
    unanswerable = to_envoy(decision) == UNANSWERABLE
    assert unanswerable == (not decision.allowed and decision.reason is Reason.ALLOWED)


@settings(max_examples=200, deadline=None)
@given(DECISIONS.filter(lambda decision: decision.allowed))
def test_allowed_requests_carry_ours_and_nobody_elses(decision: Decision) -> None:
    """Set and removed names are disjoint, every look-alike is in one of them, and each option overwrites."""
    answer = CheckResponse.FromString(to_envoy(decision))
    if answer.status.code:
        return
    ours = {option.header.key for option in answer.ok_response.headers}
    removed = set(answer.ok_response.headers_to_remove)
    assert not ours & removed
    assert decision.request is not None
    for name in decision.request.headers.lines:
        if re.sub(r"[^a-z0-9]", "-", name).startswith("x-extauthz-"):
            assert name in ours | removed
    for option in answer.ok_response.headers:
        assert option.HasField("append")
        assert not option.append.value
        assert option.append_action == 2
        assert HEADER_VALUE.fullmatch(option.header.value)


@settings(max_examples=200, deadline=None)
@given(DENIALS, st.none() | TARGETS)
def test_denials_can_be_read_by_machines(deny: Deny, target: Target | None) -> None:
    """Body and challenge parse strictly, whatever texts they were made of."""
    decision = Decision(decision_id=DecisionId("d"), at=AT, verdict=deny, target=target)
    denied = CheckResponse.FromString(to_envoy(decision)).denied_response
    assert json.loads(denied.body)["status"] == denied.status.code
    for option in denied.headers:
        assert HEADER_VALUE.fullmatch(option.header.value)
        if option.header.key == "www-authenticate":
            _, parameters = parse_challenge(option.header.value)
            assert parameters["realm"]
