"""Goals are judged by ratios within rounds, and never met with wrong answers."""

from __future__ import annotations

import pytest

from bench.chart import svg
from bench.contestants import CACHED, Contestant
from bench.goals import GOALS, GUARDS, RULERS, Goal
from bench.measure import Sample
from bench.report import Setting, Sizes, markdown
from bench.results import Results, rate_ratio

OURS = ("extauthz-native", CACHED)
FLOOR = ("constant-native", CACHED)
SETTING = Setting(1, 1.0, "2026-01-01", Sizes(1300, 2200, 60), shared_core=False)


def _sample(rate: float, *, wrong: int = 0) -> Sample:
    return Sample(rate, 10.0, 100.0, 900.0, 50.0, wrong, "HTTP status 503 | denied" if wrong else "")


def _results(*rounds: tuple[float, float], wrong: int = 0) -> Results:
    results = Results()
    for number, (ours, floor) in enumerate(rounds):
        results.samples[OURS][number] = _sample(ours, wrong=wrong)
        results.samples[FLOOR][number] = _sample(floor)
    return results


def _first_goal() -> Goal:
    return next(goal for goal in GOALS if goal.rows == (OURS, FLOOR))


def test_ratios_are_made_within_rounds() -> None:
    """A machine that halves its speed in one round changes no ratio."""
    found = _results((700, 1000), (350, 500), (1400, 2000)).compare(OURS, FLOOR, rate_ratio)
    assert found is not None
    assert (found.least, found.middle, found.most) == pytest.approx((0.7, 0.7, 0.7))


def test_rounds_without_both_rows_do_not_count() -> None:
    """A round in which one of the two servers failed says nothing about their ratio."""
    results = _results((600, 1000))
    results.samples[OURS][7] = _sample(1.0)
    found = results.compare(OURS, FLOOR, rate_ratio)
    assert found is not None
    assert found.least == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("ours", "wrong", "verdict"),
    [(600, 0, "met"), (599, 0, "**not met**"), (600, 1, "**not met**: wrong answers")],
)
def test_goal_is_met_at_its_bound_with_right_answers(ours: float, wrong: int, verdict: str) -> None:
    """The bound itself is enough, a little less is not, and one wrong answer spoils it."""
    assert _first_goal().verdict(_results((ours, 1000), wrong=wrong)) == verdict


def test_goal_without_rows_is_not_measured() -> None:
    """A missing row is never a goal met."""
    assert {goal.verdict(Results()) for goal in (*GOALS, *GUARDS, *RULERS)} == {"not measured"}


def test_report_and_chart_show_rows_wrong_answers_and_absentees() -> None:
    """What was measured, what went wrong and what did not run all stand in the report."""
    ours = Contestant(OURS[0], "extauthz, native engine", lambda _place: [], (CACHED,))
    absent = Contestant("node", "Node.js", lambda _place: [], (), "no Node.js here")
    results = _results((600, 1000), wrong=3)
    text = markdown(results, [ours, absent], SETTING)
    assert "**3 wrong, first: HTTP status 503 / denied**" in text
    assert "Node.js: not run: no Node.js here" in text
    assert svg(results, [ours, absent]).count("<rect") == 1 + 4 + 1
