"""Transaction tokens are context: verified like any token, refused when wrong, and proof of nobody."""

from __future__ import annotations

import json
from typing import Any

import pytest

from extauthz.errors import Refusal
from extauthz.identity.authenticate import authenticate
from extauthz.identity.rules import Profile, TransactionRules
from extauthz.model.identity import Credential, Identity
from extauthz.model.reason import REASONS, Reason
from extauthz.model.state import StateName
from extauthz.ports import Evidence, Fetched, KeysOf, NeedsEvidence
from tests.simulators.profiles import issuer_rules, profile, prove, request, sources
from tests.simulators.tokens import NOW, MemoryKeys, TokenMaker

SERVICE = TokenMaker(issuer="https://txn.example", kid="txn-1")
CALLER = TokenMaker()
KEYS = CALLER.key_source(SERVICE)
TRUST_DOMAIN = "trust-domain.example"


def believing() -> Profile:
    """Return a profile that reads transaction tokens of one service."""
    rules = TransactionRules(rules=issuer_rules(SERVICE.issuer), audience=TRUST_DOMAIN)
    plain = profile()
    return Profile(name=plain.name, audience=plain.audience, issuers=plain.issuers, transactions=rules)


def transaction(maker: TokenMaker = SERVICE, *, headers: dict[str, Any] | None = None, **changes: Any) -> str:
    """Return a transaction token; `changes` replace claims, None removes one."""
    claims: dict[str, Any] = {
        "iat": int(NOW),
        "exp": int(NOW) + 60,
        "aud": TRUST_DOMAIN,
        "txn": "97053963-771d-49cc-a4e3-20aad399c312",
        "sub": "d084sdrt234fsaw34tr23t",
        "scope": "trade.stocks",
        "req_wl": "gateway.trust-domain.example",
        "rctx": {"req_ip": "192.0.2.1"},
        "tctx": {"action": "BUY"},
        **changes,
    }
    header = {"alg": maker.alg, "kid": maker.kid, "typ": "txntoken+jwt", **(headers or {})}
    payload = {name: value for name, value in claims.items() if value is not None}
    return maker.mint_raw(json.dumps(header).encode(), json.dumps(payload).encode())


def identify(
    *tokens: str, believed: Profile | None = None, keys: MemoryKeys = KEYS, evidence: Evidence | None = None
) -> Identity | NeedsEvidence:
    """Return who sends a request with these `Txn-Token` lines and a token of its own."""
    sent = request(f"Bearer {CALLER.mint()}", headers={"txn-token": tokens} if tokens else {})
    return prove(sent, believed or believing(), keys, evidence or Evidence())


def refused(*tokens: str) -> Refusal:
    """Return why a request with these `Txn-Token` lines is refused."""
    with pytest.raises(Refusal) as refusal:
        identify(*tokens)
    return refusal.value


def test_a_transaction_comes_along_and_the_caller_stays_the_caller() -> None:
    """Its `sub` is whom it is about, and no part of the identity."""
    identity = identify(transaction())
    assert isinstance(identity, Identity)
    assert identity.transaction == "97053963-771d-49cc-a4e3-20aad399c312"
    assert identity.transaction_scopes == {"trade.stocks"}
    assert identity.transaction_workloads == ("gateway.trust-domain.example",)
    assert (identity.subject.subject, identity.actor, identity.scopes) == ("deployer", None, frozenset())


def test_a_request_without_one_belongs_to_none() -> None:
    """It is optional."""
    identity = identify()
    assert isinstance(identity, Identity)
    assert identity.transaction == ""


def test_a_profile_that_reads_none_does_not_look() -> None:
    """Whatever is in the header; the answer strips it."""
    identity = identify("nonsense", believed=profile())
    assert isinstance(identity, Identity)
    assert identity.transaction == ""


def test_it_proves_nobody() -> None:
    """A transaction token under `Authorization` is no access token, and beside nothing it is nothing."""
    for sent in (
        request(f"Bearer {transaction(iss=CALLER.issuer, maker=CALLER)}"),
        request(headers={"txn-token": (transaction(),)}),
    ):
        with pytest.raises(Refusal):
            prove(sent, believing(), KEYS)


def test_an_access_token_is_no_transaction_token() -> None:
    """Even one of the same service for the same audience."""
    token = SERVICE.mint(aud=TRUST_DOMAIN, txn="t", req_wl="w", scope="s")
    assert refused(token).reason is Reason.TOKEN_TYPE_WRONG


@pytest.mark.parametrize("lines", [("a", "b"), ("{0}", "{0}"), ("{0},{0}",), ("{0}, x",)], ids=repr)
def test_there_is_exactly_one(lines: tuple[str, ...]) -> None:
    """Lines that Envoy joined included."""
    token = transaction()
    assert refused(*(line.format(token) for line in lines)).reason is Reason.CREDENTIALS_AMBIGUOUS


@pytest.mark.parametrize("claim", ["aud", "iat", "exp", "txn", "sub", "scope", "req_wl"])
@pytest.mark.parametrize("value", [None, {}, ""], ids=["absent", "object", "empty"])
def test_its_claims_are_required(claim: str, value: Any) -> None:
    """The refusal says which token it is about."""
    changes: dict[str, Any] = {claim: value}
    refusal = refused(transaction(**changes))
    assert refusal.detail.startswith("In Txn-Token: ")
    assert REASONS[refusal.reason].status == 401


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": "other.example"}, Reason.AUDIENCE_MISMATCH),
        ({"aud": [TRUST_DOMAIN + ".evil"]}, Reason.AUDIENCE_MISMATCH),
        ({"iss": "https://other.example"}, Reason.ISSUER_UNKNOWN),
        ({"iss": CALLER.issuer}, Reason.ISSUER_UNKNOWN),
        ({"exp": int(NOW) - 5}, Reason.CREDENTIALS_MALFORMED),
        ({"iat": int(NOW) - 60, "exp": int(NOW) - 5}, Reason.TOKEN_EXPIRED),
        ({"iat": int(NOW) + 6, "exp": int(NOW) + 60}, Reason.TOKEN_NOT_YET_VALID),
        ({"exp": int(NOW) + 3601}, Reason.TOKEN_TOO_OLD),
        ({"exp": True}, Reason.CREDENTIALS_MALFORMED),
        ({"req_wl": []}, Reason.CREDENTIALS_MALFORMED),
        ({"req_wl": ["a", 1]}, Reason.CREDENTIALS_MALFORMED),
        ({"scope": ["trade"]}, Reason.CREDENTIALS_MALFORMED),
        ({"txn": "a\nb"}, Reason.CREDENTIALS_MALFORMED),
    ],
    ids=repr,
)
def test_one_that_does_not_hold_refuses_the_request(changes: dict[str, Any], reason: Reason) -> None:
    """Although the caller is proven."""
    assert refused(transaction(**changes)).reason is reason


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", "", "txn_token", "secevent+jwt"])
def test_another_type_is_refused(typ: str) -> None:
    """Exactly one is meant, in any case."""
    assert refused(transaction(headers={"typ": typ})).reason is Reason.TOKEN_TYPE_WRONG
    assert isinstance(identify(transaction(headers={"typ": "TxnToken+JWT"})), Identity)


def test_only_the_named_service_signs() -> None:
    """Another issuer that the profile believes for callers does not."""
    assert refused(transaction(SERVICE, headers={"alg": "none"})).reason is Reason.SIGNATURE_INVALID
    impostor = TokenMaker(issuer="https://impostor.example", kid="txn-1")
    assert refused(transaction(impostor)).reason is Reason.SIGNATURE_INVALID
    assert identify(transaction(CALLER)) == NeedsEvidence(KeysOf(SERVICE.issuer))
    assert refused("a.b.c").reason is Reason.CREDENTIALS_MALFORMED


def test_its_issuer_may_be_left_out_or_named() -> None:
    """The trust domain has one service."""
    assert isinstance(identify(transaction(iss=SERVICE.issuer)), Identity)


def test_a_replaced_token_lists_all_who_asked() -> None:
    """In their order."""
    identity = identify(transaction(req_wl=["gateway", "worker"]))
    assert isinstance(identity, Identity)
    assert identity.transaction_workloads == ("gateway", "worker")


def test_a_missing_key_is_fetched_and_an_outage_is_not_the_clients_fault() -> None:
    """As for the caller's own token."""
    keys = CALLER.key_source()
    assert identify(transaction(), keys=keys) == NeedsEvidence(KeysOf(SERVICE.issuer))
    down = Evidence({KeysOf(SERVICE.issuer): Fetched.UNAVAILABLE})
    with pytest.raises(Refusal) as refusal:
        identify(transaction(), keys=keys, evidence=down)
    assert refusal.value.reason is Reason.EVIDENCE_UNAVAILABLE


def test_the_decision_lasts_no_longer_than_the_transaction() -> None:
    """And no longer than the caller's own token."""
    short, long = identify(transaction()), identify(transaction(exp=int(NOW) + 3600))
    assert isinstance(short, Identity)
    assert isinstance(long, Identity)
    assert (short.accepted_until, long.accepted_until) == (NOW + 65, NOW + 305)


@pytest.mark.parametrize("sent", [{}, {"txn-token": (transaction(),)}], ids=["without", "with"])
def test_a_kept_decision_rests_on_the_keys_of_the_service(sent: dict[str, tuple[str, ...]]) -> None:
    """Also where no transaction came along: what a decision rests on does not depend on what it found."""
    asked = request(f"Bearer {CALLER.mint()}", headers=sent)
    seen = sources(KEYS)
    authenticate(asked, Credential.BEARER, believing(), seen, NOW)
    assert StateName("keys", SERVICE.issuer) in seen.ledger.names
    plain = sources(KEYS)
    authenticate(asked, Credential.BEARER, profile(), plain, NOW)
    assert StateName("keys", SERVICE.issuer) not in plain.ledger.names


def test_no_refusal_echoes_the_token() -> None:
    """A marker in any claim comes back in no text."""
    for claim in ("iss", "aud", "exp", "txn", "sub", "scope", "req_wl"):
        changes: dict[str, Any] = {claim: ["zqzqzq", 1]}
        refusal = refused(transaction(**changes))
        assert "zqzqzq" not in refusal.detail + refusal.inner
