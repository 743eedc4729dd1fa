"""Facts are what is known, and nothing empty."""

from __future__ import annotations

import pytest

from extauthz.decision.facts import gather_facts
from extauthz.model.decision import Target
from extauthz.model.identity import ANONYMOUS, Binding, Credential, Identity, Kind
from extauthz.model.registry import Registration
from extauthz.model.request import Source
from extauthz.policy.names import FACTS, FactType
from tests.simulators.policies import AT, ISSUER, make_facts, make_request, principal

TYPES = {FactType.TEXT: str, FactType.NUMBER: int, FactType.FLAG: bool, FactType.TEXTS: list}

FULL = Identity(
    subject=principal("ann", Kind.USER, client="web", roles=frozenset({"b", "a"})),
    actor=principal("bot", Kind.AGENT, client="bots"),
    chain=(principal("svc", Kind.SERVICE),),
    tenant="acme",
    session="s1",
    scopes=frozenset({"y", "x"}),
    acr="strong",
    amr=("pwd", "hwk"),
    groups=frozenset({"g"}),
    transaction="t-1",
    transaction_scopes=frozenset({"trade"}),
    transaction_workloads=("gateway",),
    workload="w",
    environment="production",
    registration=Registration(name="w", owner="team-w", purpose="orders", peer_group="shops", environment="other"),
    credential=Credential.CERTIFICATE,
    binding=Binding.SPIFFE,
    profile="default",
)
REQUEST = make_request(
    "POST", "api.example.com/orders/7", source=Source(address="192.0.2.1", principal="spiffe://x/y", sni="api")
)


def test_everything_that_policies_can_name_is_gathered() -> None:
    """Every declared fact, in its declared type, and the attributes besides."""
    facts = gather_facts(REQUEST, FULL, Target(resource="order", action="read"), {"env": "staging"}, AT)
    assert facts.variables.keys() == FACTS.keys() | {"resource.env"}
    for name, fact in FACTS.items():
        assert type(facts.variables[name]) is TYPES[fact.type], name
    assert facts.variables["identity.kind"] == "user"
    assert facts.variables["identity.issuer"] == ISSUER
    assert facts.variables["identity.roles"] == ["a", "b"]
    assert facts.variables["identity.scopes"] == ["x", "y"]
    assert facts.variables["identity.human"] is True
    assert facts.variables["identity.environment"] == "production"
    assert (facts.variables["identity.credential"], facts.variables["identity.binding"]) == ("certificate", "spiffe")
    assert facts.variables["identity.registered"] is True
    assert facts.variables["identity.owner"] == "team-w"
    assert (facts.variables["identity.purpose"], facts.variables["identity.peer_group"]) == ("orders", "shops")
    assert facts.variables["actor.subject"] == "bot"
    assert facts.variables["involved.kinds"] == ["user", "agent", "service"]
    assert (facts.variables["identity.delegated"], facts.variables["delegation.depth"]) == (True, 2)
    assert facts.variables["transaction.scopes"] == ["trade"]
    assert facts.variables["transaction.workloads"] == ["gateway"]
    assert facts.variables["request.path"] == "/orders/7"
    assert facts.variables["resource.action"] == "read"
    assert facts.variables["resource.env"] == "staging"
    assert (facts.identity, facts.request, facts.at) == (FULL, REQUEST, AT)


def test_what_is_not_known_is_left_out() -> None:
    """Not empty, so that comparing with it fails instead of holding."""
    variables = make_facts(Identity(subject=principal(kind=None))).variables
    for name in ("identity.kind", "identity.tenant", "identity.acr", "identity.client", "source.address"):
        assert name not in variables
    assert not any(name.startswith("actor.") for name in variables)
    assert variables["identity.registered"] is False
    declared = make_facts(Identity(subject=principal(), registration=Registration(name="w"))).variables
    assert declared["identity.registered"] is True
    assert "identity.owner" not in variables.keys() | declared.keys()
    assert not any(name.startswith("transaction.") for name in variables)
    assert (variables["identity.delegated"], variables["delegation.depth"]) == (False, 0)
    assert variables["identity.scopes"] == []


@pytest.mark.parametrize("name", ["identity.tenant", "resource.other", "resource.", "other", ""])
def test_what_is_not_known_has_no_value(name: str) -> None:
    """However it is asked for: no default value of ours stands in, and a typing error is no fact."""
    variables = make_facts(Identity(subject=principal()), {"size": 0}).variables
    assert variables.get(name) is None
    assert name not in variables
    with pytest.raises(KeyError):
        variables[name]
    assert (variables["resource.size"], variables.get(name, "-")) == (0, "-")


def test_as_many_facts_are_counted_as_are_known() -> None:
    """The negative control: one that becomes known counts."""
    one, other = make_facts(Identity(subject=principal())), make_facts(Identity(subject=principal(), tenant="acme"))
    assert len(other.variables) == len(list(other.variables)) == len(one.variables) + 1


def test_the_kinds_involved_are_known_only_together() -> None:
    """One party of unknown kind could be of the kind that a rule asks about."""
    assert make_facts(Identity(subject=principal())).variables["involved.kinds"] == ["ci"]
    mixed = Identity(subject=principal(), actor=principal("x", None))
    assert "involved.kinds" not in make_facts(mixed).variables


def test_nobody_is_of_the_kind_anonymous() -> None:
    """Resources without credential can be spoken of."""
    variables = make_facts(ANONYMOUS).variables
    assert variables["identity.kind"] == "anonymous"
    assert variables["identity.human"] is False
    assert "identity.subject" not in variables
