"""The laws of kept decisions: with them and without them, every answer is the same."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from extauthz.request.bounds import Proxy
from extauthz.server.recall import Kept, Recall
from tests.simulators.interleavings import World

if TYPE_CHECKING:
    from extauthz.clock import Instant
    from extauthz.decision.keys import DecisionKey
    from extauthz.pipeline import Reusable
    from extauthz.policy.ruleset import Ruleset

ANYBODY = Proxy("anybody")
WORLDS = 20
STEPS = 1100


class WithoutEpochs(Recall):
    """The negative control: kept decisions are believed whatever has changed."""

    def _is_current(self, reusable: Reusable) -> bool:
        del reusable
        return True


class WithoutRegistry(Recall):
    """The negative control: kept decisions are believed whatever the registry has come to say."""

    def _is_current(self, reusable: Reusable) -> bool:
        pairs = zip(reusable.rests_on, reusable.epochs, strict=True)
        others = [pair for pair in pairs if pair[0].kind != "registry"]
        return self._epochs.read_epochs(tuple(name for name, _ in others)) == tuple(epoch for _, epoch in others)


class WithoutTime(Recall):
    """The negative control: kept decisions are believed for ever."""

    def find(self, key: DecisionKey, at: Instant) -> Kept | None:
        """Return what is kept, however old."""
        del at
        return self._kept.get(key)


class WithoutProxy(Recall):
    """The negative control: two proxies with different bounds share a key, and a sketch."""

    def recognise(
        self, raw: bytes, proxy: Proxy | None, ruleset: Ruleset | None, at: Instant, asked: float
    ) -> tuple[Kept, tuple[str, str]] | None:
        """Return what is kept for any proxy."""
        del proxy
        return super().recognise(raw, ANYBODY, ruleset, at, asked)

    def learn(self, raw: bytes, proxy: Proxy | None, ruleset: Ruleset | None, kept: Kept) -> None:
        """Learn it for any proxy."""
        del proxy
        super().learn(raw, ANYBODY, ruleset, kept)

    def find(self, key: DecisionKey, at: Instant) -> Kept | None:
        """Return what is kept for any proxy."""
        return super().find((key[0], None, key[2]), at)

    def keep(self, key: DecisionKey, answer: object) -> None:
        """Keep it for any proxy."""
        super().keep((key[0], None, key[2]), answer)  # type: ignore[arg-type]  # passed on unchanged


def first_difference(world: World, steps: int) -> str | None:
    """Return where the answers with and without kept decisions differ, or None when they never do."""
    for step in range(steps):
        if world.random.random() < 0.15:
            world.change()
        fresh, kept = world.ask()
        if fresh != kept:
            return f"step {step}: {fresh} is not {kept}"
    return None


@pytest.mark.parametrize("seed", range(WORLDS))
def test_with_and_without_kept_decisions_every_answer_is_the_same(seed: int) -> None:
    """Over 22,000 questions between which policies, keys, tokens, time and the record change at random."""
    world = World(Random(seed))
    assert first_difference(world, STEPS) is None
    assert world.sinks[0].taken == world.sinks[1].taken, "every repetition is recorded like a decision"
    counts = world.recall.counts()
    assert counts.hits > STEPS / 40, "the test means nothing when nothing is kept"
    assert counts.recognised > STEPS / 200, "nor when no question is known by its sketch"
    assert counts.stale
    assert counts.kept <= 60


@pytest.mark.parametrize("broken", [WithoutEpochs, WithoutRegistry, WithoutTime, WithoutProxy])
def test_without_a_protection_a_wrong_answer_shows(broken: type[Recall]) -> None:
    """The same worlds find the fault when epochs, those of the registry alone, lifetimes or proxies are left out."""
    found = (first_difference(World(Random(seed), broken), STEPS) for seed in range(WORLDS))
    assert any(found)
