"""A compact JWS is taken apart strictly, and believed in nothing."""

import json
from typing import Any

import pytest

from extauthz.errors import JoseError
from extauthz.jose.compact import _load_header, parse_compact
from extauthz.limits import MAX_JOSE_HEADER_BYTES, MAX_KID_BYTES, MAX_TOKEN_BYTES
from tests.simulators.tokens import TokenMaker, to_base64url

MAKER = TokenMaker()


def with_header(header: bytes | dict[str, Any]) -> str:
    """Return a rightly signed JWS with this header."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return MAKER.mint_raw(raw, b"{}")


def test_a_well_formed_token_is_taken_apart() -> None:
    """Header, payload, signing input and signature are what the maker put in."""
    token = MAKER.mint_raw(b'{"alg":"ES256","kid":"k1","typ":"at+jwt","x":1}', b"payload")
    jws = parse_compact(token)
    assert (jws.algorithm, jws.kid, jws.typ, jws.header["x"]) == ("ES256", "k1", "at+jwt", 1)
    assert jws.payload == b"payload"
    assert jws.signing_input.decode() == token.rpartition(".")[0]
    assert to_base64url(jws.signature) == token.rpartition(".")[2]


def test_kid_and_typ_may_be_absent() -> None:
    """They are read as None, not as empty text."""
    jws = parse_compact(with_header({"alg": "ES256"}))
    assert (jws.kid, jws.typ) == (None, None)


def test_the_longest_kid_is_read() -> None:
    """The bound itself is within bounds."""
    assert parse_compact(with_header({"alg": "ES256", "kid": "k" * MAX_KID_BYTES})).kid == "k" * MAX_KID_BYTES


def test_key_locations_in_the_header_are_carried_but_mean_nothing() -> None:
    """`jku`, `x5u`, `jwk` and `x5c` do not refuse a token, since nothing ever looks at them."""
    header = {"alg": "ES256", "jku": "http://127.0.0.1:9/", "x5u": "http://127.0.0.1:9/", "jwk": {}, "x5c": []}
    assert parse_compact(with_header(header)).kid is None


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (b"", "three"),
        (b"[]", "strict JSON"),
        (b"{", "strict JSON"),
        (b'{"alg":"ES256","alg":"none"}', "strict JSON"),
        (b'{"alg":"ES256","a":' + b"[" * 64 + b"]" * 64 + b"}", "strict JSON"),
        ({"alg": "ES256", "pad": "x" * MAX_JOSE_HEADER_BYTES}, "strict JSON"),
        ({}, "no `alg`"),
        ({"alg": None}, "`alg` is not a string"),
        ({"alg": ["ES256"]}, "`alg` is not a string"),
        ({"alg": "ES256", "kid": 1}, "`kid` is not a string"),
        ({"alg": "ES256", "kid": None}, "`kid` is not a string"),
        ({"alg": "ES256", "kid": ""}, "`kid` is empty or too long"),
        ({"alg": "ES256", "kid": "k" * (MAX_KID_BYTES + 1)}, "`kid` is empty or too long"),
        ({"alg": "ES256", "typ": {}}, "`typ` is not a string"),
        ({"alg": "ES256", "crit": ["b64"], "b64": True}, "`crit`"),
        ({"alg": "ES256", "crit": []}, "`crit`"),
        ({"alg": "ES256", "crit": ["exp"]}, "`crit`"),
        ({"alg": "ES256", "b64": False}, "`b64`"),
        ({"alg": "ES256", "enc": "A256GCM"}, "`enc`"),
        ({"alg": "ES256", "zip": "DEF"}, "`zip`"),
    ],
)
def test_a_header_outside_the_rules_is_refused(header: bytes | dict[str, Any], says: str) -> None:
    """The message names the rule."""
    with pytest.raises(JoseError, match=says):
        parse_compact(with_header(header))


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "a.b",
        "a.b.",
        "a..c",
        ".b.c",
        "a.b.c.d",
        "a.b.c.d.e",
        '{"payload":"","signatures":[]}',
        '{"protected":"e30","payload":"e30","signature":"AA"}',
        "e30=.e30.AA",
        "e30.e30.AA\n",
        " e30.e30.AA",
        "e30.e30.AB",
        "e30.e31.AA",
        "é30.e30.AA",
    ],
    ids=repr,
)
def test_a_text_that_is_not_three_canonical_parts_is_refused(text: str) -> None:
    """JSON serialisations, JWE, unsigned tokens, padding and set trailing bits are all no token."""
    with pytest.raises(JoseError):
        parse_compact(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("e30e3.e30!.AA", "length"),
        ("e31.e30!.AA", "canonical"),
        ("e30.e30!.AB", "base64url"),
        ("e30.e30.AB", "canonical"),
    ],
)
def test_the_first_misspelt_part_is_told_of(text: str, says: str) -> None:
    """Whatever is wrong with those after it, and with what the header says."""
    with pytest.raises(JoseError, match=says):
        parse_compact(text)


def test_a_token_of_the_longest_length_is_read_and_one_more_byte_is_not() -> None:
    """The bound is on the text, before anything is decoded."""
    head = to_base64url(b'{"alg":"ES256"}') + "."
    body = "A" * ((MAX_TOKEN_BYTES - len(head) - 3) // 4 * 4)
    fitting = f"{head}{body}.{'A' * (MAX_TOKEN_BYTES - len(head) - len(body) - 1)}"
    assert len(fitting) == MAX_TOKEN_BYTES
    assert len(parse_compact(fitting).signature) > 0
    with pytest.raises(JoseError, match="too long"):
        parse_compact(fitting + "A")


def test_remembered_headers_are_not_confused_and_cannot_be_changed() -> None:
    """Each token has what its own header says, the first time and later; no reader changes it for the next."""
    tokens = {str(number): with_header({"alg": "ES256", "kid": str(number)}) for number in range(3)}
    for _ in range(2):
        for kid, token in tokens.items():
            jws = parse_compact(token)
            assert (jws.kid, jws.header) == (kid, {"alg": "ES256", "kid": kid})
            with pytest.raises(TypeError):
                jws.header["kid"] = "another"  # type: ignore[index]  # what is tried


def test_what_is_remembered_of_headers_is_bounded() -> None:
    """Whatever number of headers clients make up, and however long they are; one that is refused takes no place."""
    _load_header.cache_clear()
    for number in range(400):
        parse_compact(with_header({"alg": "ES256", "kid": str(number)}))
    assert _load_header.cache_info().currsize == 256
    _load_header.cache_clear()
    for refused in ({"alg": "ES256", "pad": "x" * MAX_JOSE_HEADER_BYTES}, {"alg": 1}, {"alg": "ES256", "crit": []}):
        for _ in range(2):
            with pytest.raises(JoseError):
                parse_compact(with_header(refused))
    assert _load_header.cache_info().currsize == 0


def test_headers_with_a_key_of_the_client_are_not_remembered() -> None:
    """Issuers' headers are few and remembered; clients' are many, and would drive them out."""

    def looked_up() -> int:
        return _load_header.cache_info().hits + _load_header.cache_info().misses

    token, before = with_header({"alg": "ES256", "jwk": MAKER.jwk()}), looked_up()
    assert parse_compact(token, remember=False).header["jwk"] == MAKER.jwk()
    assert looked_up() == before
    assert parse_compact(token).header["jwk"] == MAKER.jwk()
    assert looked_up() == before + 1
