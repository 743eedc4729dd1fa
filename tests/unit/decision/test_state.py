"""The state that requirements ask for is looked up once, after its epoch was noted, and is absent where not known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from extauthz.decision.state import read_state
from extauthz.ids import RuleId
from extauthz.ledger import Ledger
from extauthz.model.state import StateName
from extauthz.policy.rules import MET, Forbid, Guard, RouteRules
from tests.simulators.rules import Told, make_facts

if TYPE_CHECKING:
    from extauthz.clock import Instant
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


def test_rules_that_ask_for_nothing_leave_the_facts_alone() -> None:
    """And the store untouched."""
    store = Store({})
    facts = make_facts()
    rules = RouteRules(guards=(Guard(id=RuleId("g"), require=(Told(MET),)),))
    assert read_state(rules, facts, store, Ledger(store)) is facts
    assert store.seen == []
