"""Many threads ask the same at once: one decides, and whatever becomes of it, the others get an answer in time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from extauthz.server.recall import Recall
from tests.simulators.envoy_messages import check_request
from tests.simulators.grpc_client import outcome_of
from tests.simulators.tokens import NOW, MemoryKeys
from tests.unit.server.test_check import ALLOWED, MAKER, PROXY, QUESTION, Records, Shell

if TYPE_CHECKING:
    from collections.abc import Callable

    from extauthz.decision.keys import DecisionKey
    from extauthz.model.decision import Decision
    from extauthz.ports import VerificationKey

PATIENCE = 20.0
CROWD = 64
LONG = check_request(path="/things/7", headers={"authorization": f"Bearer {MAKER.mint(lifetime=3000)}"})


@dataclass
class SlowKeys(MemoryKeys):
    """Keys that are looked up only when `before` has returned."""

    before: Callable[[], object] = lambda: None

    def find_key(self, issuer: str, kid: str | None, algorithm: str) -> VerificationKey | None:
        """Wait, then look."""
        self.before()
        return super().find_key(issuer, kid, algorithm)


class CountedRecall(Recall):
    """Says when somebody has to wait for another thread."""

    joined = threading.Semaphore(0)

    def lead(self, key: DecisionKey) -> threading.Event | None:
        """Count whoever does not lead."""
        flight = super().lead(key)
        if flight is not None:
            self.joined.release()
        return flight


class EverybodyLeads(Recall):
    """The negative control: nobody waits for anybody."""

    def lead(self, key: DecisionKey) -> None:
        """Return None."""
        del key

    def land(self, key: DecisionKey) -> None:
        """Wake nobody."""
        del key


@dataclass
class Refusing(Records):
    """Records that fail as often as told, after somebody has come to wait."""

    failures: int = 0
    joined: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def offer(self, decision: Decision, latency: float) -> bool:
        """Fail, or take the decision.

        Raises:
            RuntimeError: while there are failures left.
        """
        if self.failures:
            self.failures -= 1
            assert self.joined.acquire(timeout=PATIENCE)
            message = "boom"
            raise RuntimeError(message)
        return super().offer(decision, latency)


class Crowd:
    """A shell whose keys are slow when told, and threads that ask it."""

    def __init__(self, recall: type[Recall] = CountedRecall, records: Records | None = None) -> None:
        self.shell = Shell(slots=CROWD)
        self.keys = SlowKeys()
        self.keys.add(MAKER)
        records = records or self.shell.records
        self.recall = recall(self.keys, records, 10, self.shell.clock)
        self.recall.joined = threading.Semaphore(0)  # type: ignore[attr-defined]  # only where they are counted
        views = replace(self.shell.checker._rim.views, keys=self.keys, epochs=self.keys)
        self.shell.checker._rim = replace(self.shell.checker._rim, views=views, recall=self.recall, records=records)
        self.shell.checker._deadline = PATIENCE
        self.shell.remote.then = lambda: self.keys.add(MAKER)

    def ask_all(self, number: int, raw: bytes = LONG) -> list[tuple[int, str]]:
        """Ask with so many threads at once and return what came out."""
        start = threading.Barrier(number)

        def ask(_: int) -> tuple[int, str]:
            start.wait(PATIENCE)
            return outcome_of(CheckResponse.FromString(self.shell.checker.check(raw, PROXY)))

        with ThreadPoolExecutor(number) as threads:
            return list(threads.map(ask, range(number)))

    def wait_for(self, number: int) -> Callable[[], None]:
        """Return what returns when so many wait for another thread."""

        def wait() -> None:
            for _ in range(number):
                assert self.recall.joined.acquire(timeout=PATIENCE)  # type: ignore[attr-defined]  # as above

        return wait


def test_a_stampede_on_an_expired_decision_evaluates_it_once() -> None:
    """Sixty-four threads; the one that decides goes on only when all others wait."""
    crowd = Crowd()
    assert crowd.shell.ask(LONG) == ALLOWED
    crowd.shell.clock.seconds = 301
    assert len(crowd.keys.asked) == 1
    crowd.keys.before = crowd.wait_for(CROWD - 1)
    assert crowd.ask_all(CROWD) == [ALLOWED] * CROWD
    assert len(crowd.keys.asked) == 2
    counts = crowd.recall.counts()
    assert (counts.hits, counts.kept) == (CROWD - 1, 1)
    assert counts.stale >= 1


def test_without_waiting_for_each_other_all_would_evaluate() -> None:
    """The negative control: they do come at the same time."""
    crowd = Crowd(EverybodyLeads)
    together = threading.Barrier(CROWD)
    crowd.keys.before = lambda: together.wait(PATIENCE)
    assert crowd.ask_all(CROWD) == [ALLOWED] * CROWD
    assert len(crowd.keys.asked) == CROWD


def test_who_looks_just_before_another_lands_does_not_decide_again() -> None:
    """The narrow moment between looking and leading, over many rounds."""
    crowd = Crowd()
    rounds = 60
    for number in range(rounds):
        raw = check_request(
            path="/things/7", headers={"authorization": f"Bearer {MAKER.mint(lifetime=3000, jti=str(number))}"}
        )
        assert crowd.ask_all(8, raw) == [ALLOWED] * 8
    assert len(crowd.keys.asked) == rounds


class LandsMeanwhile(Recall):
    """Before anybody leads, another thread has decided and landed."""

    another: Callable[[], object] | None = None

    def lead(self, key: DecisionKey) -> threading.Event | None:
        """Let the other thread go first, once."""
        another, self.another = self.another, None
        if another is not None:
            another()
        return super().lead(key)


def test_a_decision_that_lands_between_looking_and_leading_is_repeated() -> None:
    """The same moment, made to happen."""
    crowd = Crowd(LandsMeanwhile)
    assert isinstance(crowd.recall, LandsMeanwhile)
    crowd.recall.another = lambda: crowd.shell.ask(LONG)
    assert crowd.shell.ask(LONG) == ALLOWED
    assert len(crowd.keys.asked) == 1
    assert len(crowd.shell.records.repeated) == 1


def test_a_leader_that_fails_lets_the_others_go_on() -> None:
    """It is denied by a fault of ours; they decide for themselves."""
    records = Refusing(failures=1)
    crowd = Crowd(records=records)
    records.joined = crowd.recall.joined  # type: ignore[attr-defined]  # as above
    outcomes = crowd.ask_all(2)
    assert sorted(outcomes) == [ALLOWED, (503, "internal_error")]
    assert crowd.recall._flights == {}


def test_a_leader_that_needs_evidence_lets_the_others_go_on() -> None:
    """They need it too; all are answered, and the next question is kept."""
    crowd = Crowd()
    crowd.keys.remove(MAKER)
    waits = [crowd.wait_for(3)]
    crowd.keys.before = lambda: waits.pop()() if waits else None  # Only who leads looks for keys, and waits once.
    pool = threading.Barrier(4)
    outcomes: list[object] = []

    def ask() -> None:
        pool.wait(PATIENCE)
        pending = crowd.shell.checker.try_check(LONG, PROXY)
        answer = pending if isinstance(pending, bytes) else pending.finish()
        outcomes.append(outcome_of(CheckResponse.FromString(answer)))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert outcomes == [ALLOWED] * 4
    assert crowd.recall._flights == {}


def test_who_waits_does_so_within_its_own_deadline() -> None:
    """Then it decides by itself; the other thread is still at it."""
    crowd = Crowd()
    recall = crowd.recall
    named = recall.name(QUESTION, PROXY, crowd.shell.checker._rim.policy.current)
    assert named is not None
    assert recall.lead(named.key) is None
    assert crowd.shell.ask(QUESTION, remaining=0.01) == ALLOWED
    assert named.key in recall._flights
    assert len(crowd.keys.asked) == 1


@pytest.mark.parametrize("waited", [0.0, 400.0])
def test_who_has_waited_is_answered_for_the_instant_after(waited: float) -> None:
    """A token that ended meanwhile is refused, however long ago it was asked about."""
    crowd = Crowd()
    raw = check_request(path="/things/7", headers={"authorization": f"Bearer {MAKER.mint(now=NOW)}"})
    named = crowd.recall.name(raw, PROXY, crowd.shell.checker._rim.policy.current)
    assert named is not None
    assert crowd.recall.lead(named.key) is None
    pending = crowd.shell.checker.try_check(raw, PROXY)
    assert not isinstance(pending, bytes)
    crowd.shell.clock.seconds += waited
    crowd.recall.land(named.key)
    expected = (401, "token_expired") if waited else ALLOWED
    assert outcome_of(CheckResponse.FromString(pending.finish())) == expected
