"""The situations of `examples/scenarios/`, all of them through one Envoy."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from extauthz.demo.command import run_command
from extauthz.demo.scenario import find_differences, find_situations
from extauthz.demo.scenario_live import play
from extauthz.demo.scenario_show import show_scenario
from extauthz.demo.scenario_stage import SituationStage
from extauthz.demo.scenario_steps import AskStep, Run
from tests.e2e.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from extauthz.demo.scenario import Situation

pytestmark = pytest.mark.envoy

SITUATIONS = find_situations(ROOT)
COMPLETE = {"01", "04", "05", "08", "09", "10", "14", "16", "17"}
"""Those of which every case that a bearer token can prove is sent, and nothing waits."""

OVER_TIME = [each for each in SITUATIONS if each.steps]
"""Those in which something changes between requests."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SituationStage]:
    """Run a server whose policies take turns."""
    with SituationStage(ROOT, tmp_path_factory.mktemp("situations")) as running:
        yield running


def test_there_are_all_of_them() -> None:
    """Seventeen, and those that wait for nothing are known."""
    assert [each.number for each in SITUATIONS] == [f"{number:02}" for number in range(1, 18)]
    assert {each.number for each in SITUATIONS if not each.waiting} == COMPLETE


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.folder.name)
def test_answers_are_as_expected(stage: SituationStage, situation: Situation) -> None:
    """Every case that can be sent; a complete situation has one that is let through and one that is not."""
    scenes = list(stage.act(situation))
    sent = [scene for scene in scenes if scene.answer is not None]
    assert [scene.differences for scene in sent if scene.differences] == []
    outcomes = {scene.case.expect.outcome for scene in sent}
    assert outcomes == {"allow", "deny"} if situation.number in COMPLETE else outcomes
    wrong = {"allow": "deny", "deny": "allow"}
    for scene in sent:
        assert scene.answer is not None
        outcome = wrong[scene.case.expect.outcome]
        opposite = replace(scene.case, expect=scene.case.expect.model_copy(update={"outcome": outcome}))
        assert find_differences(opposite, scene.answer)


@pytest.mark.parametrize("situation", OVER_TIME, ids=lambda situation: situation.folder.name)
def test_what_happens_over_time(stage: SituationStage, situation: Situation) -> None:
    """Each step comes out as written; a token that is let through is refused later, and nothing else told it so."""
    moments = list(play(stage, situation))
    assert [(moment.title, moment.wrong) for moment in moments if moment.wrong] == []
    assert len(moments) == len(situation.steps)
    asked = [moment for moment in moments if moment.expected]
    assert {moment.expected == "allow" for moment in asked} == {True, False}
    for moment in moments:
        if moment.title.startswith("$"):
            assert re.match(r"in force on 1/1 workers after [0-9.]+ m?s; [0-9]+ live session", moment.got[1])


def test_a_command_that_goes_wrong_is_told(stage: SituationStage) -> None:
    """Its exit code and what it said are the step's."""
    (reuse,) = (each for each in OVER_TIME if each.number == "13")
    ask = next(step for step in reuse.steps if isinstance(step, AskStep))
    (_, moment) = play(stage, replace(reuse, steps=(ask, Run(run="revoke moon"))))
    assert "exit code 2" in moment.wrong[0]


def test_without_commands_and_signals_the_token_goes_on(stage: SituationStage) -> None:
    """The steps that refuse do so because of what happened in between: left out, they come out wrong."""
    (chained,) = (each for each in OVER_TIME if each.number == "17")
    quiet = replace(chained, steps=tuple(step for step in chained.steps if isinstance(step, AskStep)))
    wrong = [moment.title for moment in play(stage, quiet) if moment.wrong]
    assert wrong == ["the same token once more", "alice administers under suspicion"]


def test_what_was_reported_is_told(stage: SituationStage) -> None:
    """`signals tail` says from whom an event came, about whom, what became of it, and how old it was."""
    subject = {"format": "iss_sub", "iss": stage.stage.issuer.issuer, "sub": "mallory"}
    assert stage.stage.transmitter.push("account-disabled", subject, {}).status == 202
    (line,) = run_command(stage.stage, "signals tail --lines 1").lines
    for told in ("stream demo", "account-disabled", "mallory", "in_force", "s after it happened"):
        assert told in line


def test_windows_are_as_open_as_the_case_says(stage: SituationStage) -> None:
    """The same request is let through at one instant and refused at another."""
    (first,) = (each for each in SITUATIONS if each.number == "01")
    answers = {scene.case.name: scene.answer for scene in stage.act(first)}
    opened, closed = answers["production while the window is open"], answers["production on a Friday"]
    assert opened is not None
    assert closed is not None
    assert (opened.status, closed.reason) == (200, "outside_change_window")
    assert "retry-after" in closed.headers


def test_the_command_shows_a_situation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table, and what was left to `policy test`; a number that there is not is told."""
    assert show_scenario("08", tmp_path) == 0
    shown = capsys.readouterr().out
    assert "9 of 9 answers as expected" in shown
    assert "needs another issuer" in shown
    assert show_scenario("99", tmp_path) == 2
