"""Bearer tokens from question to answer: what RFC 6750 and RFC 9068 have a resource server answer, line by line."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from extauthz import pipeline
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from extauthz.ids import DecisionId
from extauthz.pipeline import Views
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.ports import Evidence, Fetched, KeysOf, NeedsEvidence
from extauthz.request.bounds import Proxy
from tests.simulators.envoy_messages import check_request
from tests.simulators.profiles import LEEWAY, issuer_rules, profile
from tests.simulators.tokens import AUDIENCE, ISSUER, NOW, TokenMaker, to_base64url
from tests.unit.response.auth_params import parse_challenge

POLICY = """
resources:
  - {name: thing, action: read, match: {host: api.example.com, path: "/thing", methods: [GET]}}
permits:
  - {id: p, who: anyone, may: [thing.read]}
"""
RULESET = compile_policy({"p.yaml": POLICY.encode()}, PolicyContext())
MAKER = TokenMaker()
OTHER = TokenMaker(issuer="https://other.example", kid="theirs")
KEYS = MAKER.key_source(OTHER)
LOOKED = Evidence({KeysOf(ISSUER): Fetched.DONE})


@dataclass(frozen=True)
class Answer:
    """What the client sees.

    Attributes:
        status: 200 for an allow.
        scheme: of the challenge; empty without one.
        error: of the challenge.
    """

    status: int
    scheme: str = ""
    error: str | None = None


def ask(*authorization: str, evidence: Evidence = LOOKED) -> Answer | NeedsEvidence:
    """Return the answer to a request with these `Authorization` lines."""
    raw = check_request(path="/thing", headers=[("authorization", line) for line in authorization], raw_headers=True)
    answer = pipeline.check(
        raw,
        proxy=Proxy("edge"),
        views=Views(keys=KEYS, profiles={"default": profile(issuer_rules(), issuer_rules(OTHER.issuer))}, epochs=KEYS),
        ruleset=RULESET,
        evidence=evidence,
        at=NOW,
        decision_id=DecisionId("d-" + "0" * 20),
    )
    if isinstance(answer, NeedsEvidence):
        return answer
    response = CheckResponse.FromString(answer.response)
    if response.status.code == 0:
        return Answer(200)
    denied = response.denied_response
    (challenge,) = [option.header.value for option in denied.headers if option.header.key == "www-authenticate"]
    scheme, parameters = parse_challenge(challenge)
    return Answer(denied.status.code, scheme, parameters.get("error"))


def bearing(token: str) -> Answer | NeedsEvidence:
    """Return the answer to a bearer token."""
    return ask(f"Bearer {token}")


INVALID = Answer(401, "Bearer", "invalid_token")
REFUSED = {INVALID, Answer(400, "Bearer", "invalid_request")}


def test_a_good_token_is_allowed() -> None:
    """The control."""
    assert bearing(MAKER.mint()) == Answer(200)


@pytest.mark.parametrize("lines", [(), ("Basic dTpw",), ("Digest x",)], ids=repr)
def test_without_a_credential_the_challenge_names_no_error(lines: tuple[str, ...]) -> None:
    """RFC 6750 section 3.1: nothing was wrong with what was not sent."""
    assert ask(*lines) == Answer(401, "Bearer", None)


@pytest.mark.parametrize(
    "lines", [("Bearer",), ("Bearer ",), ("Bearer a b",), ("Bearer a,b",), ("Bearer a", "Bearer a")]
)
def test_what_is_no_single_token_is_refused_and_not_our_failure(lines: tuple[str, ...]) -> None:
    """400 or 401, never 500."""
    answer = ask(*lines)
    assert isinstance(answer, Answer)
    assert answer.status in {400, 401}


@pytest.mark.parametrize(
    "changes",
    [
        {"iat": NOW - 100, "exp": NOW - LEEWAY - 1},
        {"nbf": NOW + LEEWAY + 1},
        {"iat": NOW + 86400, "exp": NOW + 86700},
        {"aud": "https://api.example/evil"},
        {"aud": ["x"]},
        {"aud": []},
        {"aud": None},
        {"aud": {}},
        {"iss": "https://nobody.example"},
    ],
    ids=repr,
)
def test_a_wrong_claim_is_an_invalid_token(changes: dict[str, Any]) -> None:
    """RFC 9068 section 4."""
    assert bearing(MAKER.mint(**changes)) == INVALID


def test_one_of_several_audiences_is_enough() -> None:
    """RFC 7519 section 4.1.3."""
    assert bearing(MAKER.mint(aud=["x", AUDIENCE])) == Answer(200)


@pytest.mark.parametrize("typ", ["JWT", None, "at+jwt ", "secevent+jwt", "application/jwt"])
def test_another_type_is_an_invalid_token(typ: str | None) -> None:
    """RFC 9068 section 4 step 1."""
    assert bearing(MAKER.mint(typ=typ)) == INVALID


@pytest.mark.parametrize("typ", ["AT+JWT", "application/at+jwt", "at+JWT"])
def test_the_type_in_another_case_is_the_same(typ: str) -> None:
    """It is a media type."""
    assert bearing(MAKER.mint(typ=typ)) == Answer(200)


@pytest.mark.parametrize("alg", ["none", "None", "HS256"])
def test_an_unsigned_token_and_one_signed_with_the_public_key_are_invalid(alg: str) -> None:
    """RFC 8725 sections 3.1 and 3.2."""
    header = to_base64url(json.dumps({"alg": alg, "kid": "k1", "typ": "at+jwt"}).encode())
    payload = to_base64url(json.dumps(MAKER.claims()).encode())
    pem = MAKER.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signature = hmac.new(pem, f"{header}.{payload}".encode(), hashlib.sha256).digest()
    assert bearing(f"{header}.{payload}.{to_base64url(signature)}") == INVALID
    assert bearing(f"{header}.{payload}.") in REFUSED


def test_a_token_with_anothers_key_name_asks_for_its_own_issuers_keys_only() -> None:
    """And is invalid once those have been looked at; no foreign URL is ever in the need."""
    token = OTHER.mint(iss=ISSUER)
    assert ask(f"Bearer {token}", evidence=Evidence()) == NeedsEvidence(KeysOf(ISSUER))
    assert bearing(token) == INVALID


def test_a_url_in_the_header_is_not_followed() -> None:
    """The header's `jku` changes nothing; what can be fetched are configured issuers' keys."""
    assert bearing(MAKER.mint(headers={"jku": "http://127.0.0.1:9/", "x5u": "http://127.0.0.1:9/"})) == Answer(200)
    forged = MAKER.forge(headers={"jku": "http://127.0.0.1:9/"})
    assert bearing(forged) == INVALID


@pytest.mark.parametrize(
    ("before", "after"), [('"sub"', '"sub":"root","sub"'), (f'"exp": {int(NOW) + 300}', '"exp": true')]
)
def test_claims_with_two_readings_are_invalid(before: str, after: str) -> None:
    """Duplicate members, and a truth value for a time."""
    payload = json.dumps(MAKER.claims()).replace(before, after)
    assert payload != json.dumps(MAKER.claims())
    assert bearing(MAKER.mint_raw(b'{"alg":"ES256","kid":"k1","typ":"at+jwt"}', payload.encode())) == INVALID
