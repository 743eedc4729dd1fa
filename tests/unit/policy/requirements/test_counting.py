"""`rate`, `budget` and `ticket`: what they count, for whom, and until when."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.clock import Instant
from extauthz.model.identity import ANONYMOUS
from extauthz.model.reason import Reason
from extauthz.model.standing_facts import Ticket
from extauthz.model.state import StateName
from extauthz.model.verdict import PresentTicket
from extauthz.policy.compile import PolicyContext
from extauthz.policy.requirements.budget import Period, period_of
from extauthz.policy.rules import MET, Failed, Met, Unmet
from tests.simulators.policies import AT, RESOURCE, compile_text, only_problem, principal, refused, requirement
from tests.unit.policy.requirements.standing import facts_with, in_seconds, job

if TYPE_CHECKING:
    from extauthz.model.spend import Spend

CHANGE = ("ticket", "T-1")


def spend_of(kind: str, argument: str, **changes: Any) -> Spend:
    """Return what one use takes."""
    finding = requirement(kind, argument).find(facts_with({}, changes.pop("identity", None), **changes))
    assert isinstance(finding, Met)
    (spend,) = finding.spends
    return spend


def test_a_rate_is_counted_in_windows_of_its_length() -> None:
    """They begin at multiples of it, and are remembered a little longer."""
    begins = AT // 60 * 60
    spend = spend_of("rate", "{at_most: 10, per: 1m}")
    assert (spend.kind, spend.limit, spend.refused) == ("rate", 10, Reason.RATE_EXCEEDED)
    assert (spend.again_at, spend.until) == (begins + 60, begins + 120)
    assert spend_of("rate", "{at_most: 10, per: 1m}", after=begins + 59.9 - AT).key == spend.key
    assert spend_of("rate", "{at_most: 10, per: 1m}", after=begins + 60 - AT).key != spend.key


@pytest.mark.parametrize("kind", ["{at_most: 10, per: 1m, by: %s}", "{name: n, at_most: 10, per: day, by: %s}"])
def test_uses_are_counted_together_for_whom_it_says(kind: str) -> None:
    """Everybody else has a count of its own."""
    name = "rate" if kind.startswith("{at_most") else "budget"
    callers = {
        "subject": job(subject=principal("job-2", client="shop")),
        "client": job(subject=principal(client="other")),
        "tenant": job(tenant="globex"),
        "resource": job(),
    }
    for by in callers:
        own = spend_of(name, kind % by).key
        for each, identity in callers.items():
            assert (spend_of(name, kind % by, identity=identity).key == own) is (each != by or by == "resource")
        elsewhere = spend_of(name, kind % by, attributes={"environment": "staging"}).key
        assert (elsewhere == own) is (by != "resource")
    both = kind % "[subject, tenant]"
    assert len({spend_of(name, both, identity=identity).key for identity in callers.values()}) == 3


def test_who_is_not_known_is_not_counted_with_others() -> None:
    """It fails: a count of everybody unknown is one that nobody meant."""
    for by in ("subject", "client", "tenant"):
        for asked in (
            requirement("rate", f"{{at_most: 1, per: 1m, by: {by}}}"),
            requirement("budget", f"{{name: n, at_most: 1, per: day, by: {by}}}"),
        ):
            assert asked.find(facts_with({}, ANONYMOUS)) == Failed(f"the {by} to count for is not known")
    assert requirement("rate", "{at_most: 1, per: 1m, by: tenant}").reads == {"identity.tenant"}


@pytest.mark.parametrize(
    ("per", "begins", "ends"),
    [
        ("hour", "2026-12-31T23:00", "2027-01-01T00:00"),
        ("day", "2026-12-31T00:00", "2027-01-01T00:00"),
        ("week", "2026-12-28T00:00", "2027-01-04T00:00"),
        ("month", "2026-12-01T00:00", "2027-01-01T00:00"),
    ],
)
def test_budgets_go_by_the_calendar(per: Period, begins: str, ends: str) -> None:
    """In UTC; weeks begin on Monday."""
    at, since, until = (
        Instant(datetime.fromisoformat(f"{text}+00:00").timestamp()) for text in ("2026-12-31T23:59", begins, ends)
    )
    assert period_of(at, per) == (since, until)
    assert period_of(since, per)[0] == since
    assert period_of(until, per)[0] == until


def test_a_budget_belongs_to_its_name_and_a_rate_to_its_rule() -> None:
    """Two rules share the one, and not the other."""
    text = RESOURCE + "guards:\n"
    for rule in ("a", "b"):
        text += f"  - id: {rule}\n    on: order.read\n    require:\n"
        text += "      - budget: {name: n, at_most: 5, per: day}\n      - rate: {at_most: 5, per: 1h}\n"
    (first, rate), (second, other_rate) = (
        [finding.spends[0].key for each in guard.require if isinstance(finding := each.find(facts_with({})), Met)]
        for guard in guards_of(text)
    )
    assert first == second
    assert rate != other_rate


def guards_of(text: str) -> Any:
    """Return the compiled guards of the one resource of a policy."""
    ruleset = compile_text(text)
    route: Any = ruleset.index.find("api.example.com", ("orders", "7"), "GET")
    return route.rules.guards


@pytest.mark.parametrize(
    "clause",
    [
        "rate: {at_most: 1, per: 1m}",
        "budget: {name: n, at_most: 1, per: day}",
        "approval: {by: a, covers: action, lasts: 5m, uses: 1}",
        "ticket: {from: order, uses: 1}",
        "session: {max_sources: 1}",
        "session: {idle: 5m}",
    ],
)
def test_counting_needs_a_state(clause: str) -> None:
    """Where there is none the policy is refused, instead of every request."""
    text = f"{RESOURCE}guards:\n  - id: g\n    on: order.read\n    require:\n      - {clause}\n"
    problem = only_problem(text, PolicyContext(spends=False))
    assert (problem.line, problem.message) == (10, "it counts uses, which needs `state` in the settings")
    assert guards_of(text)


def ticket(**changes: Any) -> Ticket:
    """Return a ticket that covers the facts."""
    names = {"environment": "production", "size": "7", "urgent": "true"}
    return Ticket(**{"state": "implement", "names": names, "until": in_seconds(60), **changes})


def test_a_ticket_covers_what_it_names() -> None:
    """Numbers and flags as they are written; an attribute that is missing is not covered."""
    asked = requirement("ticket", "{from: tenant, state: implement, names: [environment, size, urgent]}")
    facts = facts_with({CHANGE: ticket()})
    assert asked.find(facts) == MET
    assert (asked.needs(facts), asked.changes_at(facts)) == ((StateName(*CHANGE),), facts.at + 60)
    remedy = PresentTicket("tenant", "implement", ("environment", "size", "urgent"))
    for wrong in (ticket(state="review"), ticket(until=in_seconds(0)), ticket(names={"size": "7"}), None, "T-1"):
        found = asked.find(facts_with({CHANGE: wrong} if wrong else {}))
        assert found == Unmet(Reason.TICKET_REQUIRED, remedy, "Name a ticket that covers this.")
    assert asked.changes_at(facts_with({CHANGE: ticket(until=in_seconds(0))})) == math.inf
    missing = facts_with({CHANGE: ticket()}, attributes={"tenant": "T-1"})
    assert isinstance(asked.find(missing), Unmet)
    nameless = facts_with({CHANGE: ticket()}, attributes={"environment": "production"})
    assert (asked.needs(nameless), asked.changes_at(nameless)) == ((), math.inf)
    assert isinstance(asked.find(nameless), Unmet)


def test_any_ticket_will_do_where_nothing_more_is_asked() -> None:
    """And can be counted."""
    asked = requirement("ticket", "{from: tenant, uses: 2}")
    finding = asked.find(facts_with({CHANGE: ticket(state="whatever")}))
    assert isinstance(finding, Met)
    (spend,) = finding.spends
    assert (spend.limit, spend.until, spend.refused) == (2, in_seconds(60), Reason.TICKET_REQUIRED)


def test_a_ticket_is_named_by_text() -> None:
    """Of the resource."""
    assert refused("ticket", "{from: size}").message == "`size` is not text"
    assert refused("ticket", "{from: tenant, names: [name]}").message == "`name` is not an attribute of order.read"
