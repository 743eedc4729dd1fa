"""The attack table of RFC 8725: what has broken other verifiers, line by line, on the whole way to an identity.

Each token is rightly signed wherever the attack allows it, so that only the rule under test stands in its way; the
first test is the control that shows what such a token gives without the attack.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from extauthz.errors import JoseError, Refusal
from extauthz.jose.keyset import parse_keyset
from extauthz.model.identity import Identity
from extauthz.model.reason import REASONS, Reason
from extauthz.ports import Evidence, Fetched, KeysOf, NeedsEvidence
from tests.simulators.profiles import issuer_rules, profile, prove, request
from tests.simulators.tokens import AUDIENCE, ISSUER, NOW, TokenMaker, to_base64url

MAKER = TokenMaker()
RSA_MAKER = TokenMaker(alg="RS256", kid="rsa")
ATTACKER = TokenMaker(kid="attacker")
KEYS = MAKER.key_source(RSA_MAKER)
LOOKED_AGAIN = Evidence({KeysOf(ISSUER): Fetched.DONE})


def outcome(authorization: str, evidence: Evidence = LOOKED_AGAIN) -> Identity | NeedsEvidence | Reason:
    """Return what a request with this header ends in."""
    try:
        return prove(request(authorization), profile(), KEYS, evidence)
    except Refusal as refusal:
        return refusal.reason


def sent(token: str) -> Identity | NeedsEvidence | Reason:
    """Return what a bearer token ends in."""
    return outcome(f"Bearer {token}")


def unsigned(header: dict[str, Any], signature: bytes) -> str:
    """Return a token with a signature of the attacker's making."""
    parts = [json.dumps(header).encode(), json.dumps(MAKER.claims()).encode(), signature]
    return ".".join(to_base64url(part) for part in parts)


def hmac_with_public_key(header: dict[str, Any], secret: bytes) -> str:
    """Return a token whose HMAC secret is a public key that everybody can fetch."""
    signing_input = unsigned(header, b"").rstrip(".")
    return f"{signing_input}.{to_base64url(hmac.new(secret, signing_input.encode(), hashlib.sha256).digest())}"


def test_without_an_attack_the_tokens_are_good() -> None:
    """The control: both makers' tokens prove a caller."""
    assert isinstance(sent(MAKER.mint()), Identity)
    assert isinstance(sent(RSA_MAKER.mint()), Identity)


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "HS256", "HS512", "es256", "ES256 ", "", "ES512"])
def test_another_algorithm_is_refused(alg: str) -> None:
    """With an empty, a made-up and a right signature."""
    header = {"alg": alg, "kid": "k1", "typ": "at+jwt"}
    assert sent(unsigned(header, b"")) is Reason.CREDENTIALS_MALFORMED
    assert sent(unsigned(header, b"x")) is Reason.SIGNATURE_INVALID
    assert sent(MAKER.mint(headers={"alg": alg})) is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize("maker", [MAKER, RSA_MAKER], ids=["EC", "RSA"])
@pytest.mark.parametrize("alg", ["HS256", "RS256", "ES256"])
def test_a_public_key_is_no_secret(maker: TokenMaker, alg: str) -> None:
    """Key confusion: HMAC over the PEM, the DER and the JWK of the issuer's key."""
    public = maker.private.public_key()
    secrets = [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(maker.jwk()).encode(),
    ]
    for secret in secrets:
        token = hmac_with_public_key({"alg": alg, "kid": maker.kid, "typ": "at+jwt"}, secret)
        assert sent(token) is Reason.SIGNATURE_INVALID


def test_a_key_serves_only_its_own_algorithm() -> None:
    """An RS256 key verifies no PS256 signature, though both are RSA and both are accepted of this issuer."""
    same_key = TokenMaker(alg="PS256", kid="rsa")
    assert same_key.private is RSA_MAKER.private
    assert sent(same_key.mint()) is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize(
    "kid",
    ["../../dev/null", "' OR 1=1 --", "http://127.0.0.1:9/keys", "k1\x00", "K1", " k1", "k1 ", "attacker", "k1/../k1"],
)
def test_kid_is_a_name_in_memory_and_nothing_else(kid: str) -> None:
    """Paths, queries and URLs name no key; the token asks for one newer look and is refused after it."""
    token = MAKER.mint(headers={"kid": kid})
    assert outcome(f"Bearer {token}", Evidence()) == NeedsEvidence(KeysOf(ISSUER))
    assert sent(token) is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize("kid", ["", "k" * 1000, 1, ["k1"], {"k1": 1}, True], ids=lambda kid: repr(kid)[:9])
def test_a_kid_that_is_no_short_text_is_malformed(kid: Any) -> None:
    """It causes no look at anything."""
    assert outcome(f"Bearer {MAKER.mint(headers={'kid': kid})}", Evidence()) is Reason.CREDENTIALS_MALFORMED


def test_keys_in_the_header_are_not_believed() -> None:
    """`jwk`, `jku`, `x5u`, `x5c`: the attacker's own key, delivered with the token, verifies nothing."""
    headers: dict[str, Any] = {
        "kid": "k1",
        "jwk": ATTACKER.jwk(),
        "jku": "http://127.0.0.1:9/",
        "x5u": "http://127.0.0.1:9/",
        "x5c": [base64.b64encode(b"certificate").decode()],
    }
    assert sent(ATTACKER.mint(headers=headers)) is Reason.SIGNATURE_INVALID
    assert isinstance(sent(MAKER.mint(headers=headers)), Identity)


@pytest.mark.parametrize("members", [{"crit": ["exp"]}, {"crit": []}, {"crit": ["b64"], "b64": False}, {"b64": False}])
def test_extensions_are_refused(members: dict[str, Any]) -> None:
    """We implement none, so none can be critical."""
    assert sent(MAKER.mint(headers=members)) is Reason.CREDENTIALS_MALFORMED


@pytest.mark.parametrize(
    "typ",
    [
        *(None, "", "JWT", "jwt", "at+jwt ", " at+jwt", "at+jwt;v=1", "application/jwt", "text/at+jwt"),
        *("secevent+jwt", "statuslist+jwt", "dpop+jwt", "txntoken+jwt", "wit+jwt", "oauth-id-jag+jwt"),
    ],
)
def test_other_kinds_of_token_are_refused(typ: str | None) -> None:
    """An ID token, a security event or a status list of the same issuer is no access token."""
    assert sent(MAKER.mint(typ=typ)) is Reason.TOKEN_TYPE_WRONG


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "at+JWT", "application/at+jwt", "Application/AT+JWT"])
def test_the_type_is_compared_without_regard_to_case(typ: str) -> None:
    """Media types are (RFC 9470 itself writes `at+JWT`)."""
    assert isinstance(sent(MAKER.mint(typ=typ)), Identity)


@pytest.mark.parametrize(
    "aud", [f"{AUDIENCE}/evil", f"x{AUDIENCE}", AUDIENCE[:-1], "", ["x"], [], [""], None, {}, [[AUDIENCE]], True]
)
def test_other_audiences_are_refused(aud: Any) -> None:
    """Substrings, empty lists, wrong shapes and absence: none of them names us."""
    answer = sent(MAKER.mint(aud=aud))
    assert answer in {Reason.AUDIENCE_MISMATCH, Reason.CREDENTIALS_MALFORMED}
    assert REASONS[Reason(answer)].status == 401


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"sub"', '"sub":"root","sub"'),
        ('"exp"', '"exp":9999999999,"exp"'),
        ('"aud"', '"aud":"x","aud"'),
        ('"iss"', '"\\u0069ss":"x","iss"'),
        ('"tenant": "acme"', '"tenant":"acme","act":{"sub":"a","sub":"b"}'),
        (f'"exp": {int(NOW) + 300}', '"exp": NaN'),
        (f'"exp": {int(NOW) + 300}', '"exp": Infinity'),
        (f'"exp": {int(NOW) + 300}', '"exp": 1e999'),
        (f'"exp": {int(NOW) + 300}', '"exp": ' + "9" * 4000),
        (f'"exp": {int(NOW) + 300}', '"exp": 1e300'),
        (f'"exp": {int(NOW) + 300}', '"exp": true'),
        (f'"exp": {int(NOW) + 300}', f'"exp": "{int(NOW) + 300}"'),
        (f'"exp": {int(NOW) + 300}', '"exp": null'),
        (f'"iat": {int(NOW)}', '"iat": false'),
        ('"sub": "deployer"', '"sub": "\\ud800"'),
        ('"sub": "deployer"', '"sub": "\\u0000"'),
    ],
)
def test_claims_with_two_readings_or_odd_numbers_are_malformed(before: str, after: str) -> None:
    """Rightly signed: an issuer that can be talked into this is not believed either."""
    payload = json.dumps(MAKER.claims())
    assert before in payload
    token = MAKER.mint_raw(b'{"alg":"ES256","kid":"k1","typ":"at+jwt"}', payload.replace(before, after).encode())
    assert sent(token) is Reason.CREDENTIALS_MALFORMED


def test_other_serialisations_are_no_token() -> None:
    """JSON serialisations, encrypted tokens and anything round the token end before any cryptography."""
    header, payload, signature = MAKER.mint().split(".")
    flattened = json.dumps({"protected": header, "payload": payload, "signature": signature})
    for text in (
        flattened,
        flattened.replace(" ", ""),
        f"{header}.{payload}.{signature}.{signature}.{signature}",
        f"{header}.{payload}.",
        f"{header}.{payload}",
        f"{header}.{payload}.{signature}=",
        f"{header}.{payload}.{signature}.",
        f"{header}%2E{payload}%2E{signature}",
        f'"{header}.{payload}.{signature}"',
        "A" * 20_000,
    ):
        assert sent(text) in {Reason.CREDENTIALS_MALFORMED, Reason.CREDENTIALS_AMBIGUOUS}


def test_a_second_spelling_of_a_good_token_is_no_token() -> None:
    """Set trailing bits give the same signature bytes to lenient decoders; here the text is refused."""
    token = MAKER.mint()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = token[:-1] + alphabet[alphabet.index(token[-1]) + 1]
    assert base64.urlsafe_b64decode(twin.rpartition(".")[2] + "==") == base64.urlsafe_b64decode(
        token.rpartition(".")[2] + "=="
    )
    assert isinstance(sent(token), Identity)
    assert sent(twin) is Reason.CREDENTIALS_MALFORMED


@pytest.mark.parametrize("part", ["header", "payload", "signature", "kid"])
def test_oversized_parts_are_refused(part: str) -> None:
    """Before any cryptography: each alone makes the token, the header or the name too long."""
    if part == "payload":
        token = MAKER.mint(padding="x" * 20_000)
    elif part == "signature":
        token = MAKER.mint() + "A" * 20_000
    else:
        member = "kid" if part == "kid" else "padding"
        token = MAKER.mint(headers={member: "x" * 3000})
    assert sent(token) is Reason.CREDENTIALS_MALFORMED


def test_deeply_nested_claims_are_refused() -> None:
    """They exist to exhaust parsers."""
    payload = json.dumps(MAKER.claims())[:-1] + ',"x":' + "[" * 1000 + "]" * 1000 + "}"
    token = MAKER.mint_raw(b'{"alg":"ES256","kid":"k1","typ":"at+jwt"}', payload.encode())
    assert sent(token) is Reason.CREDENTIALS_MALFORMED


@pytest.mark.parametrize("member", ["d", "k", "p", "dq"])
def test_a_key_that_was_published_with_its_private_half_verifies_nothing(member: str) -> None:
    """Everybody could sign with it; the good key beside it still works."""
    leaked = TokenMaker(kid="leaked")
    raw = json.dumps({"keys": [leaked.jwk(**{member: "AAAA"}), MAKER.jwk()]}).encode()
    keys = parse_keyset(raw, ("ES256",))
    assert keys.find("leaked", "ES256") is None
    assert keys.find("k1", "ES256") is not None


def test_a_shared_secret_in_a_key_set_is_no_key() -> None:
    """Whatever algorithm it claims to be for."""
    secrets = [{"kty": "oct", "kid": f"s{n}", "k": "c2VjcmV0", "alg": alg} for n, alg in enumerate(("HS256", "ES256"))]
    keys = parse_keyset(json.dumps({"keys": [*secrets, MAKER.jwk()]}).encode(), ("ES256",))
    assert keys.names == ("k1",)


def test_eddsa_means_ed25519_and_nothing_else() -> None:
    """The name covers several curves (RFC 9864): keys on others are none; each name only where listed."""
    for curve in ("Ed448", "X25519", "P-256", None):
        jwk = TokenMaker(alg="EdDSA", kid="ed").jwk(crv=curve, alg=None)
        with pytest.raises(JoseError):
            parse_keyset(json.dumps({"keys": [jwk]}).encode(), ("EdDSA", "Ed25519"))
    both = {name: TokenMaker(alg=name, kid="ed") for name in ("EdDSA", "Ed25519")}
    for name, maker in both.items():
        believed = profile(issuer_rules(algorithms=(name,)))
        assert isinstance(prove(request(f"Bearer {maker.mint()}"), believed, maker.key_source()), Identity)
        for other in both.values():
            if other is not maker:
                with pytest.raises(Refusal):
                    prove(request(f"Bearer {other.mint()}"), believed, maker.key_source(other))


def test_a_token_for_one_issuer_is_not_verified_with_anothers_keys() -> None:
    """Even where the other is believed too and has a key of the same name."""
    other = TokenMaker(issuer="https://other.example")
    keys = MAKER.key_source(other)
    believed = profile(issuer_rules(), issuer_rules(other.issuer))
    with pytest.raises(Refusal) as refusal:
        prove(request(f"Bearer {other.mint(iss=ISSUER)}"), believed, keys, LOOKED_AGAIN)
    assert refusal.value.reason is Reason.SIGNATURE_INVALID


def test_every_refusal_of_a_token_is_answered_with_401_or_400() -> None:
    """Standards ask for `invalid_token` or `invalid_request`; none of these is our own failure."""
    tokens = [MAKER.forge(), MAKER.mint(typ="JWT"), MAKER.mint(exp=1), MAKER.mint(aud="x"), MAKER.mint(iss="x"), "x"]
    for token in tokens:
        answer = sent(token)
        assert isinstance(answer, Reason)
        assert REASONS[answer].status in {400, 401}
        assert REASONS[answer].error in {"invalid_token", "invalid_request"}
