"""The steps that prove a bearer token, each with what it refuses. The table of attacks is in `tests/conformance/`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from extauthz.clock import Instant
from extauthz.errors import Refusal
from extauthz.identity.bearer import VerifiedClaims, verify_bearer
from extauthz.identity.credentials import UnverifiedToken
from extauthz.model.reason import Reason
from extauthz.ports import NO_EVIDENCE, Evidence, Fetched, KeysOf, NeedsEvidence
from tests.simulators.profiles import LEEWAY, MAX_LIFETIME, issuer_rules, profile
from tests.simulators.tokens import AUDIENCE, ISSUER, NOW, MemoryKeys, TokenMaker

MAKER = TokenMaker()
KEYS = MAKER.key_source()
AFTER_FETCH = Evidence({KeysOf(ISSUER): Fetched.DONE})


def prove(token: str, *, at: float = NOW, evidence: Evidence = NO_EVIDENCE, **changes: Any) -> Any:
    """Return what verifying `token` gives; `changes` go to the profile."""
    keys = changes.pop("keys", KEYS)
    return verify_bearer(UnverifiedToken(token), profile(**changes), keys, evidence, Instant(at))


def refused(token: str, **arguments: Any) -> Refusal:
    """Return the refusal of `token`."""
    with pytest.raises(Refusal) as refusal:
        prove(token, **arguments)
    return refusal.value


def with_claim(claim: str, value: Any) -> str:
    """Return a token with one claim changed; None removes it."""
    changes: dict[str, Any] = {claim: value}
    return MAKER.mint(**changes)


def test_a_good_token_is_proven() -> None:
    """What comes out is what its issuer signed."""
    verified = prove(MAKER.mint(scope="read"))
    assert isinstance(verified, VerifiedClaims)
    assert (verified.subject, verified.client, verified.token_id) == ("deployer", "pipeline", "t-1")
    assert (verified.issued_at, verified.expires_at) == (NOW, NOW + 300)
    assert (verified.rules.issuer, verified.claims["scope"]) == (ISSUER, "read")


@pytest.mark.parametrize("alg", ["RS256", "PS256", "EdDSA", "Ed25519"])
def test_each_accepted_algorithm_proves(alg: str) -> None:
    """Where the issuer lists it."""
    maker = TokenMaker(alg=alg)
    assert isinstance(prove(maker.mint(), keys=maker.key_source()), VerifiedClaims)


def test_an_algorithm_outside_the_allow_list_is_refused_before_a_key_is_looked_for() -> None:
    """Even where the issuer has a key for it; the detail names what is accepted."""
    keys = MAKER.key_source()
    believed = profile(issuer_rules(algorithms=("RS256", "PS256")))
    with pytest.raises(Refusal) as refusal:
        verify_bearer(UnverifiedToken(MAKER.mint()), believed, keys, NO_EVIDENCE, NOW)
    assert refusal.value.reason is Reason.SIGNATURE_INVALID
    assert "RS256, PS256" in refusal.value.detail
    assert keys.asked == []


def test_a_malformed_token_says_what_was_wrong_only_inside() -> None:
    """The client learns that it is malformed, the record learns why."""
    refusal = refused("not-a-token")
    assert refusal.reason is Reason.CREDENTIALS_MALFORMED
    assert "three" in refusal.inner
    assert "three" not in refusal.detail


@pytest.mark.parametrize("payload", [b"", b"[]", b"x", b'{"iss":"a","iss":"b"}', b'{"exp":NaN}'], ids=repr)
def test_a_payload_with_two_readings_is_malformed(payload: bytes) -> None:
    """Rightly signed or not."""
    assert refused(MAKER.mint_raw(b'{"alg":"ES256","typ":"at+jwt"}', payload)).reason is Reason.CREDENTIALS_MALFORMED


@pytest.mark.parametrize("issuer", [None, "", "https://issuer.example/", "https://ISSUER.example", [ISSUER], {}, 1])
def test_an_issuer_outside_the_profile_is_unknown_and_no_key_is_looked_for(issuer: Any) -> None:
    """Compared as text; another spelling is another issuer."""
    keys = MAKER.key_source()
    assert refused(MAKER.mint(iss=issuer), keys=keys).reason is Reason.ISSUER_UNKNOWN
    assert keys.asked == []


def test_keys_of_another_issuer_are_never_tried() -> None:
    """A token of A signed with B's key and naming B's `kid` needs A's keys, whoever B is."""
    other = TokenMaker(issuer="https://other.example", kid="theirs")
    keys = MAKER.key_source(other)
    believed = profile(issuer_rules(), issuer_rules("https://other.example"))
    token = UnverifiedToken(other.mint(iss=ISSUER))
    answer = verify_bearer(token, believed, keys, NO_EVIDENCE, NOW)
    assert answer == NeedsEvidence(KeysOf(ISSUER))
    assert keys.asked == [(ISSUER, "theirs", "ES256")]


def test_an_unknown_key_is_looked_for_once() -> None:
    """First the shell is asked; when the issuer does not publish it, the signature is what fails."""
    token = TokenMaker(kid="new").mint()
    assert prove(token) == NeedsEvidence(KeysOf(ISSUER))
    assert refused(token, evidence=AFTER_FETCH).reason is Reason.SIGNATURE_INVALID
    assert isinstance(prove(token, keys=TokenMaker(kid="new").key_source(), evidence=AFTER_FETCH), VerifiedClaims)


def test_an_outage_of_the_issuer_is_not_the_clients_fault() -> None:
    """The answer is 503, not 401, so that a client does not throw its token away."""
    down = Evidence({KeysOf(ISSUER): Fetched.UNAVAILABLE})
    assert refused(TokenMaker(kid="new").mint(), evidence=down).reason is Reason.EVIDENCE_UNAVAILABLE


def test_what_was_fetched_of_another_issuer_is_no_evidence() -> None:
    """Evidence is looked up by the need, not by there being some."""
    other = Evidence({KeysOf("https://other.example"): Fetched.DONE})
    assert prove(MAKER.mint(), keys=MemoryKeys(), evidence=other) == NeedsEvidence(KeysOf(ISSUER))


def test_a_known_key_is_used_whatever_a_fetch_brought() -> None:
    """An outage does not touch callers whose key is at hand."""
    down = Evidence({KeysOf(ISSUER): Fetched.UNAVAILABLE})
    assert isinstance(prove(MAKER.mint(), evidence=down), VerifiedClaims)


def test_a_forged_signature_is_refused() -> None:
    """Right name, wrong key."""
    assert refused(MAKER.forge()).reason is Reason.SIGNATURE_INVALID


def test_claims_are_not_judged_before_the_signature() -> None:
    """A forger learns nothing about audience, times or claims, only that the signature is wrong."""
    forged = MAKER.forge(aud="x", exp=1, sub=None, cnf={})
    assert refused(forged).reason is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize("claim", ["exp", "aud", "sub", "client_id", "iat", "jti"])
@pytest.mark.parametrize("value", [None, {}, True], ids=["absent", "object", "boolean"])
def test_a_required_claim_that_is_absent_or_mistyped_is_malformed(claim: str, value: Any) -> None:
    """RFC 9068 section 2.2; the detail names the claim."""
    refusal = refused(with_claim(claim, value))
    assert refusal.reason is Reason.CREDENTIALS_MALFORMED
    assert f"`{claim}`" in refusal.detail


def test_a_claim_that_is_null_is_malformed() -> None:
    """JSON `null` is neither a subject nor an audience."""
    for claim in ("sub", "aud", "exp"):
        payload = MAKER.claims()
        payload[claim] = None
        token = MAKER.mint_raw(b'{"alg":"ES256","kid":"k1","typ":"at+jwt"}', json.dumps(payload).encode())
        assert refused(token).reason is Reason.CREDENTIALS_MALFORMED


@pytest.mark.parametrize("aud", [AUDIENCE, [AUDIENCE], ["x", AUDIENCE]], ids=repr)
def test_an_audience_that_names_us_is_accepted(aud: Any) -> None:
    """As the string or as a member of the list."""
    assert isinstance(prove(MAKER.mint(aud=aud)), VerifiedClaims)


@pytest.mark.parametrize(
    "aud", ["x", "", [], ["x"], [""], f"{AUDIENCE}/evil", AUDIENCE[:-1], AUDIENCE.upper()], ids=repr
)
def test_another_audience_is_refused_and_ours_is_named(aud: Any) -> None:
    """Exact membership; a prefix is another audience. The client is told which to ask for."""
    refusal = refused(MAKER.mint(aud=aud))
    assert refusal.reason is Reason.AUDIENCE_MISMATCH
    assert AUDIENCE in refusal.detail


@pytest.mark.parametrize("aud", [[AUDIENCE, 1], {AUDIENCE: 1}, 5], ids=repr)
def test_an_audience_of_another_shape_is_malformed(aud: Any) -> None:
    """Even if we are in it somewhere."""
    assert refused(MAKER.mint(aud=aud)).reason is Reason.CREDENTIALS_MALFORMED


@pytest.mark.parametrize(
    ("after_expiry", "accepted"), [(-1.0, True), (LEEWAY - 1, True), (LEEWAY, False), (LEEWAY + 1, False)]
)
def test_a_token_is_good_until_its_expiry_and_the_leeway_after(after_expiry: float, accepted: bool) -> None:
    """On the last instant it is expired already (RFC 7519 section 4.1.4)."""
    token, at = MAKER.mint(), NOW + 300 + after_expiry
    if accepted:
        assert isinstance(prove(token, at=at), VerifiedClaims)
    else:
        assert refused(token, at=at).reason is Reason.TOKEN_EXPIRED


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_a_token_from_the_future_is_refused_beyond_the_leeway(claim: str) -> None:
    """A clock a little ahead is tolerated, a future `iat` would outlive revocations."""
    assert isinstance(prove(with_claim(claim, NOW + LEEWAY)), VerifiedClaims)
    assert refused(with_claim(claim, NOW + LEEWAY + 1)).reason is Reason.TOKEN_NOT_YET_VALID


def test_a_mistyped_not_before_is_malformed() -> None:
    """An optional claim that is there has its type."""
    assert refused(MAKER.mint(nbf="now")).reason is Reason.CREDENTIALS_MALFORMED


def test_a_token_that_ends_before_it_begins_is_malformed() -> None:
    """No issuer means that."""
    assert refused(MAKER.mint(exp=NOW - 1)).reason is Reason.CREDENTIALS_MALFORMED
    assert refused(MAKER.mint(exp=NOW)).reason is Reason.CREDENTIALS_MALFORMED


def test_a_token_may_live_as_long_as_its_issuer_may_say_and_no_longer() -> None:
    """The bound is on the whole life, however young the token is."""
    assert isinstance(prove(MAKER.mint(lifetime=MAX_LIFETIME)), VerifiedClaims)
    refusal = refused(MAKER.mint(lifetime=MAX_LIFETIME + 1))
    assert refusal.reason is Reason.TOKEN_TOO_OLD
    assert "3600" in refusal.detail


def test_a_profile_may_bound_the_age() -> None:
    """A token that is still good elsewhere is too old here, leeway included."""
    token = MAKER.mint(lifetime=3000)
    assert isinstance(prove(token, at=NOW + 60 + LEEWAY, max_token_age=60), VerifiedClaims)
    assert refused(token, at=NOW + 61 + LEEWAY, max_token_age=60).reason is Reason.TOKEN_TOO_OLD
    assert isinstance(prove(token, at=NOW + 2000), VerifiedClaims)


@pytest.mark.parametrize("cnf", [{"jkt": "x"}, {"x5t#S256": "x"}, {}, "", False], ids=repr)
def test_a_sender_constrained_token_is_not_accepted_as_a_plain_one(cnf: Any) -> None:
    """Whoever stole it could not use it at its issuer's other resources, so not here either."""
    assert refused(MAKER.mint(cnf=cnf)).reason is Reason.BINDING_MISMATCH


def test_no_refusal_echoes_the_token() -> None:
    """A marker put into each claim and header comes back in no text for clients."""
    marker = "zqzqzq"
    tokens = [with_claim(claim, marker) for claim in ("iss", "aud", "exp", "iat", "nbf", "cnf")]
    tokens += [MAKER.mint(headers={name: marker}) for name in ("alg", "typ", "kid")]
    tokens += [MAKER.mint(headers={"crit": [marker]}), marker]
    for token in tokens:
        refusal = refused(token, evidence=AFTER_FETCH)
        assert marker not in refusal.detail
        assert marker not in refusal.inner
