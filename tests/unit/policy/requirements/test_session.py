"""`session`: begins with its token or its first use, ends by a pause or by age, and is in few places."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.model.identity import Kind
from extauthz.model.reason import Reason
from extauthz.model.standing_facts import SessionUse
from extauthz.model.state import StateName
from extauthz.model.verdict import StepUp
from extauthz.policy.rules import MET, Met, Unmet
from tests.simulators.policies import AT, ISSUER, principal, refused, requirement
from tests.unit.policy.requirements.standing import facts_with, in_seconds, job

if TYPE_CHECKING:
    from extauthz.model.facts import Facts
    from extauthz.model.spend import Spend

SESSION = ("session", f"{ISSUER} s-1")
ENDED = Unmet(Reason.SESSION_ENDED, detail="Begin another session.")
HOUR = 3600.0


def used(started: float, seen: float, **others: Any) -> dict[tuple[str, str], object]:
    """Return the use of the caller's session, in seconds from now."""
    return {SESSION: SessionUse(started_at=in_seconds(started), seen_at=in_seconds(seen), **others)}


@pytest.mark.parametrize(
    ("argument", "state", "ends_in"),
    [
        ("{idle: 2m, ttl: 1h}", used(-9, -60), 60),
        ("{idle: 2m, ttl: 1h}", used(-3590, -60), 10),
        ("{idle: 2m}", used(-90000, -60), 60),
        ("{ttl: 1h}", used(-600, -500), 3000),
        ("{idle: 2m, ttl: 1h}", {}, 120),
        ("{ttl: 1h}", {}, 3600),
        ("{idle: 2m}", used(-9, -9, longest_pause=119.9), 111),
    ],
)
def test_it_goes_on_until_its_edge(argument: str, state: dict[tuple[str, str], object], ends_in: float) -> None:
    """And the requirement says when that is; one that nobody has seen yet begins now."""
    asked = requirement("session", argument)
    facts = facts_with(state)
    assert asked.find(facts) is MET
    assert asked.changes_at(facts) == pytest.approx(facts.at + ends_in)
    assert asked.needs(facts) == (StateName(*SESSION),)
    if state:
        over = facts_with(state, after=ends_in)
        assert asked.find(over) == ENDED
        assert asked.changes_at(over) == math.inf


def test_one_that_was_idle_stays_ended() -> None:
    """Also when it was used elsewhere since."""
    asked = requirement("session", "{idle: 2m}")
    assert asked.find(facts_with(used(-900, -1, longest_pause=120.0))) == ENDED
    assert asked.changes_at(facts_with(used(-900, -1, longest_pause=120.0))) == math.inf
    assert requirement("session", "{idle: 3m}").find(facts_with(used(-900, -1, longest_pause=120.0))) is MET
    assert requirement("session", "{ttl: 1h}").find(facts_with(used(-900, -1, longest_pause=120.0))) is MET


@pytest.mark.parametrize("sign", ["auth_time", "issued_at"])
@pytest.mark.parametrize("state", [{}, used(-60, -60)])
def test_it_began_when_its_token_says(sign: str, state: dict[tuple[str, str], object]) -> None:
    """If that is earlier than anybody here has seen it; a later sign does not make it younger."""
    asked = requirement("session", "{ttl: 1h}")
    old, new = job(**{sign: in_seconds(-3600)}), job(**{sign: in_seconds(-3599)})
    assert asked.find(facts_with(state, old)) == ENDED
    assert asked.find(facts_with(state, new)) is MET
    assert asked.changes_at(facts_with(state, new)) == AT + 1
    assert asked.find(facts_with(used(-3600, -60), new)) == ENDED


def test_the_use_of_another_session_or_something_else_is_none() -> None:
    """It is a session that nobody has seen."""
    asked = requirement("session", "{idle: 2m}")
    states: list[dict[tuple[str, str], object]] = [
        {("session", f"{ISSUER} s-2"): used(-900, -900)[SESSION]},
        {SESSION: "yes"},
    ]
    for state in states:
        assert asked.find(facts_with(state)) is MET


def test_without_a_name_there_is_no_session() -> None:
    """People are told to sign in, which begins one."""
    asked = requirement("session", "{idle: 2m, max_sources: 2}")
    nameless = facts_with({("session", f"{ISSUER} "): used(-9, -5)[SESSION]}, job(session=""))
    assert asked.find(nameless) == ENDED
    assert (asked.needs(nameless), asked.changes_at(nameless)) == ((), math.inf)
    person = asked.find(facts_with({}, job(session="", subject=principal(kind=Kind.USER))))
    assert person == Unmet(Reason.SESSION_ENDED, StepUp(), "Begin another session.")


def place(argument: str, facts: Facts | None = None, *, rule: str = "r") -> Spend:
    """Return the place that an address takes."""
    found = replace(requirement("session", argument), rule=rule).find(facts or facts_with({}))  # type: ignore[type-var] # it is a dataclass
    assert isinstance(found, Met)
    (spend,) = found.spends
    return spend


@pytest.mark.parametrize(
    ("argument", "stays"),
    [
        ("{max_sources: 2}", 12 * HOUR),
        ("{max_sources: 2, ttl: 8h}", 8 * HOUR),
        ("{max_sources: 2, ttl: 8h, idle: 15m}", HOUR / 4),
    ],
)
def test_an_address_takes_a_place(argument: str, stays: float) -> None:
    """As a member, for as long as the session can go on without it."""
    spend = place(argument)
    assert (spend.limit, spend.until, spend.refused) == (2, AT + stays, Reason.UNEXPECTED_NETWORK)
    assert len(spend.member) == 32


def test_only_the_count_looks_for_no_use() -> None:
    """Nothing about it changes by itself."""
    asked = requirement("session", "{max_sources: 2}")
    assert asked.needs(facts_with({})) == ()
    assert asked.changes_at(facts_with({})) == math.inf


def test_places_belong_to_a_session_and_a_rule() -> None:
    """With their limit, so that a looser rule lets nobody into a stricter one; members are addresses."""
    base = place("{max_sources: 2}")
    elsewhere = facts_with({})
    address = replace(elsewhere.request.source, address="192.0.2.99")
    elsewhere = replace(elsewhere, request=replace(elsewhere.request, source=address))
    other_address = place("{max_sources: 2}", elsewhere)
    assert other_address.key == base.key
    assert other_address.member != base.member
    others = [
        place("{max_sources: 3}"),
        place("{max_sources: 2}", rule="s"),
        place("{max_sources: 2}", facts_with({}, job(session="s-2"))),
        place("{max_sources: 2}", facts_with({}, job(subject=replace(principal(), issuer="https://other.example")))),
    ]
    assert len({base.key, *(each.key for each in others)}) == 5
    assert {each.member for each in others} == {base.member}


@pytest.mark.parametrize("argument", ["{}", "{idle: 0}", "{ttl: 0s}", "{max_sources: 0}", "{max_sources: 1001}"])
def test_what_makes_no_sense_is_refused(argument: str) -> None:
    """At load, with the place."""
    assert refused("session", argument).message
