"""What kept decisions weigh, however many different questions come."""

from __future__ import annotations

import gc
import resource
import sys
import tracemalloc
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from extauthz.audit.record import close_line, open_common
from extauthz.clock import SystemClock
from extauthz.config.settings import CacheSettings
from extauthz.pipeline import Views
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.policy.live import LivePolicy
from extauthz.request.bounds import Proxy
from extauthz.server.bulkhead import Bulkhead
from extauthz.server.check import Checker, Rim
from extauthz.server.recall import Recall
from extauthz.telemetry.metrics import Metrics
from tests.integration.running import POLICY
from tests.simulators.clock import ManualClock
from tests.simulators.envoy_messages import TYPICAL_HEADERS, check_request
from tests.simulators.interleavings import NoEvidence
from tests.simulators.profiles import issuer_rules, profile
from tests.simulators.tokens import MemoryKeys, TokenMaker

if TYPE_CHECKING:
    from extauthz.model.decision import Decision
    from extauthz.ports import Occurrence

CEILING = 10 * 1024
"""Bytes for one kept decision of a usual request, as the description of `cache.decisions` says."""

LONG_RUN = 1_000_000
PROXY = Proxy("edge")
MAKER = TokenMaker(alg="EdDSA")


@dataclass
class Nowhere:
    """Records that are made and thrown away."""

    offered: int = 0

    def offer(self, decision: Decision, latency: float) -> bool:
        """Count the decision."""
        del decision, latency
        self.offered += 1
        return True

    def prepare(self, decision: Decision) -> bytes:
        """Return what a real writer would keep."""
        return close_line(open_common(decision), decision.shadow)

    def offer_again(self, common: bytes, occurrence: Occurrence) -> bool:
        """Take the repetition."""
        del common, occurrence
        return True


class Sieve(list[tuple[str, str | None, str]]):
    """A list that keeps nothing."""

    def append(self, _: object) -> None:
        """Do nothing."""


@dataclass
class ForgetfulKeys(MemoryKeys):
    """Keys that do not remember who asked for them."""

    asked: list[tuple[str, str | None, str]] = field(default_factory=Sieve)


class Scene:
    """A checker with records that go nowhere."""

    def __init__(self, capacity: int) -> None:
        keys = ForgetfulKeys()
        keys.add(MAKER)
        records = Nowhere()
        self.recall = Recall(keys, records, capacity, SystemClock())
        rim = Rim(
            policy=LivePolicy(compile_policy({"policy.yaml": POLICY.encode()}, PolicyContext())),
            views=Views(keys=keys, profiles={"default": profile(issuer_rules())}, epochs=keys),
            evidence=NoEvidence(),
            records=records,
            metrics=Metrics(),
            clock=ManualClock(),
            waiting=Bulkhead(1),
            recall=self.recall,
        )
        self.checker = Checker(rim, deadline=1.0, refuse_unrecorded=True)

    def ask(self, number: int) -> None:
        """Ask what nobody has asked before, and every third time once more."""
        token = MAKER.mint(jti=f"t-{number}", sub=f"job-{number}", scope="read deploy:staging", roles=["a", "b"])
        headers = {**TYPICAL_HEADERS, "authorization": f"Bearer {token}"}
        raw = check_request(path=f"/things/{number}", headers=headers)
        for _ in range(2 if number % 3 == 0 else 1):
            self.checker.check(raw, PROXY)


def most_resident_bytes() -> int:
    """Return how much memory this process has had at most."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def traced_bytes() -> int:
    """Return how much memory Python objects take that were made since tracing began."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def fill(scene: Scene, capacity: int, questions: int) -> None:
    """Ask so many different questions; as many as fit are kept then, and no more."""
    for number in range(questions):
        scene.ask(number)
    counts = scene.recall.counts()
    assert counts.kept == capacity
    assert counts.evicted >= questions - capacity
    assert counts.hits > 0.9 * questions / 3


def test_a_kept_decision_weighs_less_than_is_said() -> None:
    """Counted exactly: what is free again when everything kept is thrown away."""
    tracemalloc.start()
    try:
        scene = Scene(300)
        fill(scene, 300, 500)
        full = traced_bytes()
        scene.recall._kept.clear()
        weight = (full - traced_bytes()) / 300
    finally:
        tracemalloc.stop()
    assert 1000 < weight < CEILING


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_million_tokens_weigh_no_more_than_what_is_kept() -> None:
    """With the default capacity, by the memory of the process: nothing else grows with the number of callers."""
    capacity = CacheSettings().decisions
    scene = Scene(capacity)
    scene.ask(-1)
    before = most_resident_bytes()
    fill(scene, capacity, LONG_RUN)
    each = (most_resident_bytes() - before) / capacity
    print(f"{LONG_RUN:,} tokens, {capacity:,} kept: {each * capacity / 2**20:.1f} MiB, {each:,.0f} bytes each")  # noqa: T201 — shown by `pytest -s`
    assert each < CEILING
