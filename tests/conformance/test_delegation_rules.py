"""Who acts on whose behalf, in rules: delegation (RFC 8693), rich authorization requests (RFC 9396), transactions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from extauthz import pipeline
from extauthz.audit.record import to_record
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from extauthz.identity.rules import TransactionRules
from extauthz.ids import DecisionId
from extauthz.pipeline import Views
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.request.bounds import Proxy
from tests.simulators.envoy_messages import check_request
from tests.simulators.profiles import issuer_rules, profile
from tests.simulators.tokens import ISSUER, NOW, TokenMaker

POLICY = """
resources:
  - {name: own, action: read, match: {host: api.example.com, path: "/own", methods: [GET]}}
  - {name: near, action: read, match: {host: api.example.com, path: "/near", methods: [GET]}}
  - {name: book, action: write, match: {host: api.example.com, path: "/book/{part}", methods: [GET]},
     attributes: {part: path.part}}
  - {name: trade, action: place, match: {host: api.example.com, path: "/trade", methods: [GET]}}
  - {name: any, action: read, match: {host: api.example.com, path: "/any", methods: [GET]}}
forbids:
  - {id: nobody-else, on: own.read, when: identity.delegated}
  - {id: not-deep, on: near.read, when: delegation.depth > 1}
permits:
  - {id: p1, who: anyone, may: [own.read, near.read]}
  - id: p2
    who: anyone
    may: [book.write]
    require:
      - authorization_details: {type: address-book, actions: [write], datatypes: ["{resource.part}"]}
  - {id: p3, who: anyone, may: [trade.place], when: '"trade.stocks" in transaction.scopes'}
  - {id: p4, who: anyone, may: [any.read], when: 'actor.subject == "b"'}
"""
RULESET = compile_policy({"p.yaml": POLICY.encode()}, PolicyContext())
MAKER = TokenMaker()
KEYS = MAKER.key_source()
AGENTS = "https://agents.example"
SPEAKING = {ISSUER: replace(issuer_rules(), actors_of=frozenset({AGENTS}))}
TRADING = replace(
    profile(), issuers=SPEAKING, transactions=TransactionRules(rules=issuer_rules(), audience="trust.example")
)


def decide(path: str, transaction: str = "", **claims: Any) -> pipeline.Answer:
    """Return the answer to a request with a token that has these claims."""
    headers = {"authorization": f"Bearer {MAKER.mint(**claims)}"} | ({"txn-token": transaction} if transaction else {})
    answer = pipeline.check(
        check_request(path=path, headers=headers),
        proxy=Proxy("edge"),
        views=Views(keys=KEYS, profiles={"default": TRADING}, epochs=KEYS),
        ruleset=RULESET,
        at=NOW,
        decision_id=DecisionId("d-" + "0" * 20),
    )
    assert isinstance(answer, pipeline.Answer)
    return answer


def reason(path: str, transaction: str = "", **claims: Any) -> str:
    """Return the reason of the answer."""
    return decide(path, transaction, **claims).decision.reason.value


def act(*names: str) -> dict[str, Any]:
    """Return an `act` claim: the first name acts, the others acted before it."""
    first, *rest = names
    return {"sub": first, "kind": "agent", **({"act": act(*rest)} if rest else {})}


def test_a_rule_on_the_actor_sees_the_outermost_one_only() -> None:
    """Earlier actors are for the record and for rules on depth (RFC 8693 section 4.1)."""
    assert reason("/any", act=act("b", "c")) == "allowed"
    assert reason("/any", act=act("c", "b")) == "no_permit"
    assert reason("/any") == "no_permit"


def test_rules_may_ask_whether_somebody_acts_and_how_many_did() -> None:
    """`identity.delegated` and `delegation.depth`."""
    assert (reason("/own"), reason("/own", act=act("b"))) == ("allowed", "forbidden")
    assert (reason("/near"), reason("/near", act=act("b")), reason("/near", act=act("b", "c"))) == (
        *("allowed", "allowed"),
        "forbidden",
    )


def test_who_could_act_does_not_act() -> None:
    """`may_act` is for the authorization server and proves nothing here."""
    assert reason("/own", may_act={"sub": "b", "kind": "agent"}) == "allowed"
    assert reason("/any", may_act={"sub": "b", "kind": "agent"}) == "no_permit"


@pytest.mark.parametrize(
    "claim", ["b", {}, {"kind": "agent"}, [], 1, act(*"bcdef")], ids=lambda claim: repr(claim)[:20]
)
def test_an_act_that_cannot_be_read_never_becomes_not_delegated(claim: Any) -> None:
    """The token is refused where the subject alone would be allowed."""
    assert reason("/own") == "allowed"
    assert reason("/own", act=claim) == "credentials_malformed"


def test_the_record_and_the_upstream_learn_on_whose_behalf() -> None:
    """Subject, actor and chain in the record; subject and actor, each with its issuer, upstream."""
    answer = decide("/any", act={**act("b", "c"), "iss": AGENTS, "client_id": "bot"})
    record = to_record(answer.decision, 0.0)
    assert record["subject"]["subject"] == "deployer"
    assert record["actor"] == {"issuer": AGENTS, "subject": "b", "kind": "agent", "client": "bot"}
    assert [party["subject"] for party in record["chain"]] == ["c"]
    headers = {
        option.header.key: option.header.value
        for option in CheckResponse.FromString(answer.response).ok_response.headers
    }
    assert (headers["x-extauthz-subject"], headers["x-extauthz-issuer"]) == ("deployer", ISSUER)
    assert (headers["x-extauthz-actor"], headers["x-extauthz-actor-issuer"]) == ("b", AGENTS)


def test_an_issuer_cannot_make_its_callers_act_as_those_of_another() -> None:
    """The rule names the actor, and the token of whoever may name anybody would meet it."""
    assert reason("/any", act={**act("b"), "iss": AGENTS}) == "allowed"
    assert reason("/any", act={**act("b"), "iss": "https://other.example"}) == "issuer_unknown"


READ_CONTACTS = {"type": "address-book", "actions": ["read"], "datatypes": ["contacts"]}
WRITE_PHOTOS = {"type": "address-book", "actions": ["write"], "datatypes": ["photos"]}


def test_rights_of_two_objects_are_not_mixed() -> None:
    """Reading contacts and writing photos is not writing contacts."""
    granted = [READ_CONTACTS, WRITE_PHOTOS]
    assert reason("/book/photos", authorization_details=granted) == "allowed"
    assert reason("/book/contacts", authorization_details=granted) == "authorization_details_missing"
    assert reason("/book/photos", authorization_details=[]) == "authorization_details_missing"
    assert reason("/book/photos") == "authorization_details_missing"
    assert reason("/book/photos", authorization_details="all") == "credentials_malformed"
    record = to_record(decide("/book/photos", authorization_details=granted).decision, 0.0)
    assert record["authorization_details"] == ["address-book", "address-book"]


def transaction(**changes: Any) -> str:
    """Return a transaction token."""
    claims = {"aud": "trust.example", "txn": "t-1", "req_wl": "gateway", "scope": "trade.stocks", **changes}
    return MAKER.mint(typ="txntoken+jwt", **claims)


def test_a_transaction_is_context_for_rules_and_goes_on_unchanged() -> None:
    """Without one the rule fails; one that does not hold refuses the request."""
    answer = decide("/trade", transaction())
    assert answer.decision.allowed
    record = to_record(answer.decision, 0.0)
    assert (record["transaction"], record["transaction_scopes"]) == ("t-1", ["trade.stocks"])
    allowed = CheckResponse.FromString(answer.response).ok_response
    assert "txn-token" not in {*allowed.headers_to_remove, *(option.header.key for option in allowed.headers)}
    assert reason("/trade") == "no_permit"
    assert reason("/trade", transaction(scope="read")) == "no_permit"
    assert reason("/trade", transaction(aud="other")) == "audience_mismatch"
    assert reason("/near", transaction(aud="other")) == "audience_mismatch"
    without = CheckResponse.FromString(decide("/near").response).ok_response
    assert "txn-token" in without.headers_to_remove
