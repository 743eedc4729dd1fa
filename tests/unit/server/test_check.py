"""The shell round the core: deadline, fetches, records, the last resort."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from extauthz import pipeline
from extauthz.clock import Instant
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from extauthz.identity.rules import FixedValue, FromClaim, IssuerRules, MappingRules, Profile
from extauthz.model.reason import Reason
from extauthz.pipeline import Views
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.policy.live import LivePolicy
from extauthz.ports import Fetched, KeysOf, NeedsEvidence, Occurrence
from extauthz.request.bounds import Proxy
from extauthz.response.to_envoy import UNANSWERABLE
from extauthz.server.bulkhead import Bulkhead
from extauthz.server.check import MAX_FETCHES, MIN_REMAINING, Checker, Rim
from extauthz.server.recall import Recall
from extauthz.telemetry.metrics import Metrics
from tests.integration.running import POLICY
from tests.simulators.envoy_messages import check_request
from tests.simulators.grpc_client import outcome_of
from tests.simulators.tokens import AUDIENCE, ISSUER, NOW, MemoryKeys, TokenMaker

if TYPE_CHECKING:
    from collections.abc import Callable

    from extauthz.model.decision import Decision
    from extauthz.observing import Observing
    from extauthz.ports import Need, Spender

PROXY = Proxy("edge")
MAKER = TokenMaker()
PING = check_request(path="/ping")
QUESTION = check_request(path="/things/7", headers={"authorization": f"Bearer {MAKER.mint()}"})
PROFILE = Profile(
    name="default",
    audience=AUDIENCE,
    realm="",
    issuers={
        ISSUER: IssuerRules(
            issuer=ISSUER,
            algorithms=("ES256",),
            leeway=5,
            max_lifetime=3600,
            mapping=MappingRules(
                kind=FromClaim("kind"),
                tenant=FixedValue("acme"),
                roles=FromClaim("roles"),
                groups=FromClaim("groups"),
                session=FromClaim("sid"),
            ),
        )
    },
    max_token_age=None,
)


@dataclass
class ManualClock:
    """A clock that moves when told."""

    seconds: float = 0.0

    def now(self) -> Instant:
        """Return the instant."""
        return Instant(NOW + self.seconds)

    def monotonic(self) -> float:
        """Return the stopwatch."""
        return self.seconds

    def boot(self) -> float:
        """Return the seconds since the machine started."""
        return self.seconds


@dataclass
class Remote:
    """An `EvidenceSource`: takes its time, then does something."""

    clock: ManualClock
    takes: float = 0.01
    outcome: Fetched = Fetched.DONE
    then: Callable[[], object] = lambda: None
    asked: list[tuple[Need, float]] = field(default_factory=list)

    def fetch(self, need: Need, timeout: float) -> Fetched:
        """Note the question and let time pass, at most `timeout`."""
        self.asked.append((need, timeout))
        self.clock.seconds += min(self.takes, timeout)
        if self.takes > timeout:
            return Fetched.UNAVAILABLE
        self.then()
        return self.outcome


@dataclass
class Records:
    """A `RecordSink` with room or without."""

    room: bool = True
    failure: Exception | None = None
    taken: list[Decision] = field(default_factory=list)
    repeated: list[tuple[bytes, Occurrence]] = field(default_factory=list)

    def offer(self, decision: Decision, latency: float) -> bool:
        """Take the decision when there is room."""
        del latency
        if self.failure is not None:
            raise self.failure
        if self.room:
            self.taken.append(decision)
        return self.room

    def prepare(self, decision: Decision) -> bytes:
        """Return what names the decision."""
        return decision.decision_id.encode()

    def offer_again(self, common: bytes, occurrence: Occurrence) -> bool:
        """Take the repetition when there is room."""
        if self.room:
            self.repeated.append((common, occurrence))
        return self.room


class Shell:
    """A checker with everything round it within reach."""

    def __init__(
        self,
        *,
        slots: int = 1,
        refuse_unrecorded: bool = True,
        capacity: int = 0,
        spender: Spender | None = None,
        observing: Observing | None = None,
    ) -> None:
        ruleset = compile_policy({"policy.yaml": POLICY.encode()}, PolicyContext())
        self.clock = ManualClock()
        self.keys = MemoryKeys()
        self.remote = Remote(self.clock, then=lambda: self.keys.add(MAKER))
        self.records = Records()
        self.metrics = Metrics()
        self.waiting = Bulkhead(slots)
        rim = Rim(
            policy=LivePolicy(ruleset),
            views=Views(keys=self.keys, profiles={"default": PROFILE}, epochs=self.keys),
            evidence=self.remote,
            records=self.records,
            metrics=self.metrics,
            clock=self.clock,
            waiting=self.waiting,
            recall=Recall(self.keys, self.records, capacity, self.clock),
            spender=spender,
            observing=observing,
        )
        self.checker = Checker(rim, deadline=0.15, refuse_unrecorded=refuse_unrecorded)

    def ask(
        self, raw: bytes = QUESTION, proxy: Proxy | None = PROXY, remaining: float | None = None
    ) -> tuple[int, str]:
        """Return status and reason of the answer."""
        return outcome_of(CheckResponse.FromString(self.checker.check(raw, proxy, remaining=remaining)))


ALLOWED = (200, "allowed")
UNAVAILABLE = (503, "evidence_unavailable")
OVERLOADED = (503, "overloaded")


def test_what_is_in_memory_is_decided_without_a_fetch() -> None:
    """One question, one record."""
    shell = Shell()
    shell.keys.add(MAKER)
    assert shell.ask() == ALLOWED
    assert shell.remote.asked == []
    assert [decision.reason for decision in shell.records.taken] == [Reason.ALLOWED]


def test_a_needed_key_is_fetched_and_the_question_asked_again() -> None:
    """Within the deadline; the decision is of the instant after the fetch."""
    shell = Shell()
    assert shell.ask() == ALLOWED
    ((need, timeout),) = shell.remote.asked
    assert need == KeysOf(ISSUER)
    assert timeout == pytest.approx(0.15)
    assert shell.records.taken[0].at == NOW + 0.01
    assert 'extauthz_evidence_waits_total{outcome="done"} 1.0' in shell.metrics.exposition().decode()


def test_a_token_that_expires_during_the_fetch_is_refused() -> None:
    """The instant is fresh, not that of the question."""
    expiring = MAKER.mint(now=NOW - 304)  # With the leeway it ends one second after NOW: during the fetch.
    raw = check_request(path="/things/7", headers={"authorization": f"Bearer {expiring}"})
    shell = Shell()
    shell.clock.seconds, shell.remote.takes = 0.95, 0.1
    assert shell.ask(raw) == (401, "token_expired")
    assert shell.remote.asked
    shell = Shell()
    shell.clock.seconds = 0.95
    shell.keys.add(MAKER)
    assert shell.ask(raw) == ALLOWED


@pytest.mark.parametrize("outcome", [Fetched.UNAVAILABLE, Fetched.DONE])
def test_a_fetch_without_the_key_ends_the_matter(outcome: Fetched) -> None:
    """Unavailable is our trouble, done means that the issuer has no such key; the record knows the request."""
    shell = Shell()
    shell.remote.outcome, shell.remote.then = outcome, lambda: None
    expected = UNAVAILABLE if outcome is Fetched.UNAVAILABLE else (401, "signature_invalid")
    assert shell.ask() == expected
    assert len(shell.remote.asked) == 1
    assert shell.records.taken[0].target is not None


def test_a_slow_fetch_is_given_what_is_left_of_the_deadline() -> None:
    """Ours, or the asker's where that is earlier."""
    shell = Shell()
    shell.remote.takes = 60
    assert shell.ask(remaining=0.05) == UNAVAILABLE
    ((_, timeout),) = shell.remote.asked
    assert timeout == pytest.approx(0.05 - MIN_REMAINING)
    assert shell.clock.seconds < 0.05


@pytest.mark.parametrize("remaining", [0.0, MIN_REMAINING, -1.0])
def test_a_question_that_comes_too_late_is_not_looked_at(remaining: float) -> None:
    """It is refused and recorded as what it is."""
    shell = Shell()
    shell.keys.add(MAKER)
    assert shell.ask(remaining=remaining) == OVERLOADED
    assert shell.records.taken[0].request is None


def test_without_a_waiting_slot_nothing_is_fetched() -> None:
    """The others of the crowd are answered at once."""
    shell = Shell(slots=1)
    with shell.waiting.enter():
        assert shell.ask() == UNAVAILABLE
        assert shell.ask(PING) == ALLOWED
    assert shell.remote.asked == []
    assert shell.ask() == ALLOWED


def test_a_core_that_never_has_enough_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of fetches for one question is bounded."""
    shell = Shell()
    monkeypatch.setattr(pipeline, "check", lambda *_, **__: NeedsEvidence(KeysOf(ISSUER)))
    assert shell.ask() == UNAVAILABLE
    assert len(shell.remote.asked) == MAX_FETCHES


def test_an_allow_that_cannot_be_recorded_is_refused() -> None:
    """A denial stays what it is, recorded or not."""
    shell = Shell()
    shell.records.room = False
    assert shell.ask(PING) == OVERLOADED
    assert shell.ask(b"") == (400, "malformed_request")


def test_an_allow_without_a_record_stands_where_the_settings_say_so() -> None:
    """The weakening switch."""
    shell = Shell(refuse_unrecorded=False)
    shell.records.room = False
    assert shell.ask(PING) == ALLOWED


def test_an_unknown_proxy_is_refused_by_the_core() -> None:
    """Whatever it asks."""
    assert Shell().ask(PING, proxy=None) == (503, "proxy_unauthenticated")


def test_no_policy_means_no() -> None:
    """And the record says why."""
    shell = Shell()
    shell.checker._rim.policy._current = None
    assert shell.ask(PING) == (503, "evaluation_failed")
    assert shell.records.taken[0].policy is None


def test_a_refusal_is_recorded_with_proxy_and_policy() -> None:
    """For what the engine turns away."""
    shell = Shell()
    answer = CheckResponse.FromString(shell.checker.refuse(Reason.OVERLOADED, PROXY))
    assert outcome_of(answer) == OVERLOADED
    (taken,) = shell.records.taken
    assert taken.proxy == "edge"
    assert taken.policy is not None
    assert outcome_of(CheckResponse.FromString(shell.checker.refuse(Reason.OVERLOADED, None))) == OVERLOADED


def test_whatever_fails_is_a_denial() -> None:
    """The prepared one, byte for byte; nothing is raised, and nothing counts as under way afterwards."""
    shell = Shell()
    shell.records.failure = RuntimeError("boom")
    assert shell.checker.check(PING, PROXY) is UNANSWERABLE
    assert shell.checker.refuse(Reason.OVERLOADED, PROXY) is UNANSWERABLE
    assert "extauthz_inflight 0.0" in shell.metrics.exposition().decode()


def test_an_allow_that_cannot_be_put_into_an_answer_is_recorded_as_denied() -> None:
    """The record tells what was answered."""
    shell = Shell()
    shell.keys.add(MAKER)
    subject = "x" * 2048
    raw = check_request(path="/things/7", headers={"authorization": f"Bearer {MAKER.mint(sub=subject)}"})
    original = pipeline.check

    def unanswerable(*args: Any, **kwargs: Any) -> pipeline.Answer:
        answer = original(*args, **kwargs)
        assert isinstance(answer, pipeline.Answer)
        return pipeline.Answer(UNANSWERABLE, answer.decision)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "check", unanswerable)
        assert shell.ask(raw) == (503, "internal_error")
    assert [decision.reason for decision in shell.records.taken] == [Reason.INTERNAL_ERROR]
