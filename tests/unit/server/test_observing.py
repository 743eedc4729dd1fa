"""`mode: observe` at every exit: requests go through, and what enforcing would have done is recorded and counted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from queue import Queue
from typing import TYPE_CHECKING, Any

import pytest

from extauthz import pipeline
from extauthz.clock import Instant
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from extauthz.ids import DecisionId
from extauthz.model.decision import Observed
from extauthz.model.reason import Reason
from extauthz.model.shadow import ShadowChange
from extauthz.model.spend import Spend
from extauthz.model.verdict import Deny
from extauthz.nothing import NOTHING
from extauthz.observing import OBSERVE_RULE, Observing, observe
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.policy.live import LivePolicy
from extauthz.ports import Fetched, SpendOutcome, Spent
from extauthz.response.to_envoy import LET_THROUGH, UNANSWERABLE, to_envoy
from extauthz.server.shadow import ShadowPolicy
from tests.integration.running import POLICY
from tests.simulators.decisions import ALLOW, AT, IDENTITY, decision_of, request_with
from tests.simulators.envoy_messages import check_request
from tests.simulators.tokens import NOW, MemoryKeys
from tests.unit.audit.test_record import recorded
from tests.unit.server.test_check import ALLOWED, MAKER, OVERLOADED, PING, PROFILE, PROXY, QUESTION, Shell

if TYPE_CHECKING:
    from extauthz.model.shadow import ShadowOutcome

EVERYTHING = Observing()
DENY = Deny(reason=Reason.NO_PERMIT)


def shell_with_keys(observing: Observing | None = EVERYTHING, **kept: Any) -> Shell:
    """Return a checker that knows the issuer's keys."""
    shell = Shell(observing=observing, **kept)
    shell.keys.add(MAKER)
    return shell


def would(shell: Shell) -> Reason | None:
    """Return the reason for which enforcing would have refused the last decision; None for none."""
    observed = shell.records.taken[-1].observed
    assert observed is not None
    return observed.would.reason if observed.would is not None else None


REFUSED = {
    "no_credentials": check_request(path="/things/7"),
    "token_expired": check_request(
        path="/things/7", headers={"authorization": f"Bearer {MAKER.mint(now=1_000_000_000.0)}"}
    ),
    "no_resource": check_request(path="/nowhere"),
    "malformed_request": check_request(path="/things/..%2f"),
    "proxy_out_of_bounds": check_request(path="/ping", context={"extauthz.unknown": "x"}),
}


@pytest.mark.parametrize("reason", sorted(REFUSED))
def test_what_would_be_refused_goes_through_and_the_record_says_so(reason: str) -> None:
    """Bad credentials, unreadable requests and routes that speak nonsense included; enforced, each is a denial."""
    assert shell_with_keys(None).ask(REFUSED[reason])[1] == reason
    shell = shell_with_keys()
    assert shell.ask(REFUSED[reason]) == ALLOWED
    (decision,) = shell.records.taken
    record = recorded(decision)
    assert (record["outcome"], record["mode"], record["rule"]) == ("allow", "observe", OBSERVE_RULE)
    assert record["would"]["reason"] == reason
    assert "subject" not in record
    assert f'extauthz_observed_total{{would="{reason}"}} 1.0' in shell.metrics.exposition().decode()


def test_what_would_be_allowed_is_recorded_as_observed_too() -> None:
    """The mode is in every record; `would` only where enforcing would refuse."""
    shell = shell_with_keys()
    assert shell.ask(QUESTION) == ALLOWED
    record = recorded(shell.records.taken[0])
    assert (record["mode"], record["rule"]) == ("observe", "machines-read")
    assert "would" not in record
    assert 'extauthz_observed_total{would="allowed"} 1.0' in shell.metrics.exposition().decode()


def test_an_enforced_record_has_no_mode() -> None:
    """Nothing is said about observing where nothing is observed."""
    shell = shell_with_keys(None)
    shell.ask(QUESTION)
    assert not {"mode", "would", "would_remove"} & recorded(shell.records.taken[0]).keys()


def test_an_unknown_proxy_is_refused_even_so() -> None:
    """Nobody else may ask."""
    assert shell_with_keys().ask(proxy=None) == (503, "proxy_unauthenticated")
    shell = shell_with_keys()
    shell.records.failure = RuntimeError("gone")
    assert shell.checker.check(PING, None) is UNANSWERABLE


def test_kept_decisions_are_given_again_as_observed() -> None:
    """The second of two equal questions goes through as well, and was not decided anew."""
    shell = shell_with_keys(capacity=10)
    other = check_request(path="/things/7", headers={"authorization": f"Bearer {MAKER.mint(kind='user')}"})
    assert [shell.ask(other), shell.ask(other)] == [ALLOWED, ALLOWED]
    assert len(shell.records.taken) == 1
    assert len(shell.records.repeated) == 1
    assert shell.metrics.exposition().decode().count('extauthz_observed_total{would="no_permit"} 2.0') == 1


def test_our_own_failures_let_requests_through() -> None:
    """A fetch that fails, a question that came too late, records without room, an exception."""
    shell = Shell(observing=EVERYTHING)
    shell.remote.outcome, shell.remote.then = Fetched.UNAVAILABLE, lambda: None
    assert shell.ask() == ALLOWED
    assert would(shell) is Reason.EVIDENCE_UNAVAILABLE
    assert shell.ask(remaining=0.0) == ALLOWED
    assert would(shell) is Reason.OVERLOADED
    shell.records.room = False
    assert shell.ask(PING) == ALLOWED
    shell.records.failure = RuntimeError("gone")
    assert shell.checker.check(PING, PROXY) is LET_THROUGH
    assert shell.checker.refuse(Reason.OVERLOADED, PROXY) is LET_THROUGH


CHECK = pipeline.check


def decided(raw: bytes, **known: Any) -> pipeline.Answer:
    """Return what the pipeline answers to a question that needs no evidence."""
    answer = CHECK(raw, **known)
    assert isinstance(answer, pipeline.Answer)
    return answer


KEYS = MemoryKeys()
QUESTIONED: dict[str, Any] = {
    "proxy": PROXY,
    "views": pipeline.Views(keys=KEYS, profiles={"default": PROFILE}, epochs=KEYS),
    "at": Instant(NOW),
    "decision_id": DecisionId("d-00000000000000000001"),
}


@dataclass
class _Broke:
    """A `Spender` that refuses everything."""

    def spend(self, spends: tuple[Spend, ...], question: bytes, timeout: float) -> Spent:
        """Refuse the first."""
        del question, timeout
        return Spent(SpendOutcome.REFUSED, spends[0])


@pytest.mark.parametrize(("observing", "status"), [(EVERYTHING, 200), (None, 429)])
def test_what_is_used_up_goes_through(
    observing: Observing | None, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused spend is a denial like any other."""
    spend = Spend(kind="rate", key=b"k", until=AT, refused=Reason.RATE_EXCEEDED)

    def spending(raw: bytes, **known: Any) -> Any:
        return replace(decided(raw, **known), spends=(spend,))

    monkeypatch.setattr("extauthz.server.check.pipeline.check", spending)
    shell = shell_with_keys(observing, spender=_Broke())
    assert shell.ask()[0] == status
    if observing is not None:
        assert would(shell) is Reason.RATE_EXCEEDED


def test_enforced_hosts_are_enforced() -> None:
    """And where there are some, what has no known host is refused."""
    unread = (REFUSED["malformed_request"], REFUSED["no_credentials"])
    assert [shell_with_keys(Observing(("*.example.com",))).ask(raw)[0] for raw in unread] == [400, 401]
    elsewhere = Observing(("other.example.com",))
    assert [shell_with_keys(elsewhere).ask(raw)[0] for raw in unread] == [400, 200]
    assert shell_with_keys(elsewhere).ask(remaining=0.0) == OVERLOADED
    shell = shell_with_keys(elsewhere)
    shell.records.failure = RuntimeError("gone")
    assert shell.checker.check(PING, PROXY) is UNANSWERABLE


@pytest.mark.parametrize(
    ("host", "observed"),
    [
        ("billing.example.com", False),
        ("eu.pay.example.com", False),
        ("other.example.com", False),
        ("docs.example.com", True),
        ("billing.example.com:8443", False),
        ("eu.pay.example.com:1", False),
        ("other.example.com:8443", False),
        ("docs.example.com:8443", True),
        ("ports.example.com:8443", False),
        ("ports.example.com", True),
        (None, False),
    ],
)
def test_enforced_namespaces_are_enforced(host: str | None, observed: bool) -> None:
    """All hosts of the namespace, beside the hosts that are named; and nothing is let through without a policy.

    The client chooses the port that stands in the host, so it does not decide, unless it is named.
    """
    root = """\
root: true
owner: o
namespaces:
  billing: {hosts: [billing.example.com, "*.pay.example.com"], owner: b}
  docs: {hosts: docs.example.com, owner: d}
"""
    ruleset = compile_policy({"root.yaml": root.encode()}, PolicyContext())
    observing = Observing(("other.example.com", "ports.example.com:8443"), ("billing",))
    assert observing.covers("edge", host, ruleset) is observed
    assert observing.covers("edge", host, None) is False
    assert observing.covers("", host, ruleset) is False
    by_name = Observing(("other.example.com",))
    assert by_name.covers("edge", host, None) is (not (host or "other.").startswith("other.")), "which need no policy"


def answer_to(decision: Any) -> CheckResponse:
    """Return the answer that Envoy reads."""
    return CheckResponse.FromString(to_envoy(decision))


def test_the_upstream_sees_the_request_as_it_was() -> None:
    """Credentials stay, declared or not; forged headers of ours go, and nobody unproven gets any."""
    sent = request_with("cookie", "x-api-key", "x-extauthz-subject", "x.extauthz.role", query=(("access_token", "t"),))
    decision = observe(replace(decision_of(DENY, request=sent), proxy="edge", identity=None), EVERYTHING, None)
    ok = answer_to(decision).ok_response
    assert {"x-extauthz-subject", "x_extauthz_subject", "x.extauthz.role"} <= set(ok.headers_to_remove)
    assert not {"cookie", "x-api-key", "authorization"} & set(ok.headers_to_remove)
    assert list(ok.query_parameters_to_remove) == []
    assert {each.header.key for each in ok.headers} <= {"x-extauthz-decision-id", "x-extauthz-policy"}
    assert recorded(decision)["would_remove"] == ["cookie", "x-api-key", "?access_token"]


def test_a_proven_caller_is_named_upstream() -> None:
    """Who it is was proven, whatever it may do."""
    decision = observe(replace(decision_of(DENY), proxy="edge", identity=IDENTITY), EVERYTHING, None)
    assert ("x-extauthz-subject", "alice") in {
        (each.header.key, each.header.value) for each in answer_to(decision).ok_response.headers
    }


def test_a_request_that_could_not_be_read_goes_through_without_forgeries() -> None:
    """What Envoy removes then does not depend on what was read."""
    decision = observe(
        replace(decision_of(DENY, request=None), proxy="edge", target=None, identity=None), EVERYTHING, None
    )
    answer = answer_to(decision)
    assert answer.status.code == 0
    assert "x-extauthz-subject" in answer.ok_response.headers_to_remove
    assert answer.dynamic_metadata["mode"] == "observe"
    assert answer.dynamic_metadata["would_reason"] == "no_permit"


def test_an_identity_that_fits_no_header_goes_through_without_one() -> None:
    """Enforced, it is refused; the fixed allow removes every header of ours and sets none."""
    subject = replace(IDENTITY.subject, subject="x" * 100_000)
    decision = replace(decision_of(ALLOW), proxy="edge", identity=replace(IDENTITY, subject=subject))
    assert to_envoy(decision) is UNANSWERABLE
    assert to_envoy(observe(decision, EVERYTHING, None)) is LET_THROUGH
    fixed = CheckResponse.FromString(LET_THROUGH)
    assert fixed.status.code == 0
    assert "x-extauthz-subject" in fixed.ok_response.headers_to_remove
    assert list(fixed.ok_response.headers) == []


def test_what_could_not_be_said_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a failure of ours, and it is not kept."""

    def unsaid(raw: bytes, **known: Any) -> Any:
        return replace(decided(raw, **known), response=LET_THROUGH)

    monkeypatch.setattr("extauthz.server.check.pipeline.check", unsaid)
    shell = shell_with_keys(capacity=10)
    assert [shell.checker.check(PING, PROXY), shell.checker.check(PING, PROXY)] == [LET_THROUGH, LET_THROUGH]
    assert would(shell) is Reason.INTERNAL_ERROR
    assert len(shell.records.taken) == len("xx")


def test_a_shadow_is_held_against_what_enforcing_would_do() -> None:
    """Else every denial of both would count as a difference."""
    ruleset = compile_policy({"policy.yaml": POLICY.encode()}, PolicyContext())
    shadow = ShadowPolicy(LivePolicy(ruleset), NOTHING)
    heard: Queue[ShadowOutcome] = Queue()
    try:
        answer = shadow.watch(decided(REFUSED["no_credentials"], **QUESTIONED, ruleset=ruleset, observing=EVERYTHING))
        assert answer.decision.allowed
        assert answer.decision.shadow is not None
        answer.decision.shadow.hear(heard.put)
        outcome = heard.get(timeout=10)
    finally:
        shadow.stop()
    assert (outcome.change, outcome.reason) == (ShadowChange.NONE, "no_credentials")


def test_nothing_is_observed_unless_asked() -> None:
    """A decision stays as it is."""
    decision = replace(decision_of(DENY), proxy="edge")
    assert observe(decision, None, None) is decision
    assert observe(decision, EVERYTHING, None).observed == Observed(DENY)
