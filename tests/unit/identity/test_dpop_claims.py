"""The resource server's side of RFC 9449, second half: what a proof says, its time, and that it is used once."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extauthz.clock import Instant
from extauthz.errors import Refusal
from extauthz.identity.authenticate import authenticate
from extauthz.model.identity import Credential
from extauthz.model.reason import REASONS, Reason
from extauthz.server.nonces import TimedNonces
from tests.simulators.dpop import ORIGIN, RULES, ProofMaker, token_digest
from tests.simulators.profiles import profile, sources
from tests.simulators.tokens import NOW, to_base64url
from tests.unit.identity.possession import CLIENT, ISSUER, KEYS, TOKEN, asked, proven, refused

NONCES = TimedNonces(b"s" * 32, 120.0)


# --- 5. claims --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["jti", "htm", "htu", "iat", "ath"])
@pytest.mark.parametrize("value", [None, [], {}, True, ""])
def test_every_claim_is_there_with_its_type(name: str, value: Any) -> None:
    """Absent, of another type, or empty."""
    refusal = refused(asked(CLIENT.prove(TOKEN, **{name: value})))
    assert refusal.reason is Reason.PROOF_INVALID
    assert f"`{name}`" in refusal.detail


@pytest.mark.parametrize("payload", [b"", b"[]", b"{", b'{"jti":"a","jti":"b"}', b'{"iat":NaN}', b"\xff"])
def test_the_claims_are_one_strict_object(payload: bytes) -> None:
    """As everything else that is read here."""
    header = json.dumps({"typ": "dpop+jwt", "alg": "ES256", "jwk": CLIENT.jwk}).encode()
    assert refused(asked(CLIENT.key.mint_raw(header, payload))).reason is Reason.PROOF_INVALID


@pytest.mark.parametrize("iat", ["1790000000", -1, 1e300, 2**60])
def test_the_time_is_a_number_in_range(iat: object) -> None:
    """RFC 7519 section 2."""
    assert refused(asked(CLIENT.prove(TOKEN, iat=iat))).reason is Reason.PROOF_INVALID


def test_the_length_of_a_jti_is_bounded() -> None:
    """256 characters are accepted, one more is not; what is remembered is a digest of 32 bytes in either case."""
    assert len(proven(asked(CLIENT.prove(TOKEN, jti="j" * 256))).spends[0].key) == 32
    assert "`jti`" in refused(asked(CLIENT.prove(TOKEN, jti="j" * 257))).detail


def test_claims_that_nobody_asks_for_are_ignored() -> None:
    """A nonce where none is asked for, and claims of others."""
    assert proven(asked(CLIENT.prove(TOKEN, nonce="n", exp=1, aud="x", foo=[1]))).spends


# --- 6. to 9. method, address, token, time ----------------------------------------------------------------------------


@pytest.mark.parametrize(("htm", "method"), [("get", "GET"), ("POST", "GET"), ("GET", "POST"), ("GET", "HEAD")])
def test_the_method_is_compared_letter_by_letter(htm: str, method: str) -> None:
    """RFC 9449 section 4.3 check 8."""
    assert "`htm`" in refused(asked(CLIENT.prove(TOKEN, htm), method=method)).detail
    assert proven(asked(CLIENT.prove(TOKEN, method), method=method)).spends


@pytest.mark.parametrize(
    "address",
    [
        f"{ORIGIN}/v1/~orders",
        "https://API.example.com:443/v1/~orders",
        f"{ORIGIN}/v1/%7Eorders?page=2#top",
        f"{ORIGIN}/v1/x/../~orders",
    ],
)
def test_equivalent_addresses_are_accepted(address: str) -> None:
    """RFC 9449 section 4.3 check 9."""
    assert proven(asked(CLIENT.prove(TOKEN, address=address), path="/v1/~orders")).spends


@pytest.mark.parametrize(
    "address",
    [
        "http://api.example.com/v1/~orders",
        "https://api.example.com:8443/v1/~orders",
        "https://www.example.com/v1/~orders",
        f"{ORIGIN}/v1/orders",
        f"{ORIGIN}/v1/~orders/",
        f"{ORIGIN}/V1/~orders",
        f"{ORIGIN}/v1%2F~orders",
        f"{ORIGIN}/?/v1/~orders",
        "/v1/~orders",
        "https://user@api.example.com/v1/~orders",
        "é",
    ],
)
def test_other_addresses_are_refused(address: str) -> None:
    """Another scheme, port, host or path, and what is no address."""
    refusal = refused(asked(CLIENT.prove(TOKEN, address=address), path="/v1/~orders"))
    assert refusal.reason is Reason.PROOF_INVALID
    assert ORIGIN in refusal.detail


def test_the_proof_is_for_this_very_token() -> None:
    """Not for another one of the same client, and not for a digest of other spelling."""
    other = CLIENT.bind(ISSUER, jti="t-2")
    assert "`ath`" in refused(asked(CLIENT.prove(other))).detail
    assert "`ath`" in refused(asked(CLIENT.prove(TOKEN, ath=token_digest(TOKEN) + "="))).detail
    assert "`ath`" in refused(asked(CLIENT.prove(TOKEN, ath=to_base64url(TOKEN.encode())))).detail


@pytest.mark.parametrize(
    ("age", "accepted"), [(0, True), (64.9, True), (65, False), (3600, False), (-5, True), (-5.1, False), (-600, False)]
)
def test_a_proof_is_accepted_for_a_short_time(age: float, *, accepted: bool) -> None:
    """`max_age` and the skew behind it, the skew before it."""
    request = asked(CLIENT.prove(TOKEN, iat=NOW - age))
    if accepted:
        assert proven(request).spends
    else:
        assert refused(request).reason is Reason.PROOF_INVALID


@given(age=st.floats(-100, 100))
def test_a_spend_outlives_the_proof(age: float) -> None:
    """Whenever a proof is accepted its `jti` is still remembered, by a clock that is ahead by the skew as well."""
    try:
        found = proven(asked(CLIENT.prove(TOKEN, iat=NOW - age)))
    except Refusal:
        return
    assert found.spends[0].until > NOW + RULES.skew


# --- 10. nonce --------------------------------------------------------------------------------------------------------


def test_a_nonce_is_asked_for() -> None:
    """Without one, with another one, and with one from before the last: a new one is needed."""
    for nonce in (None, "guess", "é", NONCES.nonce_at(Instant(NOW - 240))):
        refusal = refused(asked(CLIENT.prove(TOKEN, nonce=nonce)), nonces=NONCES)
        assert refusal.reason is Reason.PROOF_NONCE_REQUIRED
    assert REASONS[Reason.PROOF_NONCE_REQUIRED].error == "use_dpop_nonce"


@pytest.mark.parametrize("nonce", ["", 7, ["n"], True])
def test_a_nonce_of_the_wrong_type_is_a_bad_proof(nonce: object) -> None:
    """RFC 9449 section 4.2: a string."""
    assert refused(asked(CLIENT.prove(TOKEN, nonce=nonce)), nonces=NONCES).reason is Reason.PROOF_INVALID


def test_the_newest_nonce_needs_no_word_and_the_one_before_does() -> None:
    """Grace of one: the proof is accepted, and the client is told which nonce to use from now on."""
    newest, before = NONCES.nonce_at(NOW), NONCES.nonce_at(Instant(NOW - 120))
    assert newest != before
    assert proven(asked(CLIENT.prove(TOKEN, nonce=newest)), nonces=NONCES).next_nonce == ""
    assert proven(asked(CLIENT.prove(TOKEN, nonce=before)), nonces=NONCES).next_nonce == newest


def test_nonces_that_nobody_makes_are_our_failure() -> None:
    """A profile that asks for nonces is never served without them."""
    believed = replace(profile(), dpop=replace(RULES, nonce=True))
    with pytest.raises(Refusal) as caught:
        authenticate(asked(CLIENT.prove(TOKEN)), Credential.DPOP, believed, sources(KEYS), NOW)
    assert caught.value.reason is Reason.EVALUATION_FAILED


# --- 11. once ---------------------------------------------------------------------------------------------------------


def key_of(client: ProofMaker = CLIENT, *, path: str = "/", **changes: Any) -> bytes:
    """Return what a proof spends."""
    token = client.bind(ISSUER)
    proof = client.prove(token, address=ORIGIN + path, **changes)
    return proven(asked(proof, authorization=f"DPoP {token}", path=path)).spends[0].key


def test_a_jti_is_spent_for_its_key_and_address() -> None:
    """The same again spends the same, however the proof is made; another `jti`, key or path spends another."""
    assert key_of() == key_of(iat=NOW - 30, foo="bar")
    others = [key_of(), key_of(jti="p-2"), key_of(ProofMaker(name="other")), key_of(path="/a"), key_of(path="/a/p")]
    assert len(set(others)) == len(others)


def test_parts_of_a_key_do_not_run_into_each_other() -> None:
    """A path's end is not a `jti`'s start."""
    assert key_of(path="/a", jti="bc") != key_of(path="/ab", jti="c")
