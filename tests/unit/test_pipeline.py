"""One request from bytes to answer, without a server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from extauthz.ids import DecisionId
from extauthz.model.reason import Reason
from extauthz.observing import Observing
from extauthz.pipeline import Answer, Views, check
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.ports import KeysOf, NeedsEvidence
from extauthz.request.bounds import Proxy
from tests.simulators.envoy_messages import check_request
from tests.simulators.profiles import profile
from tests.simulators.tokens import ISSUER, NOW, MemoryKeys, TokenMaker

if TYPE_CHECKING:
    from extauthz.policy.ruleset import Ruleset

POLICY = """
resources:
  - name: thing
    action: read
    match: {host: api.example.com, path: "/things/{id}", methods: [GET]}
    preflight: true
    attributes: {id: path.id}
  - name: status
    action: read
    match: {host: api.example.com, path: /status, methods: [GET]}
    credential: none
permits:
  - {id: ci-reads, who: {kind: [ci]}, may: [thing.read], require: [{scopes: ["things:{resource.id}"]}]}
  - {id: anybody-sees-the-status, who: {kind: [anonymous]}, may: [status.read]}
"""
MAKER = TokenMaker()
EDGE = Proxy("edge")
RULESET = compile_policy({"policy.yaml": POLICY.encode()}, PolicyContext())


@dataclass
class Core:
    """The core with what it looks at."""

    keys: MemoryKeys = field(default_factory=lambda: MemoryKeys().add(MAKER))
    ruleset: Ruleset | None = RULESET
    proxy: Proxy | None = EDGE
    observing: Observing | None = None

    def ask(self, raw: bytes) -> Answer | NeedsEvidence:
        """Return what the core makes of `raw`."""
        views = Views(keys=self.keys, profiles={"default": profile()}, epochs=self.keys)
        decision_id = DecisionId("d-0123456789abcdef0123")
        return check(
            raw,
            proxy=self.proxy,
            views=views,
            ruleset=self.ruleset,
            observing=self.observing,
            at=NOW,
            decision_id=decision_id,
        )

    def decide(self, raw: bytes) -> Answer:
        """Return the answer; fail when evidence is asked for."""
        answer = self.ask(raw)
        assert isinstance(answer, Answer)
        response = CheckResponse.FromString(answer.response)
        assert (response.status.code == 0) is answer.decision.allowed
        return answer


def thing(**claims: Any) -> bytes:
    """Return a question for thing 7 with a token of these claims."""
    return check_request(path="/things/7", headers={"authorization": f"Bearer {MAKER.mint(**claims)}"})


def test_a_proven_caller_with_the_scope_is_allowed() -> None:
    """All steps; the decision holds request, target, identity, attributes and rule."""
    decision = Core().decide(thing(scope="things:7")).decision
    assert decision.reason is Reason.ALLOWED
    assert decision.verdict.rule == "ci-reads"
    assert decision.request is not None
    assert decision.target is not None
    assert decision.identity is not None
    assert (decision.attributes, decision.proxy, decision.policy) == ({"id": "7"}, "edge", RULESET.revision)


def test_a_refusal_halfway_is_recorded_with_what_was_known() -> None:
    """No credential: request and target are known, the caller is not."""
    decision = Core().decide(check_request(path="/things/7")).decision
    assert decision.reason is Reason.NO_CREDENTIALS
    assert decision.target is not None
    assert decision.identity is None


def test_nobody_is_somebody_where_no_credential_is_asked_for() -> None:
    """The anonymous caller is a caller like any other to policy."""
    assert Core().decide(check_request(path="/status")).decision.verdict.rule == "anybody-sees-the-status"


def test_a_declared_preflight_is_answered_without_a_credential() -> None:
    """Browsers send none; nothing else than the route is decided."""
    headers = {"origin": "https://app.example", "access-control-request-method": "GET"}
    answer = Core().decide(check_request("OPTIONS", "/things/7", headers=headers))
    assert (answer.decision.verdict.rule, answer.reusable) == ("preflight", None)
    assert Core().decide(check_request("OPTIONS", "/things/7")).decision.reason is Reason.METHOD_NOT_ALLOWED


def removed_by(answer: Answer) -> set[str]:
    """Return the names of headers that Envoy is told to remove."""
    return set(CheckResponse.FromString(answer.response).ok_response.headers_to_remove)


def test_headers_are_removed_unseen_unless_the_proxy_shows_all() -> None:
    """What is seen goes either way; what cannot be read, and is only observed, is not known to be shown."""
    showing = Core(proxy=Proxy("edge", shows_all_headers=True))
    token = {"authorization": f"Bearer {MAKER.mint(scope='things:7')}"}
    forged = check_request(path="/things/7", headers={**token, "x_extauthz_subject": "root"})
    assert removed_by(showing.decide(forged)) == {"x_extauthz_subject"}
    assert removed_by(showing.decide(thing(scope="things:7"))) == set()
    assert {"x_extauthz_subject", "cookie"} <= removed_by(Core().decide(thing(scope="things:7")))
    showing.observing = Observing()
    assert "x_extauthz_subject" in removed_by(showing.decide(b"\xff"))


@pytest.mark.parametrize("raw", [b"", b"\xff", thing(scope="things:7")])
def test_an_unknown_proxy_is_refused_whatever_it_asks(raw: bytes) -> None:
    """Its question is not looked at."""
    decision = Core(proxy=None).decide(raw).decision
    assert (decision.reason, decision.request) == (Reason.PROXY_UNAUTHENTICATED, None)


def test_without_a_policy_everything_is_refused() -> None:
    """Nothing loaded means deny, as our own failure."""
    decision = Core(ruleset=None).decide(thing(scope="things:7")).decision
    assert (decision.reason, decision.policy) == (Reason.EVALUATION_FAILED, None)


def test_an_unknown_key_is_asked_for() -> None:
    """The core fetches nothing: it says what it needs."""
    assert Core(keys=MemoryKeys()).ask(thing()) == NeedsEvidence(KeysOf(ISSUER))


@pytest.mark.parametrize("raw", [b"", b"\xff\xff", b"\x0a\x00", b"x" * (4 * 1024 * 1024 + 1)])
def test_bytes_that_are_no_question_are_refused(raw: bytes) -> None:
    """Malformed, empty and huge ones end in a denial, and nothing of it is kept."""
    answer = Core().decide(raw)
    assert answer.decision.reason in {Reason.MALFORMED_REQUEST, Reason.REQUEST_TOO_LARGE}
    assert answer.reusable is None
