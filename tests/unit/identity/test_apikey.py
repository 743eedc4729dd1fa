"""The steps that prove an API key, each with what it refuses."""

from __future__ import annotations

import hmac
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.clock import Instant
from extauthz.errors import Refusal
from extauthz.identity import apikey
from extauthz.identity.authenticate import authenticate
from extauthz.identity.rules import ApiKeyRules
from extauthz.identity.sources import Proven, Sources
from extauthz.ledger import Ledger
from extauthz.model.identity import Credential, Identity, Kind
from extauthz.model.reason import Reason
from extauthz.model.request import Source
from extauthz.model.state import StateName
from tests.simulators.apikeys import DAY, MemoryApiKeys, make_key
from tests.simulators.profiles import profile, request
from tests.simulators.tokens import NOW, TokenMaker

if TYPE_CHECKING:
    from extauthz.model.request import Request
    from extauthz.ports import ApiKey

TEXT, KEY = make_key()
RULES = ApiKeyRules(header="x-api-key", max_lifetime=30 * DAY)
NO_KEYS = TokenMaker().key_source()
FORM = {"content-type": ("application/x-www-form-urlencoded",)}


def carrying(*keys: str, source: str = "192.0.2.7", **others: Any) -> Request:
    """Return a request with these `x-api-key` lines."""
    headers = {**({"x-api-key": keys} if keys else {}), **others.pop("headers", {})}
    return replace(request(headers=headers, **others), source=Source(address=source))


def prove(asked: Request, *keys: ApiKey, rules: ApiKeyRules = RULES, at: float = NOW) -> Identity:
    """Return the caller, by the door that all credentials go through."""
    known = MemoryApiKeys(*(keys or (KEY,)))
    sources = Sources(keys=NO_KEYS, ledger=Ledger(known), api_keys=known)
    found = authenticate(asked, Credential.API_KEY, replace(profile(), api_keys=rules), sources, Instant(at))
    assert isinstance(found, Proven)
    assert found.spends == ()
    return found.identity


def is_proven(asked: Request, *keys: ApiKey, rules: ApiKeyRules = RULES) -> bool:
    """Return whether the key proves its subject."""
    return prove(asked, *keys, rules=rules).subject.subject == KEY.subject


def refused(asked: Request, *keys: ApiKey, **arguments: Any) -> Refusal:
    """Return the refusal."""
    with pytest.raises(Refusal) as refusal:
        prove(asked, *keys, **arguments)
    return refusal.value


def test_a_good_key_proves_what_its_row_says() -> None:
    """Nothing else comes with it: no client, no claims, no sign-in."""
    identity = prove(carrying(TEXT))
    subject = identity.subject
    assert (subject.issuer, subject.subject, subject.kind) == (apikey.ISSUER, "nightly-1", Kind.SERVICE)
    assert (subject.roles, identity.scopes) == (frozenset({"reader"}), frozenset({"reports:read"}))
    assert identity.tenant == "acme"
    assert (identity.token_id, identity.session, identity.credential) == (KEY.key_id, KEY.key_id, Credential.API_KEY)
    assert (identity.issued_at, identity.expires_at) == (NOW - DAY, NOW + DAY)
    assert (identity.accepted_until, identity.workload) == (NOW + DAY, "urn:extauthz:api-keys|nightly-1")
    assert (identity.client, identity.acr, identity.claims, identity.profile) == ("", "", {}, "api")


def test_a_profile_without_api_keys_proves_nobody() -> None:
    """A fault of the configuration is a denial, and not the client's fault."""
    known = MemoryApiKeys(KEY)
    sources = Sources(keys=NO_KEYS, ledger=Ledger(known), api_keys=known)
    with pytest.raises(Refusal) as refusal:
        authenticate(carrying(TEXT), Credential.API_KEY, profile(), sources, NOW)
    assert refusal.value.reason is Reason.EVALUATION_FAILED


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (carrying(), Reason.NO_CREDENTIALS),
        (carrying(headers={"api-key": (TEXT,)}), Reason.NO_CREDENTIALS),
        (request(f"Bearer {TEXT}"), Reason.NO_CREDENTIALS),
        (carrying(TEXT, TEXT), Reason.CREDENTIALS_AMBIGUOUS),
        (carrying(f"{TEXT},{TEXT}"), Reason.CREDENTIALS_AMBIGUOUS),
        (carrying(TEXT, headers={"authorization": ("Bearer x",)}), Reason.CREDENTIALS_AMBIGUOUS),
        (carrying(TEXT, headers={"authorization": ("Basic eDp5",)}), Reason.CREDENTIALS_AMBIGUOUS),
        (carrying(TEXT, headers={"authorization": ("",)}), Reason.CREDENTIALS_AMBIGUOUS),
        (carrying(TEXT, query=(("access_token", "x"),)), Reason.CREDENTIALS_AMBIGUOUS),
        (carrying(TEXT, headers=FORM, body=b"access_token=x"), Reason.CREDENTIALS_AMBIGUOUS),
        (carrying(""), Reason.CREDENTIALS_MALFORMED),
        (carrying(TEXT[:-1]), Reason.CREDENTIALS_MALFORMED),
        (carrying(f"Bearer {TEXT}"), Reason.CREDENTIALS_MALFORMED),
        (carrying(TEXT[:-1] + ("a" if TEXT[-1] != "a" else "b")), Reason.CREDENTIALS_MALFORMED),
    ],
)
def test_anything_but_one_whole_key_is_refused_before_a_look_up(asked: Request, reason: Reason) -> None:
    """None, two, another means of proof beside it, or a text of another form."""
    known = MemoryApiKeys(KEY)
    sources = Sources(keys=NO_KEYS, ledger=Ledger(known), api_keys=known)
    with pytest.raises(Refusal) as refusal:
        apikey.prove_api_key(asked, replace(profile(), api_keys=RULES), sources, NOW)
    assert refusal.value.reason is reason
    assert known.asked == []
    assert TEXT[:20] not in refusal.value.detail


def test_other_products_credentials_are_the_responses_business() -> None:
    """They are stripped from what goes upstream, as with tokens."""
    assert is_proven(carrying(TEXT, headers={"cookie": ("a=b",), "x-vault-token": ("s",), "api-key": ("k",)}))


def test_the_header_is_the_profiles() -> None:
    """And only that one."""
    rules = replace(RULES, header="x-service-token")
    assert is_proven(carrying(headers={"x-service-token": (TEXT,)}), rules=rules)
    assert refused(carrying(TEXT), rules=rules).reason is Reason.NO_CREDENTIALS


def test_an_unknown_key_and_a_wrong_secret_get_the_same_answer() -> None:
    """So nobody learns which ids exist; the record tells them apart."""
    unknown, _ = make_key(2)
    wrong = replace(KEY, digest=bytes(32))
    one, other = refused(carrying(unknown)), refused(carrying(TEXT), wrong)
    assert (one.reason, one.detail) == (other.reason, other.detail) == (Reason.SIGNATURE_INVALID, one.detail)
    assert one.inner.startswith("no such API key")
    assert other.inner.startswith("another secret")


def test_an_unknown_key_costs_a_digest_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison is made in full, so time does not tell which ids exist."""
    compared: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def watched(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    refused(carrying(make_key(2)[0]))
    prove(carrying(TEXT))
    assert [(len(one), len(other)) for one, other in compared] == [(32, 32), (32, 32)]


def test_a_row_with_an_empty_digest_is_no_way_in() -> None:
    """Nor one that equals what stands in for unknown keys."""
    for digest in (b"", bytes(32)):
        assert refused(carrying(TEXT), replace(KEY, digest=digest)).reason is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize(
    ("changes", "at", "reason"),
    [
        ({"revoked": True}, NOW, Reason.TOKEN_REVOKED),
        ({"revoked": True}, NOW + 2 * DAY, Reason.TOKEN_REVOKED),
        ({}, NOW + DAY, Reason.TOKEN_EXPIRED),
        ({"expires_at": Instant(NOW + 90 * DAY)}, NOW + 29 * DAY, Reason.TOKEN_TOO_OLD),
    ],
)
def test_a_key_ends(changes: dict[str, Any], at: float, reason: Reason) -> None:
    """By being revoked, by its own end, by the longest life that is accepted; the moment before it is accepted."""
    key = replace(KEY, **changes)
    assert refused(carrying(TEXT), key, at=at).reason is reason
    if reason is not Reason.TOKEN_REVOKED:
        identity = prove(carrying(TEXT), key, at=at - 0.001)
        assert identity.accepted_until == at


def test_only_the_holder_learns_that_a_key_is_revoked_or_expired() -> None:
    """Whoever has the id alone gets the answer for unknown keys."""
    for changes in ({"revoked": True}, {"expires_at": Instant(0.0)}, {"networks": ("10.0.0.0/8",)}):
        key = replace(KEY, digest=bytes(32), **changes)
        assert refused(carrying(TEXT), key).reason is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize(
    ("source", "accepted"),
    [
        ("192.0.2.7", True),
        ("192.0.3.7", False),
        ("2001:db8::7", True),
        ("2001:db9::7", False),
        ("", False),
    ],
)
def test_a_key_is_accepted_from_its_networks_only(source: str, accepted: bool) -> None:
    """An unknown address lies in none."""
    key = replace(KEY, networks=("192.0.2.0/24", "2001:db8::/32"))
    if accepted:
        assert is_proven(carrying(TEXT, source=source), key)
    else:
        assert refused(carrying(TEXT, source=source), key).reason is Reason.UNEXPECTED_NETWORK


def test_the_address_is_the_connections_and_no_headers() -> None:
    """Whatever a client says about where it comes from."""
    key = replace(KEY, networks=("192.0.2.0/24",))
    asked = carrying(TEXT, source="198.51.100.1", headers={"x-forwarded-for": ("192.0.2.7",)})
    assert refused(asked, key).reason is Reason.UNEXPECTED_NETWORK


def test_a_key_of_another_tenant_is_refused() -> None:
    """Where the profile serves some only; a key without a tenant is of none of them."""
    rules = replace(RULES, tenants=frozenset({"acme"}))
    assert is_proven(carrying(TEXT), rules=rules)
    for tenant in ("globex", ""):
        assert refused(carrying(TEXT), replace(KEY, tenant=tenant), rules=rules).reason is Reason.TENANT_MISMATCH


def test_the_ledger_has_the_key_before_it_is_looked_for() -> None:
    """Or a change in between would be missed."""
    known = MemoryApiKeys(KEY)
    ledger = Ledger(known)
    sources = Sources(keys=NO_KEYS, ledger=ledger, api_keys=known)
    apikey.prove_api_key(carrying(TEXT), replace(profile(), api_keys=RULES), sources, NOW)
    assert known.asked == [f"epoch api_key {KEY.key_id}", f"key {KEY.key_id}"]
    assert ledger.names == (StateName("api_key", KEY.key_id),)
