"""A shadow policy says what it would have answered: later, beside, and never in the way."""

from __future__ import annotations

import json
import queue
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NoReturn, cast

import pytest

from extauthz.audit.record import close_line, open_common, to_record
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from extauthz.ids import PolicyRevision
from extauthz.model.reason import Reason
from extauthz.model.shadow import ShadowChange, ShadowOutcome
from extauthz.model.verdict import Deny
from extauthz.nothing import NOTHING
from extauthz.pipeline import Answer, Views
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.policy.live import LivePolicy
from extauthz.request.bounds import Proxy
from extauthz.server.bulkhead import Bulkhead
from extauthz.server.check import Checker, Rim
from extauthz.server.recall import Recall
from extauthz.server.shadow import ShadowPolicy, Slot, find_outcome
from extauthz.telemetry.metrics import Metrics
from tests.integration.running import seconds_of_patience
from tests.simulators.envoy_messages import check_request
from tests.simulators.policy_cases import POLICY, suite_in
from tests.simulators.profiles import profile
from tests.simulators.tokens import MemoryKeys, TokenMaker
from tests.unit.server.test_check import ManualClock, Records, Remote

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.clock import Instant
    from extauthz.model.decision import Decision
    from extauthz.model.state import StateName
    from extauthz.policy.ruleset import Ruleset

MAKER = TokenMaker()
EDGE = Proxy("edge")
PATIENCE = 30.0
WIDER = POLICY.replace("[user, ci]", "[user, ci, service]")
READ = check_request(
    path="/orders/7", headers={"authorization": f"Bearer {MAKER.mint(kind='service', scope='orders.read')}"}
)


def compiled(text: str) -> Ruleset:
    """Return a policy."""
    return compile_policy({"p.yaml": text.encode()}, PolicyContext())


@dataclass
class Gate:
    """A `StateSource` that knows nothing, and holds the shadow back until it is opened."""

    opened: threading.Event = field(default_factory=threading.Event)
    failure: Exception | None = None

    def find_state(self, name: StateName, at: Instant) -> object | None:
        """Know nothing."""
        del name, at
        return None


class HeldShadow(ShadowPolicy):
    """A shadow whose thread waits at a gate."""

    def __init__(self, live: LivePolicy, gate: Gate, *, capacity: int = 4) -> None:
        self.gate = gate
        super().__init__(live, gate, capacity=capacity)

    def _ask(self, decision: Decision, ruleset: Ruleset) -> ShadowOutcome:
        self.gate.opened.wait(PATIENCE)
        if self.gate.failure is not None:
            raise self.gate.failure
        return super()._ask(decision, ruleset)


@dataclass
class Stage:
    """A server's checker with a shadow."""

    shadow: ShadowPolicy
    records: Records = field(default_factory=Records)
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        clock, keys = ManualClock(), MemoryKeys().add(MAKER)
        rim = Rim(
            policy=LivePolicy(compiled(POLICY)),
            views=Views(keys=keys, profiles={"default": profile()}, epochs=keys),
            evidence=Remote(clock),
            records=self.records,
            metrics=self.metrics,
            clock=clock,
            waiting=Bulkhead(1),
            recall=Recall(keys, self.records, 10, clock),
            shadow=self.shadow,
        )
        self.checker = Checker(rim, deadline=0.1, refuse_unrecorded=True)

    def ask(self, raw: bytes = READ) -> int:
        """Return the code of the answer."""
        code: int = CheckResponse.FromString(self.checker.check(raw, EDGE)).status.code
        return code

    def told(self, index: int = -1) -> ShadowOutcome:
        """Return what the shadow said to a recorded decision, when it has."""
        heard: queue.SimpleQueue[ShadowOutcome] = queue.SimpleQueue()
        shadow = self.records.taken[index].shadow
        assert shadow is not None
        shadow.hear(heard.put)
        return heard.get(timeout=PATIENCE)

    def counted(self, change: str) -> float | None:
        """Return how often a change was counted."""
        return self.metrics.registry.get_sample_value("extauthz_shadow_differences_total", {"change": change})

    def count(self, change: str, number: float) -> None:
        """Wait until a change was counted so often: whoever else listens may hear of it earlier."""
        seconds_of_patience(lambda: self.counted(change) == number)


@pytest.mark.parametrize(
    ("case", "old", "new", "change", "said"),
    [
        ("read", "x", "x", ShadowChange.NONE, "allow  readers"),
        ("no service", "[user, ci]", "[user, ci, service]", ShadowChange.OPENS, "allow  readers"),
        ("read", "scopes: [orders.read]", "scopes: [x]", ShadowChange.CLOSES, "deny insufficient_scope readers"),
        (
            "no service",
            "who: {kind: [user, ci]}",
            "who: {roles: [r]}",
            ShadowChange.REASON,
            "deny role_missing readers",
        ),
        ("no credential", "x", "x", ShadowChange.NONE, "deny no_credentials "),
        ("no credential", "preflight: true", "verify: other", ShadowChange.UNTOLD, "untold another credential "),
        ("nowhere", "path: /status", "path: /nowhere", ShadowChange.OPENS, "allow  anyone-sees-the-status"),
        ("nowhere", 'path: "/orders/{order}"', 'path: "/{order}"', ShadowChange.UNTOLD, "untold another credential "),
        ("ship", "body.speed", "body.pace", ShadowChange.CLOSES, "deny unreadable_body "),
    ],
)
def test_what_the_shadow_says(
    tmp_path: Path, case: str, old: str, new: str, *, change: ShadowChange, said: str
) -> None:
    """Of the same request with the same caller, body and query included."""
    (decision,) = [each.judged.decision for each in suite_in(tmp_path).run() if each.case.name == case]
    candidate = compiled(POLICY.replace(old, new))
    outcome = find_outcome(decision, candidate, NOTHING)
    assert outcome.change is change
    assert f"{outcome.outcome} {outcome.reason} {outcome.rule}" == said
    assert outcome.policy == candidate.revision


ASKS = POLICY.replace("- scopes: [orders.read]", "- external: {ask: risk}")


@pytest.mark.parametrize(
    ("case", "candidate", "change", "said"),
    [
        ("read", ASKS, ShadowChange.UNTOLD, "untold the answer of risk "),
        ("secret", ASKS, ShadowChange.NONE, "deny forbidden no-secret-orders"),
        ("no service", ASKS, ShadowChange.NONE, "deny no_permit "),
    ],
)
def test_the_shadow_asks_nobody(tmp_path: Path, case: str, candidate: str, change: ShadowChange, said: str) -> None:
    """What hangs on the answer of another decision point is untold; the rest is not."""
    (decision,) = [each.judged.decision for each in suite_in(tmp_path).run() if each.case.name == case]
    outcome = find_outcome(decision, compiled(candidate), NOTHING)
    assert outcome.change is change
    assert f"{outcome.outcome} {outcome.reason} {outcome.rule}" == said


def test_a_rule_that_nobody_answered_is_compared(tmp_path: Path) -> None:
    """A candidate may leave the rule out; a refusal for want of a key is no matter of policy."""
    suite = suite_in(tmp_path)
    (unanswered,) = [each.judged.decision for each in suite.run(compiled(ASKS)) if each.case.name == "read"]
    assert (unanswered.reason, unanswered.verdict.rule) == (Reason.EVIDENCE_UNAVAILABLE, "readers")
    shadow = ShadowPolicy(LivePolicy(compiled(POLICY)), NOTHING)
    answer = Answer(b"", unanswered)
    heard: queue.SimpleQueue[ShadowOutcome] = queue.SimpleQueue()
    watched = shadow.watch(answer).decision.shadow
    assert watched is not None
    watched.hear(heard.put)
    assert heard.get(timeout=PATIENCE).change is ShadowChange.OPENS
    no_key = replace(unanswered, verdict=Deny(reason=Reason.EVIDENCE_UNAVAILABLE))
    assert shadow.watch(replace(answer, decision=no_key)).decision.shadow is None
    shadow.stop()


def test_a_difference_is_counted_and_recorded_and_answers_stay() -> None:
    """Fresh decisions and repetitions of kept ones alike."""
    shadow = ShadowPolicy(LivePolicy(compiled(WIDER)), NOTHING)
    stage = Stage(shadow)
    assert stage.ask() == 7
    assert stage.told().change is ShadowChange.OPENS
    assert stage.ask() == 7
    assert (len(stage.records.taken), len(stage.records.repeated)) == (1, 1)
    stage.count("deny_to_allow", 2)
    assert stage.metrics.registry.get_sample_value("extauthz_shadow_decisions_total") == 2
    expected = {"outcome": "allow", "rule": "readers", "policy": compiled(WIDER).revision}
    decision = stage.records.taken[0]
    assert to_record(decision, 0.0)["shadow"] == expected
    assert json.loads(b"{" + close_line(open_common(decision), decision.shadow))["shadow"] == expected
    shadow.stop()


def test_the_answer_does_not_wait() -> None:
    """It is out, recorded without the shadow's word, and counted once that is known."""
    gate = Gate()
    shadow = HeldShadow(LivePolicy(compiled(WIDER)), gate)
    stage = Stage(shadow)
    assert stage.ask() == 7
    assert "shadow" not in to_record(stage.records.taken[0], 0.0)
    assert stage.counted("deny_to_allow") == 0
    gate.opened.set()
    assert stage.told().change is ShadowChange.OPENS
    stage.count("deny_to_allow", 1)
    shadow.stop()


def test_too_many_decisions_are_left_out_and_counted() -> None:
    """Memory is bounded; nothing is refused for it."""
    gate = Gate()
    shadow = HeldShadow(LivePolicy(compiled(WIDER)), gate, capacity=2)
    stage = Stage(shadow)
    questions = [check_request(path=f"/nowhere/{number}") for number in range(10)]
    assert {stage.ask(question) for question in questions} == {7}
    skipped = stage.counted("skipped")
    assert skipped is not None
    assert skipped >= 10 - 2 - 1  # two wait, and one may be held at the gate already
    for number in range(3):
        if stage.counted("skipped") == skipped:  # The thread may have made room just before the last; then it is full.
            assert stage.ask(check_request(path=f"/nowhere/more/{number}")) == 7
    assert stage.told().change is ShadowChange.SKIPPED
    assert "shadow" not in to_record(stage.records.taken[-1], 0.0)
    gate.opened.set()
    stage.told(0)
    shadow.stop()


class Treacherous:
    """Stands where a ruleset should be, and fails whoever uses it, but for its name."""

    revision = PolicyRevision("treacherous")

    def __getattr__(self, name: str) -> NoReturn:
        raise ZeroDivisionError(name)


def test_a_shadow_that_fails_is_counted_and_asked_again() -> None:
    """In a way that nobody foresaw; the thread lives on, and a mended shadow is asked again."""
    live = LivePolicy(cast("Ruleset", Treacherous()))
    shadow = ShadowPolicy(live, NOTHING)
    stage = Stage(shadow)
    assert stage.ask() == 7
    assert stage.told().change is ShadowChange.FAILED
    stage.count("failed", 1)
    live.replace(compiled(WIDER))
    assert stage.ask(check_request(path="/nowhere")) == 7
    assert stage.told().change is ShadowChange.NONE
    shadow.stop()


def test_what_policy_does_not_decide_is_not_asked() -> None:
    """Questions that could not be read or that the proxy may not ask; and nothing while no shadow is loaded."""
    live = LivePolicy(compiled(WIDER))
    shadow = ShadowPolicy(live, NOTHING)
    stage = Stage(shadow)
    for raw in (b"", check_request(path="/orders/7", context={"extauthz.wrong": "x"})):
        assert stage.ask(raw) != 0
    assert [decision.shadow for decision in stage.records.taken] == [None, None]
    shadow.stop()
    empty = ShadowPolicy(LivePolicy(), NOTHING)
    stage = Stage(empty)
    assert stage.ask() == 7
    assert stage.records.taken[0].shadow is None
    empty.stop()


def test_an_outcome_is_heard_once_whenever_it_comes() -> None:
    """By who listened before, and by who listens afterwards."""
    shadow = Slot()
    heard: list[ShadowOutcome] = []
    outcome = ShadowOutcome(ShadowChange.NONE, "allow", PolicyRevision("0"))
    shadow.hear(heard.append)
    assert (heard, shadow.outcome) == ([], None)
    shadow.settle(outcome)
    shadow.hear(heard.append)
    assert (heard, shadow.outcome) == ([outcome, outcome], outcome)
