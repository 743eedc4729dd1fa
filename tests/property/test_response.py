"""Properties of every answer."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from extauthz.gen.envoy.type.v3.http_status_pb2 import StatusCode
from extauthz.ids import DecisionId, PolicyRevision, RuleId
from extauthz.model.decision import Decision, Observed, Target
from extauthz.model.identity import Identity, Kind, Principal
from extauthz.model.reason import Reason
from extauthz.model.request import Headers, Request
from extauthz.model.verdict import Allow, Deny, ObtainScopes, StepUp, UseMethod
from extauthz.response.credentials import CREDENTIAL_HEADERS
from extauthz.response.to_envoy import UNANSWERABLE, to_envoy
from extauthz.response.upstream import OWN_NAMES
from tests.simulators.decisions import AT
from tests.unit.response.auth_params import parse_challenge

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = st.text(st.characters(exclude_categories=()), max_size=40)
TEXTS = st.lists(TEXT, max_size=4).map(tuple)
WELL_KNOWN = st.sampled_from([*sorted(CREDENTIAL_HEADERS), *OWN_NAMES])
NAMES = st.one_of(
    WELL_KNOWN,
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


ALLOWS = st.builds(
    Decision,
    decision_id=TEXT.map(DecisionId),
    at=st.just(AT),
    verdict=st.builds(Allow, rule=TEXT.map(RuleId)),
    policy=st.none() | TEXT.map(PolicyRevision),
    request=REQUESTS,
    target=TARGETS,
    identity=st.none() | IDENTITIES,
)


def reaching(decision: Decision, *, complete: bool, hidden: str = "") -> dict[str, str]:
    """Return the headers that Envoy hands on: it sets, then removes, whatever of a request it has shown.

    Args:
        decision: an allow, about a request with some headers.
        complete: whether the proxy is said to show all headers.
        hidden: a header that the request has besides, and that was not shown.
    """
    assert decision.request is not None
    shown = replace(decision.request.headers, complete=complete)
    decided = replace(decision, request=replace(decision.request, headers=shown))
    ok = CheckResponse.FromString(to_envoy(decided)).ok_response
    sent = dict.fromkeys([*shown.lines, *([hidden] if hidden else [])], "sent by the client")
    sent.update((option.header.key, option.header.value) for option in ok.headers)
    removed = set(ok.headers_to_remove)
    return {name: value for name, value in sent.items() if name not in removed}


@settings(max_examples=400, deadline=None)
@given(ALLOWS, st.booleans())
def test_what_was_shown_goes_on_alike_whether_or_not_all_was_shown(decision: Decision, observed: bool) -> None:
    """Removing by sight alone leaves of the shown headers exactly what removing every name leaves."""
    if observed:
        decision = replace(decision, observed=Observed(None, ()))
    assert reaching(decision, complete=True) == reaching(decision, complete=False)


@settings(max_examples=400, deadline=None)
@given(ALLOWS, WELL_KNOWN)
def test_what_was_hidden_goes_on_only_where_all_was_said_to_be_shown(decision: Decision, hidden: str) -> None:
    """The negative control: of a proxy that hides headers nothing is believed, or they reach the upstream."""
    assert decision.request is not None
    assert decision.target is not None
    declared = {decision.target.carrier, *decision.target.forward} - set(OWN_NAMES) - {"txn-token"}
    assume(hidden not in decision.request.headers.lines)
    safe = reaching(decision, complete=False, hidden=hidden)
    assert (safe.get(hidden) == "sent by the client") is (hidden in declared)
    ours = reaching(decision, complete=True).get(hidden, "sent by the client")
    assert reaching(decision, complete=True, hidden=hidden)[hidden] == ours


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
