"""A status list says what it says only when it is the one that was asked for; every doubt refuses the token."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extauthz.clock import Instant
from extauthz.errors import JoseError, Refusal
from extauthz.identity.bearer import VerifiedClaims
from extauthz.identity.rules import StatusRules
from extauthz.identity.status_list import (
    Signer,
    UnknownKeyError,
    inflate,
    look_up_status,
    read_status,
    verify_status_list,
)
from extauthz.model.reason import Reason
from extauthz.model.state import StateName
from extauthz.ports import Evidence, Fetched, NeedsEvidence, StatusList, StatusListOf
from tests.simulators.profiles import issuer_rules, sources
from tests.simulators.tokenhost import mint_list, pack
from tests.simulators.tokens import ISSUER, NOW, MemoryKeys, TokenMaker, to_base64url

URI = f"{ISSUER}/status/1"
MAKER = TokenMaker()
KEYS = MAKER.key_source()
SIGNER = Signer(issuer=ISSUER, algorithms=("ES256",), leeway=5.0, max_bytes=1000)
ONE_BIT = {"bits": 1, "lst": "eNrbuRgAAhcBXQ"}
TWO_BITS = {"bits": 2, "lst": "eNp70ggAAksBZg"}
RULES = StatusRules(uris=(f"{ISSUER}/status/",))


def known(raw: bytes, bits: int = 1) -> StatusList:
    """Return a list in memory."""
    return StatusList(bits=bits, statuses=raw, fetched_at=NOW, until=Instant(NOW + 60))


def read(
    body: Any = ONE_BIT, *, uri: str = URI, keys: MemoryKeys = KEYS, maker: TokenMaker = MAKER, **changes: Any
) -> Any:
    """Return what a list says that is fetched from `URI`."""
    return verify_status_list(mint_list(maker, uri, body, **changes).encode(), URI, SIGNER, keys, NOW)


@pytest.mark.parametrize(
    ("body", "statuses"),
    [
        (ONE_BIT, [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]),
        (TWO_BITS, [0, 1, 2, 3, 1, 0, 0, 2]),
    ],
)
def test_vectors(body: dict[str, Any], statuses: list[int]) -> None:
    """The draft's vector and one of ours, every index; the next one is not in the list."""
    found = read(body)
    lists = known(found.statuses, found.bits)
    assert [read_status(lists, index) for index in range(len(statuses))] == statuses
    with pytest.raises(Refusal) as refused:
        read_status(lists, len(statuses))
    assert refused.value.reason is Reason.CREDENTIALS_MALFORMED


@given(st.sampled_from([1, 2, 4, 8]), st.data())
def test_every_packed_status_is_read_back(bits: int, data: st.DataObject) -> None:
    """Whatever the width and the position."""
    statuses = data.draw(st.lists(st.integers(0, 2**bits - 1), min_size=1, max_size=40))
    found = read(pack(statuses, bits))
    assert [read_status(known(found.statuses, bits), index) for index in range(len(statuses))] == statuses


def test_times_and_life_of_a_list() -> None:
    """`exp` and `ttl` are carried along; a clock of the signer that is a little ahead is tolerated."""
    found = read(exp=NOW + 10, ttl=60)
    assert (found.expires_at, found.ttl) == (NOW + 10, 60.0)
    found = read(exp=None)
    assert (found.expires_at, found.ttl) == (None, None)
    assert read(exp=NOW + 0.1, iat=NOW + 5).bits == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"uri": f"{URI}/"}, "sub"),
        ({"uri": None}, "sub"),
        ({"typ": "JWT"}, "typ"),
        ({"typ": "at+jwt"}, "typ"),
        ({"typ": None}, "typ"),
        ({"maker": TokenMaker(alg="EdDSA"), "keys": TokenMaker(alg="EdDSA").key_source()}, "algorithm"),
        ({"maker": TokenMaker(issuer="https://other.example")}, "signature"),
        ({"iat": None}, "iat"),
        ({"iat": NOW + 6}, "iat"),
        ({"iat": True}, "iat"),
        ({"iat": "now"}, "iat"),
        ({"exp": NOW}, "expired"),
        ({"exp": "never"}, "exp"),
        ({"exp": 1e300}, "exp"),
        ({"ttl": 0}, "ttl"),
        ({"ttl": -1}, "ttl"),
        ({"ttl": True}, "ttl"),
        ({"body": None}, "status_list"),
        ({"body": []}, "status_list"),
        ({"body": {**ONE_BIT, "bits": 3}}, "bits"),
        ({"body": {**ONE_BIT, "bits": True}}, "bits"),
        ({"body": {**ONE_BIT, "bits": "1"}}, "bits"),
        ({"body": {"lst": "eNrbuRgAAhcBXQ"}}, "bits"),
        ({"body": {"bits": 1}}, "lst"),
        ({"body": {"bits": 1, "lst": 7}}, "lst"),
        ({"body": {"bits": 1, "lst": "eNrbuRgAAhcBX"}}, "length|spelling|zlib|whole"),
        ({"body": {"bits": 1, "lst": "eNrbuRgAAhcBXQ=="}}, "base64url"),
        ({"body": {"bits": 1, "lst": to_base64url(b"garbage")}}, "zlib"),
    ],
    ids=str,
)
def test_a_list_that_breaks_a_rule_says_nothing(changes: dict[str, Any], says: str) -> None:
    """One change each to a list that is good."""
    assert read().bits == 1
    arguments = {"body": ONE_BIT, **changes}
    with pytest.raises(JoseError, match=says):
        read(arguments.pop("body"), **arguments)


@pytest.mark.parametrize("raw", [b"", b"a.b", b"\xff.\xff.\xff", b"{}", b"<html>", b"a.b.c.d.e"])
def test_what_is_no_token_says_nothing(raw: bytes) -> None:
    """No exception but ours."""
    with pytest.raises(JoseError):
        verify_status_list(raw, URI, SIGNER, KEYS, NOW)


def test_an_unknown_key_is_told_apart() -> None:
    """A newer look at the signer's keys may mend that."""
    with pytest.raises(UnknownKeyError):
        read(maker=TokenMaker(kid="k2"))


def test_the_array_is_one_whole_stream_within_its_bound() -> None:
    """A bomb is left as soon as it is too long; a cut stream and bytes behind it are refused."""
    packed = zlib.compress(b"x" * 1000)
    assert inflate(packed, 1000) == b"x" * 1000
    bomb = zlib.compress(b"\0" * 100_000_000)
    assert len(bomb) < 200_000
    for bad, limit in ((packed, 999), (bomb, 1000), (packed[:-1], 1000), (packed[:5], 1000), (packed + b"x", 1000)):
        with pytest.raises(JoseError):
            inflate(bad, limit)


class Lists:
    """Lists in memory."""

    def __init__(self, **lists: StatusList) -> None:
        self.lists = lists
        self.asked: list[tuple[str, str]] = []

    def find_status_list(self, issuer: str, uri: str, at: Instant) -> StatusList | None:
        """Return a list by the end of its URI."""
        del at
        self.asked.append((issuer, uri))
        return self.lists.get(uri.rpartition("/")[2])


def verified(status: Any, rules: StatusRules | None = RULES) -> VerifiedClaims:
    """Return what a proven token says that names a status."""
    return VerifiedClaims(
        rules=issuer_rules(status=rules),
        subject="s",
        client="c",
        token_id="t",
        issued_at=NOW,
        expires_at=Instant(NOW + 300),
        accepted_until=Instant(NOW + 300),
        claims={"status": status} if status is not None else {},
    )


def reference(index: Any = 0, uri: Any = URI, **others: Any) -> dict[str, Any]:
    """Return the claim `status`."""
    return {"status_list": {"idx": index, "uri": uri}, **others}


def look(claims: VerifiedClaims, lists: Lists, evidence: Evidence | None = None) -> VerifiedClaims | NeedsEvidence:
    """Look the token's status up."""
    return look_up_status(claims, sources(KEYS, evidence or Evidence(), status_lists=lists), NOW)


def refusal(claims: VerifiedClaims, lists: Lists, evidence: Evidence | None = None) -> Reason:
    """Return why a token is refused."""
    with pytest.raises(Refusal) as refused:
        look(claims, lists, evidence)
    return refused.value.reason


def test_only_zero_is_valid() -> None:
    """Suspended and reserved values refuse as revoked ones do; a valid token is bounded to the list's life."""
    lists = Lists(**{"1": known(bytes([0b11_10_01_00]), bits=2)})
    found = look(verified(reference(0)), lists)
    assert isinstance(found, VerifiedClaims)
    assert found.accepted_until == NOW + 60
    for index in (1, 2, 3):
        assert refusal(verified(reference(index)), lists) is Reason.TOKEN_REVOKED
    assert refusal(verified(reference(4)), lists) is Reason.CREDENTIALS_MALFORMED
    assert set(lists.asked) == {(ISSUER, URI)}


def test_the_list_is_noted_before_it_is_looked_at() -> None:
    """So that a kept decision ends when the list changes."""
    found = sources(KEYS, status_lists=Lists(**{"1": known(b"\0")}))
    look_up_status(verified(reference(0)), found, NOW)
    assert found.ledger.names == (StateName("status_list", f"{ISSUER} {URI}"),)


@pytest.mark.parametrize(
    "status",
    [
        *("x", [], {}, {"status_list": []}, {"status_list": {}}, {"other": {}}),
        *(reference(index) for index in (-1, True, "0", 1.0, None)),
        *(reference(0, uri) for uri in (7, "", None, "a\nb")),
    ],
    ids=str,
)
def test_a_reference_that_is_none_refuses_the_token(status: Any) -> None:
    """No list is looked at."""
    lists = Lists(**{"1": known(b"\0")})
    assert refusal(verified(status), lists) is Reason.CREDENTIALS_MALFORMED
    assert lists.asked == []


@pytest.mark.parametrize(
    "uri",
    [
        "http://169.254.169.254/",
        "https://evil.example/status/1",
        f"{ISSUER}/status",
        f"{ISSUER}.evil.example/status/1",
        f"{ISSUER}@evil.example/status/1",
        URI.replace("https", "http"),
        URI.upper(),
    ],
)
def test_a_list_elsewhere_is_not_fetched(uri: str) -> None:
    """Tokens do not choose whom we call."""
    lists = Lists()
    assert refusal(verified(reference(0, uri)), lists) is Reason.EVIDENCE_UNAVAILABLE
    assert lists.asked == []


def test_an_exact_uri_allows_itself_only() -> None:
    """It ends with no slash, so nothing longer."""
    exact = replace(RULES, uris=(URI,))
    assert isinstance(look(verified(reference(0), exact), Lists()), NeedsEvidence)
    assert refusal(verified(reference(0, f"{URI}0"), exact), Lists()) is Reason.EVIDENCE_UNAVAILABLE


def test_a_list_that_is_not_there_is_needed_once() -> None:
    """However its fetch went, without it nothing can be said."""
    need = StatusListOf(ISSUER, URI)
    assert look(verified(reference(0)), Lists()) == NeedsEvidence(need)
    for outcome in Fetched:
        evidence = Evidence({need: outcome})
        assert refusal(verified(reference(0)), Lists(), evidence) is Reason.EVIDENCE_UNAVAILABLE


def test_what_the_operator_says_about_status() -> None:
    """Required, ignored, or nothing: a token that names a list nobody looks at is not accepted by oversight."""
    without = verified(None)
    assert look(without, Lists()) == without
    assert refusal(verified(None, replace(RULES, required=True)), Lists()) is Reason.CREDENTIALS_MALFORMED
    assert refusal(verified(reference(0), None), Lists()) is Reason.EVIDENCE_UNAVAILABLE
    ignoring = verified(reference(0), StatusRules(ignored=True))
    assert look(ignoring, Lists()) == ignoring
