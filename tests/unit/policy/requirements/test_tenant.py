"""`tenant`: the caller's tenant is the resource's, or is listed."""

from __future__ import annotations

import pytest

from extauthz.model.identity import Identity
from extauthz.model.reason import Reason
from extauthz.policy.rules import MET, Failed, Unmet
from tests.simulators.policies import found, make_facts, principal, refused, requirement


def identity(tenant: str) -> Identity:
    """Return a caller of a tenant."""
    return Identity(subject=principal(), tenant=tenant)


def test_the_tenant_equals_a_fact() -> None:
    """The same text, nothing else; a mismatch has no remedy."""
    assert found("tenant", "resource.tenant", make_facts(identity("acme"), {"tenant": "acme"})) is MET
    finding = found("tenant", "resource.tenant", make_facts(identity("acme"), {"tenant": "globex"}))
    assert finding == Unmet(Reason.TENANT_MISMATCH)
    assert requirement("tenant", "resource.tenant").reads == {"identity.tenant", "resource.tenant"}


def test_no_tenant_equals_nothing() -> None:
    """Not even another empty one."""
    assert found("tenant", "resource.tenant", make_facts(identity(""), {"tenant": ""})) == Unmet(Reason.TENANT_MISMATCH)
    assert found("tenant", "[acme]", make_facts(identity(""))) == Unmet(Reason.TENANT_MISMATCH)


def test_a_fact_that_is_not_known_fails() -> None:
    """It is not a mismatch that could be told to anyone."""
    assert isinstance(found("tenant", "resource.tenant", make_facts(identity("acme"))), Failed)


def test_the_tenant_is_listed() -> None:
    """Any of the list."""
    assert found("tenant", "[acme, globex]", make_facts(identity("globex"))) is MET
    assert found("tenant", "[acme]", make_facts(identity("globex"))) == Unmet(Reason.TENANT_MISMATCH)
    assert requirement("tenant", "[acme]").reads == {"identity.tenant"}


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("acme", "`acme` is not a fact"),
        ("resource.tenat", "`resource.tenat` is not a fact"),
        ("resource.size", "is a int"),
        ("identity.tenant", "always equals itself"),
        ("[]", "not empty"),
        ("7", "not empty"),
    ],
)
def test_what_is_neither_fact_nor_list_is_refused(argument: str, message: str) -> None:
    """When the policy is loaded."""
    assert message in refused("tenant", argument).message
