"""Tokens of every shape: what they have in common, and those of OpenID providers."""

from __future__ import annotations

from typing import Any

import pytest

from extauthz.errors import Refusal
from extauthz.identity.rules import FixedValue
from extauthz.identity.shapes import SHAPES
from extauthz.model.identity import Kind
from extauthz.model.reason import Reason
from tests.simulators.profiles import bearer, profile, prove
from tests.simulators.shapes import (
    ISSUERS,
    PROVIDER,
    identify,
    refused,
    rules_for,
)
from tests.simulators.tokens import TokenMaker

CI = ("github_actions", "gitlab_ci")
OTHERS = tuple(ISSUERS)


def test_the_table_is_closed() -> None:
    """Every shape of the settings, by its own name."""
    assert set(SHAPES) == {"rfc9068", *ISSUERS}
    assert all(name == shape.name for name, shape in SHAPES.items())


@pytest.mark.parametrize("shape", OTHERS)
def test_another_type_of_token_is_refused(shape: str) -> None:
    """What the same issuer signs for something else is no access token."""
    for typ in ("secevent+jwt", "statuslist+jwt", "txntoken+jwt", "dpop+jwt", "wit+jwt", "JWT ", ""):
        assert refused(shape, headers={"typ": typ}).reason is Reason.TOKEN_TYPE_WRONG


@pytest.mark.parametrize(
    ("shape", "accepted"), [("oidc", True), ("kubernetes", True), ("spiffe", True), *((s, False) for s in CI)]
)
def test_an_absent_type_is_accepted_where_issuers_leave_it_out(shape: str, accepted: bool) -> None:
    """Kubernetes does, and SPIFFE says that it may."""
    if accepted:
        identify(shape, headers={"typ": None})
    else:
        assert refused(shape, headers={"typ": None}).reason is Reason.TOKEN_TYPE_WRONG


@pytest.mark.parametrize("shape", OTHERS)
@pytest.mark.parametrize("claim", ["sub", "aud", "exp"])
def test_what_every_token_has_is_required_of_every_shape(shape: str, claim: str) -> None:
    """Whatever else a shape can do without."""
    changes: dict[str, Any] = {claim: None}
    refusal = refused(shape, **changes)
    expected = Reason.ISSUER_UNKNOWN if (shape, claim) == ("spiffe", "sub") else Reason.CREDENTIALS_MALFORMED
    assert refusal.reason is expected


@pytest.mark.parametrize("shape", OTHERS)
def test_no_shape_reads_another_issuers_token(shape: str) -> None:
    """An RFC 9068 token of the same issuer and key lacks what the shape is about."""
    maker = TokenMaker(issuer=ISSUERS[shape])
    with pytest.raises(Refusal):
        prove(bearer(maker.mint(typ="JWT", nonce="n")), profile(rules_for(shape)), maker.key_source())


def test_a_token_of_an_openid_provider() -> None:
    """Client from `azp`, scopes from `scp`; no `jti`, so neither token id nor session."""
    identity = identify("oidc")
    assert (identity.subject.subject, identity.client, identity.subject.kind) == ("alice", "console", Kind.USER)
    assert identity.scopes == {"read", "write"}
    assert (identity.token_id, identity.session) == ("", "")
    assert identity.workload == f"{PROVIDER}|console"


@pytest.mark.parametrize("typ", ["JWT", "jwt", "application/jwt", "at+jwt", None])
def test_openid_providers_write_types_as_they_like(typ: str | None) -> None:
    """All of these mean a token for a resource."""
    assert identify("oidc", headers={"typ": typ}).subject.subject == "alice"


@pytest.mark.parametrize("name", ["azp", "client_id", "cid", "appid"])
def test_the_client_goes_by_one_of_four_names(name: str) -> None:
    """Each provider has its own."""
    changes: dict[str, Any] = {"azp": None, name: "c-1"}
    assert identify("oidc", **changes).client == "c-1"


def test_clients_that_contradict_each_other_are_refused() -> None:
    """One of them would be acted upon here, the other one behind us."""
    assert refused("oidc", azp="console", client_id="other").reason is Reason.CREDENTIALS_MALFORMED
    assert identify("oidc", azp="console", client_id="console").client == "console"


def test_without_a_client_the_workload_is_the_subject() -> None:
    """So that there is something stable to know it by."""
    identity = identify("oidc", azp=None)
    assert (identity.client, identity.workload) == ("", f"{PROVIDER}|alice")


@pytest.mark.parametrize(
    ("changes", "scopes"),
    [
        ({"scp": "a b"}, {"a", "b"}),
        ({"scp": ["a", "b"]}, {"a", "b"}),
        ({"scp": None, "scope": "a"}, {"a"}),
        ({"scp": ["a"], "scope": "a"}, {"a"}),
        ({"scp": []}, set()),
        ({"scp": None}, set()),
    ],
    ids=repr,
)
def test_scopes_are_text_or_a_list(changes: dict[str, Any], scopes: set[str]) -> None:
    """Under one name or the other."""
    assert identify("oidc", **changes).scopes == scopes


@pytest.mark.parametrize(
    "changes",
    [{"scp": ["a b"]}, {"scp": [1]}, {"scp": 1}, {"scope": ["a"], "scp": None}, {"scp": ["a"], "scope": "b"}],
    ids=repr,
)
def test_scopes_of_another_kind_are_refused(changes: dict[str, Any]) -> None:
    """Also those that contradict each other."""
    assert refused("oidc", **changes).reason is Reason.CREDENTIALS_MALFORMED


@pytest.mark.parametrize("claim", ["nonce", "at_hash", "c_hash"])
def test_an_id_token_is_not_an_access_token(claim: str) -> None:
    """Unless the operator says so."""
    changes: dict[str, Any] = {claim: "x"}
    assert refused("oidc", **changes).reason is Reason.TOKEN_TYPE_WRONG
    assert identify("oidc", rules=rules_for("oidc", accept_id_tokens=True), **changes).subject.subject == "alice"


def test_a_security_event_is_not_an_access_token() -> None:
    """Nor is a logout token; both are typed `JWT` by older providers. No setting changes that."""
    events: dict[str, Any] = {"http://schemas.openid.net/event/backchannel-logout": {}}
    for accept_id_tokens in (False, True):
        rules = rules_for("oidc", accept_id_tokens=accept_id_tokens)
        assert refused("oidc", rules=rules, events=events).reason is Reason.TOKEN_TYPE_WRONG


def test_the_operator_may_require_claims() -> None:
    """Of any shape; the client learns which one is missing."""
    rules = rules_for("oidc", required_claims=("jti", "org.unit"))
    assert identify("oidc", rules=rules, jti="t-1", org={"unit": "u"}).token_id == "t-1"
    assert "`org.unit`" in refused("oidc", rules=rules, jti="t-1").detail
    assert "`jti`" in refused("oidc", rules=rules, org={"unit": "u"}).detail


def test_the_operator_may_map_a_shape_otherwise() -> None:
    """What is not said stays the shape's."""
    mapping = SHAPES["github_actions"].mapping
    changed = {name: getattr(mapping, name) for name in mapping.__dataclass_fields__} | {"tenant": FixedValue("acme")}
    rules = rules_for("github_actions", mapping=type(mapping)(**changed))
    identity = identify("github_actions", rules=rules)
    assert (identity.tenant, identity.environment) == ("acme", "production")
