"""Changeable facts in cases become the values that requirements look for, by the types of their fields."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.clock import Instant
from extauthz.judge import KnownState
from extauthz.model.restriction import OPERATOR, Effect, Form, Mark, Restriction
from extauthz.model.state import StateName
from extauthz.policytools.formerror import FormError
from extauthz.policytools.statefacts import STATE_VALUES, to_state

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

AT = Instant(1_900_000_000.0)


class Colour(StrEnum):
    """A closed vocabulary."""

    RED = "red"


@dataclass(frozen=True)
class Inner:
    """A part of a fact."""

    size: int


@dataclass(frozen=True)
class Weather:
    """A fact with every type of member."""

    seen_at: Instant
    colour: Colour = Colour.RED
    warm: bool = True
    risk: float = 0.0
    places: tuple[str, ...] = ()
    tags: frozenset[str] = frozenset()
    note: str | None = None
    until: Instant | None = None
    inner: Inner | None = None
    more: Mapping[str, str] | None = None


@pytest.fixture(autouse=True)
def _weather() -> Iterator[None]:
    """Weather is a kind of fact while these tests run."""
    STATE_VALUES["weather"] = Weather
    yield
    del STATE_VALUES["weather"]


def problem_of(fact: Any, kind: str = "weather") -> str:
    """Return where and what is wrong with a fact."""
    with pytest.raises(FormError) as caught:
        to_state({kind: {"here": fact}}, AT)
    return f"{'.'.join(caught.value.path)}: {caught.value.message} — {caught.value.fix}"


def test_facts_are_built_by_their_types() -> None:
    """Instants from distances, enumerations from words, collections from lists, parts from mappings."""
    written = {
        "seen_at": "-5m",
        "colour": "red",
        "warm": False,
        "risk": 3,
        "places": ["a", "b"],
        "tags": ["x"],
        "note": None,
        "until": "2030-03-17T17:46:40Z",
        "inner": {"size": 7},
        "more": {"a": "b"},
    }
    found = to_state({"weather": {"here": written}}, AT)
    assert found == {
        StateName("weather", "here"): Weather(
            seen_at=Instant(AT - 300),
            warm=False,
            risk=3,
            places=("a", "b"),
            tags=frozenset({"x"}),
            until=AT,
            inner=Inner(7),
            more={"a": "b"},
        )
    }
    state = KnownState(found)
    assert state.find_state(StateName("weather", "here"), AT) == found[StateName("weather", "here")]
    assert state.find_state(StateName("weather", "there"), AT) is None


@pytest.mark.parametrize(
    ("fact", "problem"),
    [
        (7, "state.weather.here: must be a mapping"),
        ({}, "state.weather.here: `seen_at` is missing"),
        ({"seen": "-5m"}, "state.weather.here.seen: unknown key `seen` — did you mean `seen_at`?"),
        ({"seen_at": "soon"}, "state.weather.here.seen_at: not an instant"),
        (
            {"seen_at": "-1s", "colour": "rad"},
            "state.weather.here.colour: `rad` is none of its values — did you mean `red`?",
        ),
        ({"seen_at": "-1s", "warm": "yes"}, "state.weather.here.warm: must be true or false"),
        ({"seen_at": "-1s", "note": 7}, "state.weather.here.note: must be text"),
        ({"seen_at": "-1s", "places": "a"}, "state.weather.here.places: must be a list"),
        ({"seen_at": "-1s", "inner": {"size": True}}, "state.weather.here.inner.size: must be a whole number"),
    ],
)
def test_what_does_not_fit_is_told_by_its_place(fact: Any, problem: str) -> None:
    """With what is accepted instead."""
    assert problem_of(fact).startswith(problem)


def test_an_unknown_kind_of_fact_is_told() -> None:
    """With the nearest that there is."""
    assert problem_of({}, "wether") == "state.wether: there is no state `wether` — did you mean `weather`?"


def test_what_was_taken_away_is_stated_by_its_target() -> None:
    """By hand and just now, unless the case says otherwise; what is over or lifted takes nothing away."""
    issuer = "https://issuer.example"
    alice, app = Mark(Form.SUBJECT, issuer, "alice"), Mark(Form.CLIENT, issuer, "app")
    found = to_state(
        {
            "restriction": {
                f"subject {issuer} alice": {"effect": "revoked"},
                f"client {issuer} app": {
                    "effect": "quarantined",
                    "source": "stream idp",
                    "event_at": "-5m",
                    "until": "+1m",
                    "also": [{"form": "device", "issuer": issuer, "value": "d"}],
                },
                "everybody  ": {"effect": "disabled", "in_force": False},
            }
        },
        AT,
    )
    revoked = Restriction(mark=alice, effect=Effect.REVOKED, source=OPERATOR, event_at=AT)
    quarantined = Restriction(
        mark=app,
        also=(Mark(Form.DEVICE, issuer, "d"),),
        effect=Effect.QUARANTINED,
        source="stream idp",
        event_at=Instant(AT - 300),
        until=Instant(AT + 60),
    )
    state = KnownState(found)
    marks = (alice, app, Mark(Form.EVERYBODY), Mark(Form.ISSUER, issuer))
    assert state.find_restrictions(marks, AT) == (revoked, quarantined)
    assert state.find_restrictions(marks, Instant(AT + 60)) == (revoked,)
    assert state.is_state_fresh(AT)
    assert state.are_signals_fresh(issuer, AT)


@pytest.mark.parametrize(
    ("target", "said", "problem"),
    [
        ("alice", {"effect": "revoked"}, "state.restriction.alice: not a target"),
        ("subject a b", 7, "state.restriction.subject a b: must be a mapping"),
        ("subject a b", {"effect": "revoked", "mark": {}}, "state.restriction.subject a b: must be a mapping"),
        ("subjekt a b", {"effect": "revoked"}, "state.restriction.subjekt a b.mark.form: `subjekt` is none"),
        ("subject a b", {"effect": "revoke"}, "state.restriction.subject a b.effect: `revoke` is none"),
        ("subject a b", {}, "state.restriction.subject a b: `effect` is missing"),
    ],
)
def test_a_restriction_that_does_not_fit_is_told_by_its_place(target: str, said: Any, problem: str) -> None:
    """With what is accepted instead."""
    with pytest.raises(FormError) as caught:
        to_state({"restriction": {target: said}}, AT)
    assert f"{'.'.join(caught.value.path)}: {caught.value.message}".startswith(problem)
