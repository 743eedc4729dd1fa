"""The state that requirements ask for is looked up once, after its epoch was noted, and is absent where not known."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from extauthz.clock import Instant
from extauthz.decision.state import read_state
from extauthz.ids import RuleId
from extauthz.ledger import Ledger
from extauthz.model.restriction import Effect, Form, Mark, Restriction
from extauthz.model.standing_facts import Posture, Risk, RiskLevel
from extauthz.model.state import StateName
from extauthz.policy.rules import MET, Forbid, Guard, RouteRules
from tests.simulators.rules import NOW, Told, make_facts

if TYPE_CHECKING:
    from extauthz.model.facts import Facts

POSTURE, TICKET = StateName("posture", "laptop-7"), StateName("ticket", "CHG-1")


@dataclass(frozen=True)
class Asking(Told):
    """A requirement that asks for state."""

    names: tuple[StateName, ...] = ()

    def needs(self, facts: Facts) -> tuple[StateName, ...]:
        """Return the names it was made with."""
        del facts
        return self.names


@dataclass
class Store:
    """State and epochs, and the order in which they were looked at."""

    values: dict[StateName, object]
    seen: list[str] = field(default_factory=list)

    def read_epochs(self, names: tuple[StateName, ...]) -> tuple[int, ...]:
        """Return 7 for every name."""
        self.seen.extend(f"epoch {name.kind}" for name in names)
        return (7,) * len(names)

    def find_state(self, name: StateName, at: Instant) -> object | None:
        """Return the value, if there is one."""
        del at
        self.seen.append(f"value {name.kind}")
        return self.values.get(name)


def test_every_requirement_is_asked_and_epochs_come_before_values() -> None:
    """Also those of rules that may not apply; the same name twice is looked up once."""
    store = Store({POSTURE: "compliant"})
    rules = RouteRules(
        guards=(Guard(id=RuleId("g"), require=(Asking(MET, names=(POSTURE,)), Told(MET))),),
        forbids=(Forbid(id=RuleId("f"), unless=(Asking(MET, names=(TICKET, POSTURE)),)),),
    )
    ledger = Ledger(store)
    facts = read_state(rules, make_facts(), store, ledger)
    assert facts.state == {POSTURE: "compliant"}
    assert store.seen == ["epoch posture", "epoch ticket", "value posture", "value ticket"]
    assert ledger.names == (POSTURE, TICKET)


@pytest.mark.parametrize("requirement", [Told(MET), Asking(MET)])
def test_rules_that_ask_for_nothing_leave_the_facts_alone(requirement: Told) -> None:
    """And the store untouched, whether they never ask or only not here."""
    store = Store({})
    facts = make_facts()
    rules = RouteRules(guards=(Guard(id=RuleId("g"), require=(requirement,)),))
    assert read_state(rules, facts, store, Ledger(store)) is facts
    assert store.seen == []


def restricted(effect: Effect, until: Instant | None = None) -> Restriction:
    """Return what concerns the caller."""
    mark = Mark(Form.EVERYBODY)
    return Restriction(mark=mark, effect=effect, source="stream idp", event_at=Instant(0), until=until)


def known(name: StateName, value: object | None, *restrictions: Restriction) -> object | None:
    """Return what rules see of a fact."""
    store = Store({name: value} if value is not None else {})
    rules = RouteRules(guards=(Guard(id=RuleId("g"), require=(Asking(MET, names=(name,)),)),))
    return read_state(rules, make_facts(), store, Ledger(store), restrictions).state.get(name)


@pytest.mark.parametrize("value", [None, Posture(compliant=True, observed_at=NOW)])
def test_who_is_reported_not_to_be_in_order_is_not(value: Posture | None) -> None:
    """Whatever else is known, and just now; other reports change nothing about it."""
    assert known(POSTURE, value, restricted(Effect.RISK_HIGH)) == value
    assert known(POSTURE, value, restricted(Effect.NONCOMPLIANT)) == Posture(compliant=False, observed_at=NOW)


LOW, MEDIUM, HIGH = (RiskLevel(level) for level in ("low", "medium", "high"))
END, SOON, ENDLESS = Instant(NOW + 60), Instant(NOW + 6), Instant(math.inf)


@pytest.mark.parametrize(
    ("value", "restrictions", "expected"),
    [
        (None, [], None),
        (None, [restricted(Effect.NONCOMPLIANT)], None),
        (None, [restricted(Effect.RISK_MEDIUM)], Risk(score=50, level=MEDIUM, until=ENDLESS)),
        (None, [restricted(Effect.RISK_HIGH, SOON)], Risk(score=100, level=HIGH, until=SOON)),
        (
            None,
            [restricted(Effect.RISK_HIGH), restricted(Effect.RISK_MEDIUM)],
            Risk(score=100, level=HIGH, until=ENDLESS),
        ),
        (
            Risk(score=10, level=LOW, until=END),
            [restricted(Effect.RISK_MEDIUM)],
            Risk(score=50, level=MEDIUM, until=END),
        ),
        (
            Risk(score=60, level=LOW, until=END),
            [restricted(Effect.RISK_MEDIUM, SOON)],
            Risk(score=60, level=MEDIUM, until=SOON),
        ),
        (
            Risk(score=80, level=HIGH, until=END),
            [restricted(Effect.RISK_MEDIUM)],
            Risk(score=80, level=HIGH, until=END),
        ),
    ],
)
def test_a_risk_is_at_least_as_high_as_reported(
    value: Risk | None, restrictions: list[Restriction], expected: Risk | None
) -> None:
    """By score and by level; what is known to be higher stays so."""
    assert known(StateName("risk", "x"), value, *restrictions) == expected


def test_other_facts_stay_as_they_are() -> None:
    """Nothing that is reported widens, or touches what it is not about."""
    assert known(TICKET, "open", restricted(Effect.NONCOMPLIANT), restricted(Effect.RISK_HIGH)) == "open"
