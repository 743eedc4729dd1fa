"""`network` and `environment`: where a request comes from, and where its caller runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from extauthz.model.reason import Reason
from extauthz.model.request import Source
from extauthz.policy.rules import MET, Failed, Unmet
from tests.simulators.policies import found, make_facts, make_request, refused, requirement
from tests.unit.policy.requirements.standing import job

if TYPE_CHECKING:
    from extauthz.policy.rules import Finding

ELSEWHERE = Unmet(Reason.UNEXPECTED_NETWORK)
OTHER = Unmet(Reason.UNEXPECTED_ENVIRONMENT)


def from_address(argument: str, address: str) -> Finding:
    """Return what `network` finds of a connection."""
    return found("network", argument, make_facts(request=make_request(source=Source(address=address))))


@pytest.mark.parametrize(
    ("argument", "address", "holds"),
    [
        ("[10.0.0.0/8]", "10.255.0.1", True),
        ("[10.0.0.0/8]", "11.0.0.1", False),
        ("10.0.0.7", "10.0.0.7", True),
        ("['2001:db8::/32', 10.0.0.0/8]", "2001:db8::1", True),
        ("[10.0.0.0/8]", "2001:db8::1", False),
        ("{in: [10.0.0.0/8], not_in: [10.9.0.0/16]}", "10.9.0.1", False),
        ("{in: [10.0.0.0/8], not_in: [10.9.0.0/16]}", "10.8.0.1", True),
        ("{not_in: 10.9.0.0/16}", "192.0.2.1", True),
        ("{not_in: 10.9.0.0/16}", "", False),
        ("{not_in: 10.9.0.0/16}", "unix:/run/socket", False),
    ],
)
def test_a_connection_comes_from_a_network(argument: str, address: str, holds: bool) -> None:
    """An address that is not known is nowhere, also not outside."""
    assert from_address(argument, address) == (MET if holds else ELSEWHERE)
    assert requirement("network", argument).reads == {"source.address"}


def test_what_is_no_network_is_refused() -> None:
    """With an example."""
    assert refused("network", "[10.0.0.0/8, here]").message == "`here` is not a network"


def test_the_environment_is_that_of_the_resource() -> None:
    """One that is not known equals nothing."""
    production = {"environment": "production"}
    assert found("environment", "same", make_facts(job(environment="production"), production)) is MET
    assert found("environment", "same", make_facts(job(environment="staging"), production)) == OTHER
    assert found("environment", "same", make_facts(job(), production)) == OTHER
    assert isinstance(found("environment", "same", make_facts(job(environment="production"))), Failed)
    assert requirement("environment", "same").reads == {"identity.environment", "resource.environment"}


def test_the_environment_is_listed() -> None:
    """A list of the word `same` is a list."""
    assert found("environment", "[production, staging]", make_facts(job(environment="staging"))) is MET
    assert found("environment", "production", make_facts(job(environment="staging"))) == OTHER
    assert found("environment", "[same]", make_facts(job(environment="same"))) is MET
    assert found("environment", "[production]", make_facts(job())) == OTHER
