"""What an allow uses up is taken before it is given out; refused, late, broken or homeless is a denial."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from extauthz import pipeline
from extauthz.clock import Instant
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from extauthz.identity.authenticate import authenticate
from extauthz.ids import RuleId
from extauthz.model.reason import Reason
from extauthz.model.spend import Spend
from extauthz.ports import NeedsEvidence, SpendOutcome, Spent
from tests.simulators.envoy_messages import check_request
from tests.simulators.grpc_client import outcome_of
from tests.simulators.tokens import NOW
from tests.unit.server.test_check import ALLOWED, MAKER, PROXY, QUESTION, UNAVAILABLE, Shell

if TYPE_CHECKING:
    from extauthz.identity.sources import Proven

SPEND = Spend(kind="proof", key=b"k", until=Instant(NOW + 60), refused=Reason.PROOF_REPLAYED, detail="Make a new one.")
REPLAYED = (401, "proof_replayed")


@dataclass
class Till:
    """A `Spender` that says what it is told."""

    outcome: SpendOutcome = SpendOutcome.DONE
    asked: list[tuple[tuple[Spend, ...], bytes, float]] = field(default_factory=list)

    def spend(self, spends: tuple[Spend, ...], question: bytes, timeout: float) -> Spent:
        """Note the question."""
        self.asked.append((spends, question, timeout))
        return Spent(self.outcome, spends[0] if self.outcome is SpendOutcome.REFUSED else None)


@pytest.fixture(autouse=True)
def _each_caller_spends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every proven caller have something to spend."""
    real = authenticate

    def spending(*arguments: Any) -> Proven | NeedsEvidence:
        found = real(*arguments)
        return found if isinstance(found, NeedsEvidence) else replace(found, spends=(SPEND,))

    monkeypatch.setattr(pipeline, "authenticate", spending)


def shell_with(till: Till | None) -> Shell:
    """Return a shell that spends at `till` and keeps decisions."""
    shell = Shell(capacity=10, spender=till)
    shell.keys.add(MAKER)
    return shell


@pytest.mark.parametrize(
    ("outcome", "answer"),
    [(SpendOutcome.DONE, ALLOWED), (SpendOutcome.REFUSED, REPLAYED), (SpendOutcome.UNKNOWN, UNAVAILABLE)],
)
def test_the_answer_is_what_became_of_the_spend(outcome: SpendOutcome, answer: tuple[int, str]) -> None:
    """Counted and recorded as answered, and never kept: the same question spends again."""
    till = Till(outcome)
    shell = shell_with(till)
    assert [shell.ask(), shell.ask()] == [answer, answer]
    assert [decision.reason.value for decision in shell.records.taken] == [answer[1], answer[1]]
    assert [spends for spends, _, _ in till.asked] == [(SPEND,), (SPEND,)]
    assert f'extauthz_spends_total{{kind="{"proof" if answer == REPLAYED else ""}",outcome="{outcome.value}"}} 2.0' in (
        shell.metrics.exposition().decode()
    )


@pytest.mark.parametrize("rule", [RuleId("not-too-often"), None])
def test_a_refusal_names_the_rule_that_asked(rule: RuleId | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the decision that is recorded; a proof of possession is asked for by no rule."""
    monkeypatch.setattr(f"{__name__}.SPEND", replace(SPEND, rule=rule))
    refused, lost = shell_with(Till(SpendOutcome.REFUSED)), shell_with(Till(SpendOutcome.UNKNOWN))
    assert (refused.ask(), lost.ask()) == (REPLAYED, UNAVAILABLE)
    assert [decision.verdict.rule for decision in refused.records.taken] == [rule]
    assert [decision.verdict.rule for decision in lost.records.taken] == [None]


def test_nowhere_to_spend_is_a_denial() -> None:
    """Nothing is given away because the owner of the till is missing."""
    assert shell_with(None).ask() == UNAVAILABLE


def test_no_time_or_no_waiting_slot_is_a_denial_unasked() -> None:
    """The spender is not asked for what nobody can wait for."""
    till = Till()
    shell = shell_with(till)
    with shell.waiting.enter():
        assert shell.ask() == UNAVAILABLE
    pending = shell.checker.try_check(QUESTION, PROXY)
    assert not isinstance(pending, bytes)
    shell.clock.seconds += 1
    assert outcome_of(CheckResponse.FromString(pending.finish())) == UNAVAILABLE
    assert till.asked == []


def test_a_question_is_named_by_proxy_and_message() -> None:
    """A retry repeats both, another stream has another id; what is left of the deadline bounds the wait."""
    till = Till()
    shell = shell_with(till)
    other = check_request(path="/things/8", headers={"authorization": f"Bearer {MAKER.mint()}"})
    for raw in (QUESTION, QUESTION, other):
        shell.ask(raw)
    names = [name for _, name, _ in till.asked]
    assert names[0] == names[1] != names[2]
    assert till.asked[0][2] == pytest.approx(0.15)


def test_without_a_stream_id_a_replay_is_no_retry() -> None:
    """Callers other than Envoy leave it out, and then the same bytes may be a proof that is used again."""
    till = Till()
    shell = shell_with(till)
    headers = {"authorization": f"Bearer {MAKER.mint()}"}
    for _ in range(2):
        shell.ask(check_request(path="/things/7", headers=headers, stream_id=""))
    assert len({name for _, name, _ in till.asked}) == 2


def test_a_denial_spends_nothing() -> None:
    """What is refused anyway costs nobody a use."""
    till = Till()
    refused = check_request(path="/things/7", headers={"authorization": f"Bearer {MAKER.mint(kind='user')}"})
    assert shell_with(till).ask(refused)[0] == 403
    assert till.asked == []


def test_what_is_fetched_first_spends_afterwards() -> None:
    """One wait for both."""
    till = Till()
    shell = Shell(capacity=10, spender=till)
    assert shell.ask() == ALLOWED
    assert (len(shell.remote.asked), len(till.asked)) == (1, 1)
