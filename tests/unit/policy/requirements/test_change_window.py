"""`change_window`: a closed window says when it opens, and its edge ends what is kept."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from extauthz.clock import Instant
from extauthz.model.reason import Reason
from extauthz.model.verdict import WaitUntil
from extauthz.policy.rules import MET, Unmet
from tests.simulators.policies import RESOURCE, compile_text, make_facts, only_problem

if TYPE_CHECKING:
    from extauthz.model.facts import Facts

WINDOW = """\
windows:
  nights: {rules: FREQ=DAILY;COUNT=3, starts: 2026-01-01T20:00, lasts: 4h, zone: UTC,
           freezes: [{from: 2026-01-02, to: 2026-01-02, why: Audit.}]}
"""
GUARD = "guards:\n  - id: g\n    on: order.read\n    require: [{change_window: nights}]\n"


def asked() -> Any:
    """Return the requirement of a compiled policy."""
    route: Any = compile_text(WINDOW + RESOURCE + GUARD).index.find("api.example.com", ("orders", "7"), "GET")
    return route.rules.guards[0].require[0]


def facts_at(text: str) -> Facts:
    """Return facts at an instant in UTC."""
    return replace(make_facts(), at=Instant(datetime.fromisoformat(f"{text}+00:00").timestamp()))


def test_it_holds_while_the_window_is_open() -> None:
    """Until it closes."""
    facts = facts_at("2026-01-01T21:00")
    assert asked().find(facts) is MET
    assert asked().changes_at(facts) == facts.at + 3 * 3600
    assert asked().needs(facts) == ()


def test_a_closed_window_can_be_waited_for() -> None:
    """Unless it does not open any more; a freeze says why."""
    opens = facts_at("2026-01-01T20:00").at
    found = asked().find(facts_at("2026-01-01T19:59:59"))
    detail = "The window `nights` opens at 2026-01-01T20:00:00Z."
    assert found == Unmet(Reason.OUTSIDE_CHANGE_WINDOW, WaitUntil(opens), detail)
    frozen = asked().find(facts_at("2026-01-02T21:00"))
    assert frozen.detail == "Changes are frozen: Audit. The window `nights` opens at 2026-01-03T20:00:00Z."
    never = asked().find(facts_at("2026-01-04T00:00"))
    detail = "The window `nights` does not open within a year."
    assert never == Unmet(Reason.OUTSIDE_CHANGE_WINDOW, detail=detail)
    assert asked().changes_at(facts_at("2026-01-04T00:00")) < math.inf


def test_a_misspelt_window_is_an_error() -> None:
    """With the one that is meant."""
    problem = only_problem(WINDOW + RESOURCE + GUARD.replace("nights", "night"))
    assert (problem.message, "nights" in problem.fix) == ("there is no window `night`", True)
    assert only_problem(RESOURCE + GUARD).message == "there is no window `nights`"
