"""Security event tokens: what is accepted, and the code of everything that is not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.errors import SignalError
from extauthz.jose.keyset import parse_keyset
from extauthz.limits import MAX_EVENT_ID_CHARACTERS, MAX_EVENT_TOKEN_BYTES, MAX_NUMERIC_DATE
from extauthz.ports import KeysOf, NeedsEvidence
from extauthz.signals.event_token import EventToken, verify_event_token
from tests.simulators.events import ALICE, REVOKED, TRANSMITTER, EventMaker, stream_rules
from tests.simulators.tokens import NOW, MemoryKeys, TokenMaker, algorithm_of, private_key, to_base64url

if TYPE_CHECKING:
    from extauthz.signals.rules import StreamRules

MAKER = EventMaker()
RULES = stream_rules()


def verify(compact: str, rules: StreamRules = RULES, keys: MemoryKeys | None = None, at: float = NOW) -> EventToken:
    """Return the event that a compact token is."""
    found = verify_event_token(compact, rules, keys or MAKER.key_source(), type(NOW)(at))
    assert isinstance(found, EventToken)
    return found


def code_of(compact: str, **others: Any) -> str:
    """Return the code that a token is refused with."""
    with pytest.raises(SignalError) as caught:
        verify(compact, **others)
    assert caught.value.description
    return caught.value.err


def test_a_valid_event_is_read() -> None:
    """The control: all that later steps use is in it."""
    token = verify(MAKER.mint(txn="t-9", unknown={"member": 1}))
    assert (token.jti, token.issued_at, token.transaction, token.event) == ("e-1", NOW, "t-9", REVOKED)
    assert token.subject == ALICE
    assert token.payload == {"event_timestamp": NOW}


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
@pytest.mark.parametrize("typ", ["secevent+jwt", "SecEvent+JWT", "application/secevent+jwt"])
def test_the_usual_algorithms_and_spellings(alg: str, typ: str) -> None:
    """RS256 is what every transmitter can; media types have no case."""
    maker = EventMaker(alg=alg)
    assert verify(maker.mint(typ=typ), keys=maker.key_source()).jti == "e-1"


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", "logout+jwt", "secevent", None])
def test_another_type_is_an_invalid_request(typ: str | None) -> None:
    """No other token of the transmitter passes for an event."""
    assert code_of(MAKER.mint(typ=typ)) == "invalid_request"


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": int(NOW) + 300},
        {"exp": None},
        {"sub": "alice"},
        {"sub_id": None},
        {"sub_id": "alice"},
        {"sub_id": [ALICE]},
        {"jti": None},
        {"jti": ""},
        {"jti": 7},
        {"jti": "x" * (MAX_EVENT_ID_CHARACTERS + 1)},
        {"iat": None},
        {"iat": "now"},
        {"iat": True},
        {"iat": -1},
        {"iat": MAX_NUMERIC_DATE + 1},
        {"iat": NOW + 6},
        {"events": None},
        {"events": []},
        {"events": {}},
        {"events": {REVOKED: {}, "https://x.example/other": {}}},
        {"events": {REVOKED: []}},
        {"events": {REVOKED: None}},
        {"events": {REVOKED: {"subject": {**ALICE, "sub": "bob"}}}},
        {"events": {REVOKED: {"subject": {"subject_type": "iss-sub", "iss": ALICE["iss"], "sub": "bob"}}}},
        {"events": {REVOKED: {"subject": "alice"}}},
    ],
    ids=str,
)
def test_what_is_not_one_event_about_one_subject_is_an_invalid_request(changes: dict[str, Any]) -> None:
    """Claims that are forbidden, missing or no values of their kind; an `exp` that is null is there as well."""
    claims = {**MAKER.claims(), **changes}
    left_out = {"exp"} if "exp" in changes else set()
    claims = {name: value for name, value in claims.items() if value is not None or name in left_out}
    header = {"alg": MAKER.alg, "kid": MAKER.kid, "typ": "secevent+jwt"}
    assert code_of(MAKER.mint_raw(json.dumps(header).encode(), json.dumps(claims).encode())) == "invalid_request"


@pytest.mark.parametrize("older", [ALICE, {"subject_type": "iss-sub", "iss": ALICE["iss"], "sub": "alice"}], ids=str)
def test_an_older_subject_that_says_the_same_is_accepted(older: dict[str, Any]) -> None:
    """Older transmitters repeat the subject inside of the event."""
    assert verify(MAKER.mint(events={REVOKED: {"subject": older}})).subject == ALICE


@pytest.mark.parametrize("issuer", ["https://transmitter.example/", "https://x.example", "", 7, None], ids=str)
def test_another_issuer_is_invalid_issuer(issuer: Any) -> None:
    """Whoever has signed it: with the stream's own key, or with one that nobody knows."""
    assert code_of(MAKER.mint(iss=issuer)) == "invalid_issuer"
    assert code_of(EventMaker(issuer="https://x.example").mint()) == "invalid_issuer"


@pytest.mark.parametrize("audience", ["https://x.example", "", None, 7, [], ["https://x.example"], {"a": 1}], ids=str)
def test_another_audience_is_invalid_audience(audience: Any) -> None:
    """An event for another receiver is not ours."""
    assert code_of(MAKER.mint(aud=audience)) == "invalid_audience"


def test_our_audience_among_others_is_enough() -> None:
    """A list is one of texts."""
    assert verify(MAKER.mint(aud=["https://x.example", RULES.audience])).jti == "e-1"
    assert code_of(MAKER.mint(aud=[RULES.audience, 7])) == "invalid_audience"


def test_an_unknown_key_is_looked_for() -> None:
    """The need is for the keys of the transmitter, and for nobody's else."""
    found = verify_event_token(MAKER.mint(), RULES, MemoryKeys(), NOW)
    assert found == NeedsEvidence(KeysOf(TRANSMITTER))


def test_a_wrong_signature_is_an_invalid_key() -> None:
    """By a stolen name, and over other bytes."""
    assert code_of(MAKER.forge(typ="secevent+jwt")) == "invalid_key"
    header, payload, _ = MAKER.mint().split(".")
    assert code_of(f"{header}.{payload}.{to_base64url(b'x' * 64)}") == "invalid_key"


@pytest.mark.parametrize("signature", ["", to_base64url(b"x")])
@pytest.mark.parametrize("algorithm", ["none", "None"])
def test_an_unsigned_event_is_an_invalid_key(algorithm: str, signature: str) -> None:
    """`alg` none, whatever stands in the place of a signature."""
    assert code_of(MAKER.unsigned(algorithm, signature)) == "invalid_key"


@pytest.mark.parametrize("algorithm", ["HS256", "ES384", "RS512", "PS256"])
def test_an_algorithm_that_the_stream_does_not_use_is_an_invalid_key(algorithm: str) -> None:
    """The header does not choose."""
    assert code_of(MAKER.mint(headers={"alg": algorithm})) == "invalid_key"


def test_a_short_rsa_key_never_counts() -> None:
    """A key of 1024 bits is no key: none is left of such a set (RS256 with at least 2048 bits)."""
    short: Any = algorithm_of("RS256")
    jwk = json.loads(short.to_jwk(private_key("RS256", "short", 1024).public_key()))
    long = EventMaker(alg="RS256").jwk()
    with pytest.raises(Exception, match="no usable key"):
        parse_keyset(json.dumps({"keys": [{**jwk, "kid": "k1", "use": "sig"}]}).encode(), ("RS256",))
    assert parse_keyset(json.dumps({"keys": [long]}).encode(), ("RS256",)).names == ("k1",)


@pytest.mark.parametrize(
    "text",
    ["", "x", "a.b", "a.b.c", "a.b.c.d.e", "{}", "x" * (MAX_EVENT_TOKEN_BYTES + 1), "é.é.é", MAKER.mint() + " "],
    ids=lambda text: text[:12],
)
def test_what_is_no_token_is_an_invalid_request(text: str) -> None:
    """Of any length and in any alphabet."""
    assert code_of(text) == "invalid_request"


def test_an_access_token_of_the_transmitter_is_no_event() -> None:
    """The type keeps them apart, and so does every other rule."""
    maker = TokenMaker(issuer=TRANSMITTER, audience=RULES.audience)
    assert code_of(maker.mint(), keys=maker.key_source()) == "invalid_request"


def test_a_claim_that_stands_twice_is_an_invalid_request() -> None:
    """There is one reading of an event."""
    header = json.dumps({"alg": MAKER.alg, "kid": MAKER.kid, "typ": "secevent+jwt"}).encode()
    payload = json.dumps(MAKER.claims()).encode()
    assert verify(MAKER.mint_raw(header, payload)).jti == "e-1"
    assert code_of(MAKER.mint_raw(header, payload[:-1] + b', "iss": "https://x.example"}')) == "invalid_request"


def test_clocks_may_differ_by_the_leeway() -> None:
    """An event from the near future is one of a clock that is ahead."""
    assert verify(MAKER.mint(iat=NOW + 5)).issued_at == NOW + 5
    assert verify(MAKER.mint(), at=NOW - 5).issued_at == NOW
    assert code_of(MAKER.mint(), at=NOW - 6) == "invalid_request"
