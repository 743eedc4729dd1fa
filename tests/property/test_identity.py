"""Whatever a client sends, identifying it ends in an identity, a refusal or a need for evidence."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from extauthz.errors import JoseError, Refusal
from extauthz.jose.keyset import parse_keyset
from extauthz.model.identity import Identity, Kind
from extauthz.model.reason import REASONS, ReasonSpec
from extauthz.ports import NeedsEvidence
from tests.simulators.profiles import bearer, profile, prove, request
from tests.simulators.tokens import AUDIENCE, ISSUER, NOW, TokenMaker, to_base64url

MAKER = TokenMaker()
KEYS = MAKER.key_source()
GOOD = MAKER.mint()

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=6), children, max_size=3),
    max_leaves=8,
)

header_names = st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "jku", "x5c", "zip", "other"])
claim_names = st.sampled_from(
    [
        *("iss", "aud", "sub", "client_id", "iat", "exp", "nbf", "jti", "scope", "kind", "tenant", "roles", "groups"),
        *("sid", "acr", "amr", "auth_time", "act", "cnf"),
    ]
)
jwk_names = st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "alg", "use", "key_ops", "d", "k"])


def identify(sent: Any) -> Identity | NeedsEvidence | ReasonSpec:
    """Return what a request ends in, for a refusal its meaning; anything else that is raised fails the test."""
    try:
        found = prove(sent, profile(), KEYS)
    except Refusal as refusal:
        return REASONS[refusal.reason]
    assert isinstance(found, Identity | NeedsEvidence)
    return found


@given(st.text(max_size=200))
def test_any_text_as_header_ends_decided(text: str) -> None:
    """And proves nobody."""
    assert isinstance(identify(request(text)), ReasonSpec)


@given(st.text(max_size=200))
def test_any_text_as_token_ends_decided(text: str) -> None:
    """And proves nobody."""
    assert isinstance(identify(bearer(text)), ReasonSpec)


@given(st.lists(st.binary(max_size=80), min_size=1, max_size=5))
def test_any_bytes_as_parts_end_decided(parts: list[bytes]) -> None:
    """Well-formed base64url round anything."""
    assert not isinstance(identify(bearer(".".join(to_base64url(part) for part in parts))), Identity)


@given(st.dictionaries(header_names, json_values, max_size=3), st.dictionaries(claim_names, json_values, max_size=4))
def test_any_header_and_claims_rightly_signed_end_decided(header: dict[str, Any], claims: dict[str, Any]) -> None:
    """An identity that comes out is of the issuer, for us, of a kind that a credential can prove, and not expired."""
    raw_header = json.dumps({"alg": "ES256", "kid": "k1", "typ": "at+jwt", **header}).encode()
    payload = json.dumps({**MAKER.claims(), **claims}).encode()
    found = identify(bearer(MAKER.mint_raw(raw_header, payload)))
    if isinstance(found, Identity):
        assert found.subject.issuer == ISSUER
        assert found.subject.kind not in {None, Kind.ANONYMOUS}
        assert AUDIENCE in found.claims["aud"]
        assert found.expires_at is not None
        assert found.expires_at > NOW - 5


@given(st.integers(0, len(GOOD) - 1), st.characters(codec="ascii"))
def test_a_token_with_one_character_changed_proves_nobody(position: int, character: str) -> None:
    """Header, payload and signature are all covered; only the unchanged token is good."""
    changed = GOOD[:position] + character + GOOD[position + 1 :]
    found = identify(bearer(changed))
    assert isinstance(found, Identity) is (changed == GOOD)


@given(st.lists(st.text(max_size=30), max_size=3), st.lists(st.tuples(st.text(max_size=14), st.text()), max_size=3))
def test_at_most_one_credential_is_ever_taken(lines: list[str], query: list[tuple[str, str]]) -> None:
    """With a good token among them, an identity comes out only if it was the only one."""
    found = identify(request(f"Bearer {GOOD}", *lines, query=tuple(query)))
    assert not lines or isinstance(found, ReasonSpec)


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps({"keys": value}).encode()))
def test_any_bytes_as_key_set_are_keys_or_an_error(raw: bytes) -> None:
    """Nothing but our own error leaves the parser."""
    try:
        keys = parse_keyset(raw, ("ES256", "RS256", "EdDSA"))
    except JoseError:
        return
    assert keys.names or keys.only


@given(st.dictionaries(jwk_names, json_values, max_size=4))
def test_any_members_in_a_key_are_a_key_or_an_error(members: dict[str, Any]) -> None:
    """Hostile members round a good key never raise anything else."""
    for maker in (MAKER, TokenMaker(alg="RS256"), TokenMaker(alg="EdDSA")):
        raw = json.dumps({"keys": [{**maker.jwk(), **members}]}).encode()
        try:
            keys = parse_keyset(raw, (maker.alg,))
        except JoseError:
            continue
        assert len(keys.only) == 1
