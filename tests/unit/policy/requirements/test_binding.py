"""`binding`: a stolen copy of the credential is useless."""

from __future__ import annotations

import pytest

from extauthz.model.identity import Binding, Identity
from extauthz.model.reason import Reason
from extauthz.policy.rules import MET, Unmet
from tests.simulators.policies import found, make_facts, principal, refused, requirement


@pytest.mark.parametrize("binding", Binding)
def test_only_the_ways_listed_will_do(binding: Binding) -> None:
    """Every way by itself, and a list of them; a credential bound to nobody meets none."""
    facts = make_facts(Identity(subject=principal(), binding=binding))
    for argument, accepted in (("[mtls, spiffe]", {Binding.MTLS, Binding.SPIFFE}), ("dpop", {Binding.DPOP})):
        finding = found("binding", argument, facts)
        if binding in accepted:
            assert finding is MET
        else:
            assert isinstance(finding, Unmet)
            assert (finding.reason, finding.remedy) == (Reason.BINDING_MISSING, None)
            assert finding.detail.startswith("Use a credential that is bound to you by ")


def test_it_reads_the_binding() -> None:
    """And says so."""
    assert requirement("binding", "[mtls]").reads == {"identity.binding"}


@pytest.mark.parametrize(
    ("argument", "message"),
    [("none", "there is no binding `none`"), ("[mtls, tls]", "there is no binding `tls`"), ("[]", "not empty")],
)
def test_ways_that_do_not_exist_are_refused(argument: str, message: str) -> None:
    """When the policy is loaded; nobody can ask for a credential that is not bound."""
    assert message in refused("binding", argument).message
