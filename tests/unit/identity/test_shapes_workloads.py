"""Tokens of Kubernetes service accounts, and JWT-SVIDs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from extauthz.errors import Refusal
from extauthz.identity.rules import FromClaim
from extauthz.identity.shapes import SHAPES
from extauthz.model.identity import Identity, Kind
from extauthz.model.reason import Reason
from tests.simulators.profiles import bearer, issuer_rules, profile, prove
from tests.simulators.shapes import (
    KUBERNETES,
    TRUST_DOMAIN,
    identify,
    maker_for,
    minted,
    refused,
    rules_for,
)
from tests.simulators.tokens import ISSUER, NOW, TokenMaker


def about(**changes: Any) -> dict[str, Any]:
    """Return the object `kubernetes.io`; `changes` replace, None removes."""
    members = {
        "namespace": "payments",
        "serviceaccount": {"name": "ledger", "uid": "e6a8680e"},
        "pod": {"name": "ledger-1", "uid": "0d8b260e"},
        **changes,
    }
    return {"kubernetes.io": {name: value for name, value in members.items() if value is not None}}


def test_a_token_of_a_service_account() -> None:
    """Known by namespace and account; the pod is the session and never the workload."""
    identity = identify("kubernetes", **about())
    assert identity.subject.subject == "system:serviceaccount:payments:ledger"
    assert identity.subject.kind is Kind.WORKLOAD
    assert (identity.workload, identity.session) == (f"{KUBERNETES}|payments/ledger", "0d8b260e")
    assert identity.groups == {"system:serviceaccounts:payments"}
    assert (identity.tenant, identity.environment) == ("", "")
    other_pod = identify("kubernetes", **about(pod={"name": "ledger-2", "uid": "other"}))
    assert other_pod.workload == identity.workload


def test_a_token_that_is_bound_to_no_pod_is_its_own_session() -> None:
    """Older clusters give it no `jti` either; then there is none."""
    assert identify("kubernetes", **about(pod=None), jti="t-1").session == "t-1"
    identity = identify("kubernetes", **about(pod=None), jti=None)
    assert (identity.session, identity.token_id) == ("", "")


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": "system:serviceaccount:payments:admin"},
        {"sub": "system:serviceaccount:kube-system:ledger"},
        {"sub": "system:node:worker-1"},
        {"kubernetes.io": None},
        {"kubernetes.io": "payments"},
        about(namespace=None),
        about(namespace=1),
        about(serviceaccount=None),
        about(serviceaccount={"name": "ledger"}),
        about(serviceaccount={"uid": "e6a8680e"}),
        about(serviceaccount=["ledger"]),
        about(pod="ledger-1"),
        about(pod={"name": "ledger-1"}),
        {**about(namespace="a:b"), "sub": "system:serviceaccount:a:b:ledger"},
        {**about(namespace="a/b"), "sub": "system:serviceaccount:a/b:ledger"},
        {"exp": None},
    ],
    ids=repr,
)
def test_service_accounts_that_two_claims_tell_differently_are_refused(changes: dict[str, Any]) -> None:
    """And those that are not told at all; legacy tokens without `exp` never end."""
    assert refused("kubernetes", **changes).reason is Reason.CREDENTIALS_MALFORMED


def test_a_jwt_svid() -> None:
    """The SPIFFE ID is subject and workload; the trust domain vouches."""
    identity = identify("spiffe")
    spiffe_id = f"{TRUST_DOMAIN}/ns/payments/sa/ledger"
    assert (identity.subject.issuer, identity.subject.subject, identity.workload) == (
        TRUST_DOMAIN,
        spiffe_id,
        spiffe_id,
    )
    assert (identity.subject.kind, identity.token_id, identity.session) == (Kind.WORKLOAD, "", "")
    assert (identity.issued_at, identity.expires_at) == (None, NOW + 300)


@pytest.mark.parametrize(
    "changes", [{"iss": "https://oidc.example.org"}, {"iss": TRUST_DOMAIN}, {"iat": NOW, "jti": "j"}]
)
def test_a_jwt_svid_may_say_more(changes: dict[str, Any]) -> None:
    """Whatever `iss` says, the trust domain of `sub` chooses the keys."""
    assert identify("spiffe", **changes).subject.issuer == TRUST_DOMAIN


@pytest.mark.parametrize(
    "sub",
    [
        *("spiffe://Example.org/a", "SPIFFE://example.org/a", "spiffe://example.org", "spiffe://example.org/"),
        *("spiffe://example.org/a/", "spiffe://example.org/%61", "spiffe://example.org/a//b"),
        *("spiffe://example.org:80/a", "spiffe://user@example.org/a", "spiffe://example.org/../a"),
        *("spiffe://example.org/a?b", "spiffe://example.org/a#b", "spiffe://other.org/a", "alice"),
    ],
)
def test_what_is_no_spiffe_id_of_the_trust_domain_is_refused(sub: str) -> None:
    """Every other spelling included; also when `iss` names the trust domain."""
    assert refused("spiffe", sub=sub).reason is Reason.ISSUER_UNKNOWN
    assert refused("spiffe", sub=sub, iss=TRUST_DOMAIN).reason is Reason.CREDENTIALS_MALFORMED


def test_a_trust_domain_signs_for_itself_only() -> None:
    """The keys of another trust domain that is believed as well verify nothing here."""
    other = issuer_rules("spiffe://other.org", shape=SHAPES["spiffe"], mapping=SHAPES["spiffe"].mapping)
    keys = TokenMaker(issuer=other.issuer, kid="theirs").key_source()
    token = minted("spiffe", maker=TokenMaker(issuer=other.issuer, kid="theirs"))
    assert not isinstance(prove(bearer(token), profile(rules_for("spiffe"), other), keys), Identity)
    assert keys.asked == [(TRUST_DOMAIN, "theirs", "ES256")]


def test_a_trust_domain_cannot_state_the_workload_key_of_another_issuer() -> None:
    """Only a SPIFFE ID is unique beyond its issuer; what the operator maps from another claim is not."""
    mapping = replace(SHAPES["spiffe"].mapping, workload=FromClaim("job"))
    rules = issuer_rules(TRUST_DOMAIN, shape=SHAPES["spiffe"], mapping=mapping)
    token = minted("spiffe", job=f"{ISSUER}|pipeline")
    found = prove(bearer(token), profile(rules), maker_for("spiffe").key_source())
    assert isinstance(found, Identity)
    assert found.workload == f"{TRUST_DOMAIN}|{ISSUER}|pipeline"


def test_only_jwt_svids_are_chosen_by_their_subject() -> None:
    """An issuer that is merely called like a trust domain still has to be named by `iss`."""
    rules = issuer_rules(TRUST_DOMAIN, shape=SHAPES["oidc"])
    with pytest.raises(Refusal) as refusal:
        prove(bearer(minted("spiffe")), profile(rules), maker_for("spiffe").key_source())
    assert refusal.value.reason is Reason.ISSUER_UNKNOWN


def test_a_spiffe_id_in_the_token_of_another_issuer_is_only_a_name() -> None:
    """`iss` names an issuer of the profile, so that issuer's keys and rules count."""
    maker = TokenMaker()
    spiffe_id = f"{TRUST_DOMAIN}/ns/payments/sa/ledger"
    believed = profile(issuer_rules(), rules_for("spiffe"))
    found = prove(bearer(maker.mint(sub=spiffe_id)), believed, maker.key_source(maker_for("spiffe")))
    assert isinstance(found, Identity)
    assert found.subject.issuer == ISSUER
    assert found.workload != spiffe_id


@pytest.mark.parametrize("headers", [{"jku": "https://x"}, {"x5c": []}, {"cty": "JWT"}, {"jwk": {}}], ids=repr)
def test_a_jwt_svid_has_no_other_header_members(headers: dict[str, Any]) -> None:
    """The standard allows three."""
    assert refused("spiffe", headers=headers).reason is Reason.CREDENTIALS_MALFORMED


@pytest.mark.parametrize("typ", ["JWT", "JOSE", None])
def test_a_jwt_svid_says_jwt_jose_or_nothing(typ: str | None) -> None:
    """Section 2.3."""
    assert identify("spiffe", headers={"typ": typ}).subject.issuer == TRUST_DOMAIN


def test_a_token_without_issue_time_is_bounded_by_the_life_that_is_left() -> None:
    """And is never accepted where its age matters."""
    assert refused("spiffe", lifetime=3601).reason is Reason.TOKEN_TOO_OLD
    assert identify("spiffe", lifetime=3600).expires_at == NOW + 3600
    believed = profile(rules_for("spiffe"), max_token_age=60)
    with pytest.raises(Refusal) as refusal:
        prove(bearer(minted("spiffe")), believed, maker_for("spiffe").key_source())
    assert refusal.value.reason is Reason.TOKEN_TOO_OLD
    found = prove(bearer(minted("spiffe", iat=NOW)), believed, maker_for("spiffe").key_source())
    assert isinstance(found, Identity)
    assert found.accepted_until == NOW + 60 + 5
