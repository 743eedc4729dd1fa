"""`revalidate` holds while the issuer's word is recent, and is refused at load where nobody can be asked."""

from __future__ import annotations

import math
from typing import Any

import pytest

from extauthz.clock import Instant
from extauthz.errors import PolicyError
from extauthz.model.identity import Identity
from extauthz.model.reason import Reason
from extauthz.policy.compile import PolicyContext, ProfileFace, compile_policy
from extauthz.policy.requirements.revalidate import Revalidated
from extauthz.policy.rules import MET, Unmet
from tests.simulators.rules import CI, NOW, make_facts

RESOURCE = """\
resources:
  - name: thing
    match: {host: a.example, path: /thing, methods: [GET]}
    action: read
"""
FRESH = Revalidated(30.0)


def known(checked_at: float | None) -> Any:
    """Return facts about a caller whose issuer was asked then."""
    return make_facts(Identity(subject=CI, checked_at=None if checked_at is None else Instant(checked_at)))


@pytest.mark.parametrize(
    ("age", "holds"), [(0, True), (29.9, True), (30, True), (30.1, False), (-0.1, False), (None, False)]
)
def test_it_holds_while_the_word_is_recent(age: float | None, holds: bool) -> None:
    """One from the future is of unknown age, and no word at all is none."""
    found = FRESH.find(known(None if age is None else NOW - age))
    if holds:
        assert found == MET
    else:
        assert isinstance(found, Unmet)
        assert (found.reason, found.remedy) == (Reason.EVIDENCE_UNAVAILABLE, None)


def test_it_changes_when_the_word_grows_too_old() -> None:
    """Never again after that, by itself."""
    assert FRESH.changes_at(known(NOW - 10)) == NOW + 20
    assert FRESH.changes_at(known(NOW - 30)) == NOW
    assert FRESH.changes_at(known(NOW - 31)) == math.inf
    assert FRESH.changes_at(known(None)) == math.inf
    assert FRESH.needs(known(NOW)) == ()


def route_of(rules: str, resource: str = RESOURCE, face: ProfileFace | None = None) -> Any:
    """Return the one route of a policy."""
    profiles = None if face is None else {"default": face}
    ruleset = compile_policy({"p.yaml": (resource + rules).encode()}, PolicyContext(profiles=profiles))
    return ruleset.index.find("a.example", ("thing",), "GET")


def guard(age: str, *, observe: bool = False, name: str = "g") -> str:
    """Return a guard that asks for this age."""
    watching = "true" if observe else "false"
    return f"  - {{id: {name}, on: thing.read, observe: {watching}, require: [{{revalidate: {{max_age: {age}}}}}]}}\n"


def test_a_route_knows_the_smallest_age_that_its_rules_ask_for() -> None:
    """Of guards, permits and what lifts forbids; not of rules that only watch."""
    assert route_of("").revalidate is None
    assert route_of("guards:\n" + guard("1m") + guard("30s", name="h")).revalidate == 30.0
    assert route_of("guards:\n" + guard("1m", observe=True)).revalidate is None
    permit = "permits:\n  - {id: p, who: anyone, may: [thing.read], require: [{revalidate: {max_age: 5s}}]}\n"
    assert route_of(permit).revalidate == 5.0
    assert route_of(permit.replace("id: p,", "id: p, observe: true,")).revalidate is None
    forbid = "forbids:\n  - {id: f, on: thing.read, unless: [{revalidate: {max_age: 7s}}]}\n"
    assert route_of(forbid).revalidate == 7.0
    assert route_of(forbid.replace("id: f,", "id: f, observe: true,")).revalidate is None


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("{max_age: 0s}", "one second"),
        ("{max_age: 0.5}", "one second"),
        ("{}", "max_age"),
        ("{max_aeg: 1m}", "max_age"),
    ],
)
def test_an_age_that_no_fetch_could_meet_is_refused(argument: str, says: str) -> None:
    """At load, with the place."""
    rules = f"guards:\n  - {{id: g, on: thing.read, require: [{{revalidate: {argument}}}]}}\n"
    with pytest.raises(PolicyError, match=says):
        route_of(rules)


@pytest.mark.parametrize(
    ("resource", "face", "says"),
    [
        (RESOURCE + "    credential: none\n", ProfileFace("a", introspects=True), "nobody can be asked"),
        (RESOURCE + "    credential: certificate\n", ProfileFace("a", certificates=True, introspects=True), "nobody"),
        (RESOURCE, ProfileFace("a"), "cannot be asked"),
    ],
)
def test_where_nobody_can_be_asked_it_is_refused_at_load(resource: str, face: ProfileFace, says: str) -> None:
    """It could never hold there."""
    with pytest.raises(PolicyError, match=says):
        route_of("guards:\n" + guard("1m"), resource, face)
    assert route_of("guards:\n" + guard("1m", observe=True), resource, face).revalidate is None


def test_where_every_issuer_can_be_asked_it_is_accepted() -> None:
    """And where profiles are not known."""
    for face in (ProfileFace("a", introspects=True), None):
        assert route_of("guards:\n" + guard("1m"), face=face).revalidate == 60.0
