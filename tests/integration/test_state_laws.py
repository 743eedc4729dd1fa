"""The law of kept decisions over the state: whatever happens to it, a kept answer is the fresh one."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.clock import Instant
from extauthz.model.restriction import Effect, Form, Mark, Restriction
from extauthz.model.state import StateName
from extauthz.server.recall import Recall
from tests.integration.facts import NoEpochs, Scene
from tests.integration.state_facts import MACHINE, POLICY, STREAM, TARGETS, WORKLOAD, Stage, asked, profiles
from tests.simulators.statefile import restriction, subject
from tests.simulators.tokens import ISSUER

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.decision.keys import DecisionKey
    from extauthz.pipeline import Answer

STEPS = 350
SEEDS = range(3)
FACTS: list[tuple[StateName, dict[str, Any]]] = [
    (StateName("posture", "device d-1"), {"compliant": True}),
    (StateName("posture", "device d-1"), {"compliant": False}),
    (StateName("risk", f"{ISSUER} alice"), {"score": 10, "level": "low"}),
    (StateName("risk", f"{ISSUER} alice"), {"score": 90, "level": "high"}),
    (StateName("task", WORKLOAD), {"id": "t", "may": ["task.read"]}),
]
QUESTIONS: list[dict[str, Any]] = [
    *(asked(path) for path in ("/plain/7", "/posture/7", "/risk/7", "/task/7", "/old", "/deaf", "/guess")),
    asked(token=MACHINE),
    {"path": "/open"},
]
OTHERS = (subject("bob"), Mark(Form.TENANT, ISSUER, "other"), Mark(Form.DEVICE, ISSUER, "d-2"))


class NothingKept(Recall):
    """Decides everything anew."""

    def keep(self, key: DecisionKey, answer: Answer) -> None:
        """Keep nothing."""


class World:
    """Two checkers on one state file, one of which keeps decisions, and everything that happens to the file."""

    def __init__(self, folder: Path, seed: int, recall: type[Recall]) -> None:
        self.random = Random(seed)
        self.stage = Stage(folder, recall, STREAM)
        self.fresh = Scene(
            NothingKept, policy=POLICY, profiles=profiles(), view=self.stage.view, clock=self.stage.clock
        )
        self.said: list[Restriction] = []
        self.stage.file.hear("idp")

    def happen(self) -> None:
        """Let one thing happen."""
        chances = (
            self._restrict,
            self._lift,
            self._lift,
            self._tell,
            self._take_back,
            self._hear,
            self._pass,
            self._pass,
        )
        self.random.choice(chances)()

    def first_difference(self) -> str | None:
        """Return where the answers of the two differ; None when they never do."""
        for step in range(STEPS):
            if self.random.random() < 0.2:
                self.happen()
            question = self.random.choice(QUESTIONS)
            kept, fresh = self.stage.ask(question), self.fresh.ask(question)
            if kept != fresh:
                return f"step {step}: {kept} is not {fresh}"
        return None

    def _restrict(self) -> None:
        target = self.random.choice([*TARGETS.values(), *OTHERS])
        others = [TARGETS[Form.DEVICE], TARGETS[Form.SESSION], *OTHERS]
        also = tuple(self.random.sample(others, self.random.choice([0, 0, 1])))
        at = Instant(self.stage.clock.now() - self.random.choice([0, 1, 20, 2000]))
        self.said.append(restriction(target, self.random.choice(list(Effect)), also=also, event_at=at))
        self.stage.file.restrict(self.said[-1])

    def _lift(self) -> None:
        while self.said:
            self.stage.file.lift(self.said.pop())

    def _tell(self) -> None:
        name, value = self.random.choice(FACTS)
        now = self.stage.clock.now()
        times = {"observed_at": now} if name.kind == "posture" else {"until": now + 30}
        self.stage.file.put(name, {**value, **times})

    def _take_back(self) -> None:
        self.stage.file.remove(self.random.choice(FACTS)[0])

    def _hear(self) -> None:
        self.stage.file.hear("idp", self.random.choice(["", "", "paused", "enabled"]))

    def _pass(self) -> None:
        self.stage.clock.advance(self.random.choice([0.1, 1, 3, 6]))
        if self.random.random() < 0.1:
            self.stage.clock.instant += self.random.choice([-2, 2])
        if self.random.random() < 0.8:
            self.stage.file.beat()
            self.stage.file.hear("idp")


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_to_the_state_a_kept_answer_is_the_fresh_one(tmp_path: Path, seed: int) -> None:
    """Over a thousand questions, between which restrictions, facts, streams, beats and clocks change at random."""
    world = World(tmp_path, seed, Recall)
    assert world.first_difference() is None
    counts = world.stage.recall.counts()
    assert counts.hits > STEPS / 10, "the test means nothing when nothing is kept"
    assert counts.stale
    world.stage.close()


def test_without_epochs_a_wrong_answer_shows(tmp_path: Path) -> None:
    """The negative control."""
    world = World(tmp_path, 0, NoEpochs)
    assert world.first_difference() is not None
    world.stage.close()
