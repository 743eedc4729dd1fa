"""Bound roles: who has them, where, and until when."""

from __future__ import annotations

from typing import Any

import pytest

from extauthz.clock import Instant
from extauthz.identity.bindings import bind_roles
from extauthz.identity.standing import Known
from extauthz.model.decision import Target
from extauthz.model.identity import ANONYMOUS, Identity, Principal
from extauthz.model.registry import NOT_DECLARED, Declared, RoleBinding
from tests.simulators.tokens import ISSUER, NOW

SUBJECT = Principal(issuer=ISSUER, subject="alice", roles=frozenset({"own"}))
BOT = Principal(issuer=ISSUER, subject="bot")
PLANNER = Principal(issuer=ISSUER, subject="planner")
TARGET = Target(resource="deployment", action="deploy")


def bound(
    *bindings: RoleBinding, attributes: Any = None, accepted_until: float | None = None, tenant: str = "acme"
) -> Identity:
    """Return a caller without actor after binding."""
    until = Instant(accepted_until) if accepted_until is not None else None
    identity = Identity(subject=SUBJECT, tenant=tenant, accepted_until=until)
    return bind_roles(Known(identity, (Declared(bindings=bindings),)), TARGET, attributes or {}, NOW)


def test_a_role_comes_on_top() -> None:
    """The issuer's own stay."""
    assert bound(RoleBinding(role="releaser")).subject.roles == {"own", "releaser"}


def test_everybody_gets_their_own() -> None:
    """A role of the subject is not the actor's, and the other way round."""
    identity = Identity(subject=SUBJECT, actor=BOT, chain=(PLANNER,))
    declared = (
        NOT_DECLARED,
        Declared(bindings=(RoleBinding(role="a"),)),
        Declared(bindings=(RoleBinding(role="b"), RoleBinding(role="c"))),
    )
    found = bind_roles(Known(identity, declared), TARGET, {}, NOW)
    assert [sorted(party.roles) for party in found.involved] == [["own"], ["a"], ["b", "c"]]
    assert found.subject is SUBJECT


def test_where_nothing_is_bound_the_caller_is_the_same() -> None:
    """Also for nobody."""
    identity = Identity(subject=SUBJECT)
    assert bind_roles(Known(identity, (NOT_DECLARED,)), TARGET, {}, NOW) is identity
    assert bind_roles(Known(ANONYMOUS), TARGET, {}, NOW) is ANONYMOUS


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ({}, True),
        ({"environment": "staging"}, True),
        ({"environment": "production"}, False),
        ({"environment": "Staging"}, False),
        ({"environment": "staging", "replicas": 3}, True),
        ({"environment": "staging", "replicas": 4}, False),
        ({"replicas": "3"}, False),
        ({"replicas": True}, False),
        ({"one": 1}, True),
        ({"one": True}, False),
        ({"canary": True}, True),
        ({"canary": 1}, False),
        ({"missing": "x"}, False),
        ({"resource": "deployment"}, True),
        ({"resource": "report"}, False),
        ({"tenant": "acme"}, True),
        ({"tenant": "globex"}, False),
    ],
)
def test_a_binding_holds_where_everything_has_its_value(where: dict[str, Any], holds: bool) -> None:
    """By type and content; what is not there has no value."""
    attributes = {"environment": "staging", "replicas": 3, "canary": True, "one": 1}
    assert ("r" in bound(RoleBinding(role="r", where=where), attributes=attributes).subject.roles) is holds


@pytest.mark.parametrize(
    ("tenant", "attribute", "holds"),
    [("acme", "acme", True), ("acme", "globex", False), ("globex", "acme", False), ("", "acme", False)],
)
def test_a_name_that_means_two_things_has_its_value_in_both(tenant: str, attribute: str, holds: bool) -> None:
    """A caller of one tenant gets no role at a resource of another by a binding about one of them."""
    binding = RoleBinding(role="r", where={"tenant": "acme"})
    assert ("r" in bound(binding, attributes={"tenant": attribute}, tenant=tenant).subject.roles) is holds


def test_a_caller_without_tenant_is_in_no_tenant() -> None:
    """The empty text is no name of one, though nobody can write it either."""
    assert "r" not in bound(RoleBinding(role="r", where={"tenant": "acme"}), tenant="").subject.roles


@pytest.mark.parametrize(("until", "holds"), [(None, True), (NOW + 1, True), (NOW, False), (NOW - 1, False)])
def test_a_binding_ends(until: float | None, holds: bool) -> None:
    """At its instant it no longer holds."""
    binding = RoleBinding(role="r", until=Instant(until) if until is not None else None)
    assert ("r" in bound(binding).subject.roles) is holds


@pytest.mark.parametrize(
    ("ends", "accepted", "expected"),
    [
        ((None,), None, None),
        ((None,), 100, 100),
        ((50,), None, 50),
        ((50,), 100, 50),
        ((50, 20), 100, 20),
        ((500,), 100, 100),
        ((-5, None), 100, 100),
    ],
)
def test_a_decision_lasts_no_longer_than_the_roles(
    ends: tuple[int | None, ...], accepted: int | None, expected: int | None
) -> None:
    """The first end among those that hold now; one that has ended already changes nothing."""
    bindings = [RoleBinding(role=f"r{end}", until=Instant(NOW + end) if end is not None else None) for end in ends]
    found = bound(*bindings, accepted_until=NOW + accepted if accepted is not None else None)
    assert found.accepted_until == (NOW + expected if expected is not None else None)
