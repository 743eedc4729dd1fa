"""The resource server's side of RFC 9449, first half: the credential, the shape of a proof, its key and signature."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extauthz.errors import Refusal
from extauthz.identity.authenticate import authenticate
from extauthz.jose.compact import _load_header
from extauthz.model.identity import Binding, Credential
from extauthz.model.reason import REASONS, Reason
from extauthz.model.request import Headers
from extauthz.ports import KeysOf, NeedsEvidence
from tests.simulators.dpop import RULES, ProofMaker, token_digest
from tests.simulators.profiles import profile, sources
from tests.simulators.tokens import NOW, TokenMaker
from tests.unit.identity.possession import CLIENT, ISSUER, KEYS, TOKEN, asked, proven, refused

PROOF = CLIENT.prove(TOKEN)


def test_a_proof_proves_the_sender() -> None:
    """The identity says how the caller proved itself; it is spent under a digest, until after it has expired."""
    found = proven(asked(CLIENT.prove(TOKEN)))
    assert found.identity.subject.subject == "deployer"
    assert (found.identity.credential, found.identity.binding) == (Credential.DPOP, Binding.DPOP)
    (spend,) = found.spends
    assert (spend.kind, spend.limit, spend.refused) == ("dpop_proof", 1, Reason.PROOF_REPLAYED)
    assert len(spend.key) == 32
    assert spend.until == NOW + 60 + 2 * 5
    assert found.next_nonce == ""


@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "RS256"])
def test_every_accepted_algorithm(alg: str) -> None:
    """Keys of each type."""
    client = ProofMaker(alg=alg)
    token = client.bind(ISSUER)
    assert proven(asked(client.prove(token), authorization=f"DPoP {token}")).identity.binding is Binding.DPOP


def test_the_address_of_the_standards_example() -> None:
    """`ath` of a known token is the known digest."""
    assert token_digest("nhi-demo-token-1") == "GBofplUsRTzt9Xi08hjUwqVSQ2i0ZYzYgUu61Yz5zyk"


# --- the credential ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        (f"Bearer {TOKEN}", Reason.NO_CREDENTIALS),
        (f"Basic {TOKEN}", Reason.NO_CREDENTIALS),
        ("DPoP", Reason.CREDENTIALS_MALFORMED),
        ("DPoP a b", Reason.CREDENTIALS_MALFORMED),
        (f"DPoP {TOKEN}, Bearer {TOKEN}", Reason.CREDENTIALS_AMBIGUOUS),
    ],
)
def test_the_token_comes_under_the_scheme_dpop(authorization: str, reason: Reason) -> None:
    """Anything else is no credential here, or more than one."""
    assert refused(asked(CLIENT.prove(TOKEN), authorization=authorization)).reason is reason


def test_the_scheme_is_compared_without_case() -> None:
    """RFC 9110 section 11.1."""
    assert proven(asked(CLIENT.prove(TOKEN), authorization=f"dpop {TOKEN}")).spends


def test_nothing_at_all_is_no_credential() -> None:
    """So that the challenge says how to come, without an error."""
    request = replace(asked(CLIENT.prove(TOKEN)), headers=Headers({}, exact=True))
    assert refused(request).reason is Reason.NO_CREDENTIALS


def test_a_token_in_the_query_is_a_second_credential() -> None:
    """RFC 9449 section 7.1 knows one place for the token."""
    request = asked(CLIENT.prove(TOKEN), query=(("access_token", TOKEN),))
    assert refused(request).reason is Reason.CREDENTIALS_AMBIGUOUS


def test_a_bound_token_as_bearer_is_a_downgrade() -> None:
    """Where a resource takes bearer tokens, one that is bound to a key is refused (RFC 9449 section 7.2)."""
    bearer = asked(authorization=f"Bearer {TOKEN}")
    with pytest.raises(Refusal) as caught:
        authenticate(bearer, Credential.BEARER, profile(), sources(KEYS), NOW)
    assert caught.value.reason is Reason.BINDING_MISMATCH
    free = asked(authorization=f"Bearer {ISSUER.mint()}")
    assert not isinstance(authenticate(free, Credential.BEARER, profile(), sources(KEYS), NOW), NeedsEvidence)


@pytest.mark.parametrize(
    ("confirmation", "reason"),
    [
        (None, Reason.BINDING_MISSING),
        ("jkt", Reason.BINDING_MISSING),
        ({}, Reason.BINDING_MISSING),
        ({"jkt": None}, Reason.BINDING_MISSING),
        ({"jkt": [CLIENT.thumbprint]}, Reason.BINDING_MISSING),
        ({"x5t#S256": "A" * 43}, Reason.BINDING_MISSING),
        ({"jkt": CLIENT.thumbprint, "x5t#S256": "A" * 43}, Reason.BINDING_MISMATCH),
        ({"jkt": CLIENT.thumbprint, "osc": {}}, Reason.BINDING_MISMATCH),
        ({"jkt": ""}, Reason.BINDING_MISMATCH),
        ({"jkt": CLIENT.thumbprint + "="}, Reason.BINDING_MISMATCH),
        ({"jkt": ProofMaker(name="thief").thumbprint}, Reason.BINDING_MISMATCH),
    ],
)
def test_a_token_that_is_not_bound_to_the_key_is_refused(confirmation: object, reason: Reason) -> None:
    """Unbound, bound to another key, or bound to more than a proof shows: the token is at fault."""
    token = ISSUER.mint(cnf=confirmation)
    refusal = refused(asked(CLIENT.prove(token), authorization=f"DPoP {token}"))
    assert refusal.reason is reason
    assert REASONS[reason].error == "invalid_token"


def test_a_bad_token_is_refused_before_its_proof() -> None:
    """The token is proven by the same rules as under Bearer, missing keys included."""
    expired = CLIENT.bind(ISSUER, now=NOW - 900)
    assert refused(asked("nonsense", authorization=f"DPoP {expired}")).reason is Reason.TOKEN_EXPIRED
    stranger = CLIENT.bind(TokenMaker(kid="k9"))
    found = authenticate(
        asked(authorization=f"DPoP {stranger}"), Credential.DPOP, replace(profile(), dpop=RULES), sources(KEYS), NOW
    )
    assert found == NeedsEvidence(KeysOf(ISSUER.issuer))


def test_a_profile_without_proofs_proves_nobody() -> None:
    """A mistake of ours is ours: 503, and never an allow."""
    with pytest.raises(Refusal) as caught:
        authenticate(asked(CLIENT.prove(TOKEN)), Credential.DPOP, profile(), sources(KEYS), NOW)
    assert caught.value.reason is Reason.EVALUATION_FAILED


# --- 1. one proof -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exact", [True, False], ids=["lines", "merged"])
@pytest.mark.parametrize("count", [0, 2, 3])
def test_there_is_exactly_one_proof(count: int, *, exact: bool) -> None:
    """None, and several in either shape of headers, also when all are the same; the client is told what is wrong."""
    refusal = refused(asked(*[CLIENT.prove(TOKEN)] * count, exact=exact))
    assert (refusal.reason, "exactly one proof" in refusal.detail) == (Reason.PROOF_INVALID, True)
    assert proven(asked(CLIENT.prove(TOKEN), exact=exact)).spends


@pytest.mark.parametrize(
    "proof",
    [
        "",
        "proof",
        "a.b",
        CLIENT.prove(TOKEN) + ".AA.AA",
        CLIENT.prove(TOKEN).rpartition(".")[0] + ".",
        CLIENT.prove(TOKEN) + "=",
        " " + CLIENT.prove(TOKEN),
        json.dumps({"payload": "e30", "signatures": []}),
        CLIENT.key.mint_raw(b"[]", b"{}"),
        CLIENT.key.mint_raw(b'{"alg":"ES256","alg":"ES256"}', b"{}"),
        CLIENT.prove(TOKEN, headers={"crit": ["exp"], "exp": 1}),
        CLIENT.prove(TOKEN, headers={"b64": False}),
        CLIENT.prove(TOKEN, headers={"kid": 7}),
        CLIENT.prove(TOKEN, jti="a" * 10_000),
        "a" * 10_000_000,
    ],
    ids=range(15),
)
def test_a_proof_is_one_compact_jws(proof: str) -> None:
    """No JSON serialisation, no encryption, nothing unsigned, padded, ambiguous or oversized."""
    assert refused(asked(proof)).reason is Reason.PROOF_INVALID


def test_the_length_of_a_proof_is_bounded() -> None:
    """Whatever makes it long."""
    assert proven(asked(CLIENT.prove(TOKEN, padding="a" * 4000))).spends
    assert "8192 bytes" in refused(asked(CLIENT.prove(TOKEN, padding="a" * 8000))).detail


def test_nothing_of_a_proof_is_remembered() -> None:
    """Only the header of the token goes through the memory for headers of issuers."""

    def looked_up() -> int:
        return _load_header.cache_info().hits + _load_header.cache_info().misses

    before = looked_up()
    proven(asked(PROOF))
    assert looked_up() == before + 1


# --- 2. to 4. type, algorithm, key and signature ----------------------------------------------------------------------


@pytest.mark.parametrize("typ", [None, "", "JWT", "jwt", "at+jwt", "DPoP+JWT", "application/dpop+jwt", "dpop+jwt "])
def test_the_type_is_exactly_dpop_jwt(typ: str | None) -> None:
    """RFC 9449 section 4.3 check 3."""
    assert refused(asked(CLIENT.prove(TOKEN, headers={"typ": typ}))).reason is Reason.PROOF_INVALID


@pytest.mark.parametrize("alg", ["none", "HS256", "ES384", "PS256", "Ed25519", "es256", ""])
def test_the_algorithm_is_one_that_is_accepted(alg: str) -> None:
    """Also not one that fits the key but is not in the list; the list is named."""
    refusal = refused(asked(CLIENT.prove(TOKEN, headers={"alg": alg})))
    assert refusal.reason is Reason.PROOF_INVALID
    assert "ES256, EdDSA, RS256" in refusal.detail


@pytest.mark.parametrize("member", ["d", "p", "q", "dp", "dq", "qi", "k"])
def test_the_key_has_no_private_members(member: str) -> None:
    """RFC 9449 section 4.3 check 7."""
    proof = CLIENT.prove(TOKEN, headers={"jwk": {**CLIENT.jwk, member: "AA"}})
    assert refused(asked(proof)).reason is Reason.PROOF_INVALID


@pytest.mark.parametrize("jwk", [None, "key", [], {}, ProofMaker(alg="RS256").jwk, {"kty": "oct", "k": "AAAA"}])
def test_the_key_is_there_and_fits_the_algorithm(jwk: object) -> None:
    """RFC 9449 section 4.2."""
    assert refused(asked(CLIENT.prove(TOKEN, headers={"jwk": jwk}))).reason is Reason.PROOF_INVALID


def test_a_key_by_reference_is_not_looked_for() -> None:
    """`jku`, `x5u`, `x5c` and `kid` name no key here."""
    pointers = {"jwk": None, "jku": "https://evil.example/jwks", "x5u": "https://evil.example/x", "kid": "k1"}
    assert refused(asked(CLIENT.prove(TOKEN, headers=pointers))).reason is Reason.PROOF_INVALID


def test_a_proof_by_another_key_is_refused() -> None:
    """A thief's own proof names the thief's key; with the victim's key in it, the signature does not verify."""
    thief = ProofMaker(name="thief")
    assert refused(asked(thief.prove(TOKEN))).reason is Reason.BINDING_MISMATCH
    forged = thief.prove(TOKEN, headers={"jwk": CLIENT.jwk})
    assert refused(asked(forged)).reason is Reason.PROOF_INVALID


@given(st.data())
def test_a_changed_proof_is_refused(data: st.DataObject) -> None:
    """Whatever character is changed, in header, claims or signature."""
    place = data.draw(st.integers(0, len(PROOF) - 1))
    other = data.draw(st.sampled_from([char for char in "Aa0-_.,x" if char != PROOF[place]]))
    reason = refused(asked(PROOF[:place] + other + PROOF[place + 1 :])).reason
    assert reason in {Reason.PROOF_INVALID, Reason.BINDING_MISMATCH}
