"""Every shape of JWT through a real Envoy: accepted once, and refused in its own ways; and what goes upstream then."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.demo.ask import Answer, Ask
from extauthz.demo.stage import Script, Stage
from tests.e2e.asks import OTHER_CREDENTIALS, assert_only_carrier, lines_of
from tests.e2e.conftest import ROOT
from tests.simulators.shapes import GITHUB, GITLAB, ISSUERS, KUBERNETES, TRUST_DOMAIN, maker_for, minted
from tests.simulators.tokens import AUDIENCE, TokenMaker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.envoy

PLAIN = TokenMaker(issuer="https://plain.example")
SERVICE = TokenMaker(issuer="https://txn.example")
MAKERS = {**{shape: maker_for(shape) for shape in ISSUERS}, "rfc9068": PLAIN}
POLICY = """
resources:
""" + "".join(
    f"  - {{name: {name.replace('_', '-')}, action: read, verify: {name}, "
    f'match: {{host: api.example.com, path: "/{name}", methods: [GET]}}}}\n'
    for name in MAKERS
)
POLICY += """
  - name: payment
    action: initiate
    verify: rfc9068
    match: {host: api.example.com, path: "/accounts/{account}/payments", methods: [GET]}
    attributes: {account: path.account}
  - {name: open, action: read, credential: none, match: {host: api.example.com, path: /open, methods: [GET]}}
forbids:
  - {id: no-chains, on: rfc9068.read, when: delegation.depth > 1}
permits:
  - {id: plain, who: anyone, may: [rfc9068.read, oidc.read, open.read]}
  - id: release
    who: {kind: [ci]}
    may: [github-actions.read]
    when: >-
      identity.environment == "production" && "event_name:push" in identity.groups &&
      identity.workload.endsWith("|957014466|.github/workflows/release.yml")
  - {id: protected, who: {kind: [ci]}, may: [gitlab-ci.read], when: '"ref_protected:true" in identity.groups'}
  - id: ledger
    who: {kind: [workload]}
    may: [kubernetes.read]
    when: identity.workload.endsWith("|payments/ledger")
  - id: mesh
    who: {kind: [workload]}
    may: [spiffe.read]
    when: identity.workload == "spiffe://example.org/ns/payments/sa/ledger"
  - id: pays
    who: anyone
    may: [payment.initiate]
    require: [{authorization_details: {type: payment, actions: [initiate], identifier: "{resource.account}"}}]
"""


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Run Envoy and extauthz with an issuer of every shape, each with its keys in a file."""
    folder = tmp_path_factory.mktemp("shapes")

    def change(settings: dict[str, Any]) -> None:
        (folder / "policy.yaml").write_text(POLICY)
        settings["policy"] = [str(folder / "policy.yaml")]
        settings["issuers"] = [
            *(_issuer(folder, maker, name) for name, maker in MAKERS.items()),
            _issuer(folder, SERVICE, "rfc9068"),
        ]
        settings["profiles"] = {
            name: {"issuers": [maker.issuer], "audience": AUDIENCE} for name, maker in MAKERS.items()
        }
        settings["profiles"]["rfc9068"]["transaction_tokens"] = {"issuer": SERVICE.issuer, "audience": "trust.example"}
        settings["profiles"]["default"] = dict(settings["profiles"]["oidc"], issuers=[PLAIN.issuer])

    with Stage(Script(root=ROOT, folder=folder, change_settings=change)) as running:
        yield running


def _issuer(folder: Path, maker: TokenMaker, shape: str) -> dict[str, Any]:
    file = folder / f"{maker.issuer.rpartition('/')[2]}.json"
    use = "jwt-svid" if shape == "spiffe" else "sig"
    file.write_text(json.dumps({"keys": [maker.jwk(use=use)]}))
    mapped = {"kind": {"cel": "claims.sub.startsWith('svc-') ? 'service' : 'user'"}} if shape == "oidc" else {}
    return {
        "issuer": maker.issuer,
        "keys": {"file": str(file)},
        "algorithms": [maker.alg],
        "profile": shape,
        "map": mapped,
        "max_lifetime": "1h",
    }


def token(shape: str, **changes: Any) -> str:
    """Return a token of this shape that is good now."""
    if shape == "rfc9068":
        return PLAIN.mint(now=time.time(), **changes)
    return minted(shape, now=time.time(), **changes)


def ask(stage: Stage, path: str, bearer: str, *headers: tuple[str, str]) -> Answer:
    """Send a request with a bearer token and further header lines."""
    return stage.edge.send(Ask(path=path, headers=(("authorization", f"Bearer {bearer}"), *headers)))


SAYS = {
    "rfc9068": {"subject": "deployer", "issuer": PLAIN.issuer, "kind": "ci", "client": "pipeline"},
    "oidc": {"subject": "alice", "kind": "user", "client": "console"},
    "github_actions": {"issuer": GITHUB, "kind": "ci", "tenant": "65"},
    "gitlab_ci": {"issuer": GITLAB, "kind": "ci", "tenant": "72"},
    "kubernetes": {"subject": "system:serviceaccount:payments:ledger", "issuer": KUBERNETES, "kind": "workload"},
    "spiffe": {"subject": f"{TRUST_DOMAIN}/ns/payments/sa/ledger", "issuer": TRUST_DOMAIN, "kind": "workload"},
}


@pytest.mark.parametrize("shape", sorted(SAYS))
def test_each_shape_is_accepted(shape: str, shapes: Stage) -> None:
    """The upstream learns who that is; the credential is the one that was sent."""
    sent = token(shape)
    answer = ask(shapes, f"/{shape}", sent)
    assert answer.status == 200, answer.body
    assert lines_of(answer, "authorization") == [f"Bearer {sent}"]
    assert {name: lines_of(answer, f"x-extauthz-{name}") for name in SAYS[shape]} == {
        name: [value] for name, value in SAYS[shape].items()
    }


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    *((shape, {"aud": "https://other.example"}, "audience_mismatch") for shape in SAYS),
    *((shape, {"headers": {"typ": "txntoken+jwt"}}, "token_type_wrong") for shape in SAYS),
    *((shape, {"headers": {"kid": "nobody"}}, "signature_invalid") for shape in SAYS),
    *((shape, {"exp": 1.5}, "credentials_malformed") for shape in SAYS if shape != "spiffe"),
    ("rfc9068", {"typ": "JWT"}, "token_type_wrong"),
    ("rfc9068", {"client_id": None}, "credentials_malformed"),
    ("rfc9068", {"act": "bot"}, "credentials_malformed"),
    ("rfc9068", {"act": {"sub": "a", "kind": "agent", "act": {"sub": "b", "kind": "agent"}}}, "forbidden"),
    ("oidc", {"nonce": "n"}, "token_type_wrong"),
    ("oidc", {"sub": 1}, "credentials_malformed"),
    ("oidc", {"client_id": "other"}, "credentials_malformed"),
    ("github_actions", {"repository_id": None}, "credentials_malformed"),
    ("github_actions", {"sub": "repo:octo-org@1/octo-repo@2:ref:x"}, "credentials_malformed"),
    ("github_actions", {"environment": None}, "no_permit"),
    ("github_actions", {"event_name": "pull_request"}, "no_permit"),
    ("github_actions", {"repository_id": "1"}, "no_permit"),
    ("gitlab_ci", {"ref_protected": "false"}, "no_permit"),
    ("gitlab_ci", {"ref_protected": True}, "credentials_malformed"),
    ("kubernetes", {"sub": "system:serviceaccount:payments:admin"}, "credentials_malformed"),
    ("kubernetes", {"kubernetes.io": None}, "credentials_malformed"),
    ("spiffe", {"sub": "spiffe://other.org/ns/payments/sa/ledger"}, "issuer_unknown"),
    ("spiffe", {"sub": f"{TRUST_DOMAIN}/ns/payments/sa/admin"}, "no_permit"),
    ("spiffe", {"headers": {"jku": "https://x.example"}}, "credentials_malformed"),
    ("spiffe", {"exp": 1}, "token_expired"),
]


@pytest.mark.parametrize(("shape", "changes", "reason"), REFUSED, ids=lambda part: str(part)[:40])
def test_each_shape_is_refused_in_its_own_ways(shape: str, changes: dict[str, Any], reason: str, shapes: Stage) -> None:
    """With a reason of ours, and a challenge where a token was wrong."""
    answer = ask(shapes, f"/{shape}", token(shape, **changes))
    assert (answer.reason, answer.status) == (reason, 403 if reason in {"no_permit", "forbidden"} else 401)
    assert bool(answer.challenge) is (answer.status == 401)


def test_a_token_of_one_shape_is_nothing_at_the_resource_of_another(shapes: Stage) -> None:
    """Each profile believes its own issuer."""
    for shape in SAYS:
        for other in SAYS:
            if other != shape:
                assert ask(shapes, f"/{other}", token(shape)).reason == "issuer_unknown"


def transaction(**changes: Any) -> str:
    """Return a transaction token."""
    claims = {"aud": "trust.example", "txn": "t-1", "req_wl": "gateway", "scope": "trade", **changes}
    return SERVICE.mint(now=time.time(), typ="txntoken+jwt", **claims)


def test_a_verified_transaction_token_goes_on_unchanged_and_no_other(shapes: Stage) -> None:
    """One that does not hold refuses the request; where none is read it is stripped; it proves nobody."""
    context = transaction()
    answer = ask(shapes, "/rfc9068", token("rfc9068"), ("txn-token", context))
    assert (answer.status, lines_of(answer, "txn-token")) == (200, [context])
    answer = ask(shapes, "/oidc", token("oidc"), ("txn-token", context))
    assert (answer.status, lines_of(answer, "txn-token")) == (200, [])
    assert ask(shapes, "/rfc9068", token("rfc9068"), ("txn-token", transaction(aud="x"))).reason == "audience_mismatch"
    twice = (("txn-token", context), ("txn-token", context))
    assert ask(shapes, "/rfc9068", token("rfc9068"), *twice).reason == "credentials_ambiguous"
    assert ask(shapes, "/rfc9068", context).status == 401
    assert shapes.edge.send(Ask(path="/rfc9068", headers=(("txn-token", context),))).reason == "no_credentials"


def test_a_right_is_for_the_account_that_it_names(shapes: Stage) -> None:
    """`authorization_details` against the path."""
    granted = [{"type": "payment", "actions": ["initiate"], "identifier": "42"}]
    bearer = token("rfc9068", authorization_details=granted)
    assert ask(shapes, "/accounts/42/payments", bearer).status == 200
    assert ask(shapes, "/accounts/43/payments", bearer).reason == "authorization_details_missing"
    assert ask(shapes, "/accounts/42/payments", token("rfc9068")).reason == "authorization_details_missing"


@pytest.mark.parametrize("together", [False, True])
def test_only_the_declared_carrier_reaches_the_upstream(shapes: Stage, *, together: bool) -> None:
    """Whatever else the client adds that somebody behind could take for a credential or an identity."""
    for headers in [OTHER_CREDENTIALS] if together else [(one,) for one in OTHER_CREDENTIALS]:
        sent = token("oidc")
        answer = ask(shapes, "/oidc?private_token=s3cret&colour=red", sent, *headers)
        assert answer.status == 200, headers
        assert_only_carrier(answer, "authorization", f"Bearer {sent}")
        assert lines_of(answer, "x-extauthz-subject") == ["alice"]


@pytest.mark.parametrize("query", ["?access_token=s3cret", "?Access_Token=s3cret", "?access%5Ftoken=s3cret"])
def test_a_second_token_in_the_query_is_refused(query: str, shapes: Stage) -> None:
    """Somebody behind could take it for the caller's."""
    answer = ask(shapes, f"/oidc{query}", token("oidc"))
    assert answer.status == 400
    assert b"s3cret" not in answer.body


def test_where_no_credential_is_declared_none_goes_on(shapes: Stage) -> None:
    """Nobody has looked at it."""
    answer = ask(shapes, "/open?access_token=s3cret", token("oidc"), *OTHER_CREDENTIALS)
    assert answer.status == 200
    assert lines_of(answer, "authorization") == []
    assert "s3cret" not in json.dumps(answer.read_echo())
