"""Settings of an issuer become the rules that its tokens are held against, or an error that names the place."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from extauthz.config.issuers import IssuerSettings
from extauthz.config.settings import Settings
from extauthz.errors import ConfigError
from extauthz.identity.rules import Computed, FixedValue, FromClaim
from extauthz.identity.shapes import SHAPES
from extauthz.server.issuer_rules import rules_of
from extauthz.server.profiles import from_settings

ISSUER = "https://issuer.example"


def issuer(**changes: Any) -> IssuerSettings:
    """Return settings of an issuer."""
    return IssuerSettings.model_validate({"issuer": ISSUER, "keys": {"file": "keys.json"}, **changes})


def settings(**transactions: Any) -> Settings:
    """Return settings with a profile that reads transaction tokens."""
    profile = {"issuers": [ISSUER], "audience": "https://api.example", "transaction_tokens": transactions}
    issuers = [
        {"issuer": ISSUER, "keys": {"file": "keys.json"}},
        {"issuer": "https://txn.example", "keys": {"file": "txn.json"}},
    ]
    return Settings.model_validate({"policy": ["p"], "issuers": issuers, "profiles": {"api": profile}})


@pytest.mark.parametrize("name", sorted(set(SHAPES) - {"spiffe"}))
def test_a_shape_brings_its_own_mapping(name: str) -> None:
    """Where the operator says nothing."""
    rules = rules_of(issuer(profile=name))
    assert (rules.shape, rules.mapping) == (SHAPES[name], SHAPES[name].mapping)


def test_an_issuer_names_its_own_callers_as_actors_unless_it_is_told_otherwise() -> None:
    """By the exact names of other issuers."""
    assert rules_of(issuer()).actors_of == frozenset()
    assert rules_of(issuer(actors_of=["https://agents.example"])).actors_of == {"https://agents.example"}


@pytest.mark.parametrize("name", ["", "https://a.example b", "https://a.example|b", "a\u00a0b"], ids=repr)
def test_no_issuer_has_a_name_that_runs_into_what_stands_beside_it(name: str) -> None:
    """`ISSUER SUBJECT` of one would be that of another."""
    for changes in ({"issuer": name}, {"actors_of": [name]}):
        with pytest.raises(ValidationError, match="pattern"):
            issuer(**changes)


def test_every_shape_can_be_chosen_and_no_other() -> None:
    """The table of the settings is the table of shapes."""
    schema = IssuerSettings.model_json_schema()["properties"]["profile"]
    assert set(schema["enum"]) == set(SHAPES)


def test_what_the_operator_maps_replaces_the_shapes() -> None:
    """Field by field, from a claim, a text or an expression."""
    mapping = {
        "tenant": {"value": "acme"},
        "environment": {"claim": "env"},
        "groups": {"cel": "claims.teams"},
        "workload": {"cel": "claims.repo"},
    }
    rules = rules_of(issuer(profile="github_actions", map=mapping, required_claims=["env"]))
    assert (rules.mapping.tenant, rules.mapping.environment) == (FixedValue("acme"), FromClaim("env"))
    assert isinstance(rules.mapping.groups, Computed)
    assert rules.mapping.groups.rule == "map.groups"
    assert rules.mapping.groups.find({"teams": ["a"]}) == ["a"]
    assert isinstance(rules.mapping.workload, Computed)
    assert rules.mapping.workload.find({"repo": "r"}) == "r"
    assert rules.mapping.session == SHAPES["github_actions"].mapping.session
    assert rules.required_claims == ("env",)


def test_every_bad_expression_is_named_with_its_place() -> None:
    """All at once, so that one look mends them."""
    mapping = {
        "kind": {"cel": "claims.a ? 'servce' : 'ci'"},
        "roles": {"cel": "claims.a == 'b'"},
        "tenant": {"cel": "tenant"},
    }
    with pytest.raises(ConfigError) as error:
        rules_of(issuer(map=mapping))
    assert sorted(problem.file for problem in error.value.problems) == [
        f"issuers[{ISSUER}].map.{field}.cel" for field in ("kind", "roles", "tenant")
    ]
    assert "servce" in str(error.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"map": {"tenant": {}}},
        {"map": {"tenant": {"claim": "a", "cel": "claims.a"}}},
        {"map": {"kind": {"value": "servce"}}},
        {"map": {"owner": {"claim": "a"}}},
        {"profile": "github"},
        {"accept_id_tokens": True},
        {"profile": "github_actions", "accept_id_tokens": True},
        {"profile": "spiffe"},
        {"profile": "spiffe", "issuer": "spiffe://Example.org"},
        {"profile": "spiffe", "issuer": "spiffe://example.org/workload"},
        {"profile": "spiffe", "issuer": "spiffe://example.org", "keys": {"discovery": True}},
        {"profile": "spiffe", "issuer": "spiffe://example.org", "algorithms": ["ES256", "EdDSA"]},
    ],
    ids=repr,
)
def test_settings_that_contradict_each_other_are_refused(changes: dict[str, Any]) -> None:
    """Before anything is verified by them."""
    with pytest.raises(ValidationError):
        issuer(**changes)


def test_a_trust_domain_is_configured_by_its_id() -> None:
    """With the place of its bundle."""
    rules = rules_of(issuer(profile="spiffe", issuer="spiffe://example.org"))
    assert (rules.issuer, rules.shape) == ("spiffe://example.org", SHAPES["spiffe"])


def test_id_tokens_are_taken_where_the_operator_says_so() -> None:
    """Of providers only."""
    assert rules_of(issuer(profile="oidc", accept_id_tokens=True)).accept_id_tokens
    assert not rules_of(issuer(profile="oidc")).accept_id_tokens


def test_transaction_tokens_come_from_one_configured_issuer() -> None:
    """Which need not be one that is believed for callers."""
    profile = from_settings(settings(issuer="https://txn.example", audience="trust.example"))["api"]
    assert profile.transactions is not None
    assert (profile.transactions.rules.issuer, profile.transactions.audience) == (
        "https://txn.example",
        "trust.example",
    )
    assert set(profile.issuers) == {ISSUER}
    with pytest.raises(ValidationError, match="transaction_tokens"):
        settings(issuer="https://nobody.example", audience="trust.example")
