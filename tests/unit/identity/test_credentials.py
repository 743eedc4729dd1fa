"""Exactly one credential, or a refusal."""

import pytest

from extauthz.errors import Refusal
from extauthz.identity.credentials import find_bearer
from extauthz.model.reason import REASONS, Reason
from tests.simulators.profiles import request

FORM = {"content-type": ("application/x-www-form-urlencoded; charset=utf-8",)}


@pytest.mark.parametrize("line", ["Bearer abc", "bearer abc", "BEARER abc", "Bearer   abc"])
def test_the_scheme_is_compared_without_regard_to_case(line: str) -> None:
    """RFC 9110 section 11.1; one or more spaces follow."""
    assert find_bearer(request(line)) == "abc"


def test_every_character_of_a_token_is_kept() -> None:
    """The alphabet of RFC 6750 section 2.1 reaches the verifier unchanged."""
    assert find_bearer(request("Bearer aZ09-._~+/==")) == "aZ09-._~+/=="


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ((), Reason.NO_CREDENTIALS),
        (("",), Reason.NO_CREDENTIALS),
        (("Basic dXNlcjpwYXNz",), Reason.NO_CREDENTIALS),
        (("DPoP abc",), Reason.NO_CREDENTIALS),
        (("Bearertoken",), Reason.NO_CREDENTIALS),
        (("Bearer\tabc",), Reason.NO_CREDENTIALS),
        ((" Bearer abc",), Reason.NO_CREDENTIALS),
        (("Bearer",), Reason.CREDENTIALS_MALFORMED),
        (("Bearer ",), Reason.CREDENTIALS_MALFORMED),
        (("Bearer a b",), Reason.CREDENTIALS_MALFORMED),
        (("Bearer abc ",), Reason.CREDENTIALS_MALFORMED),
        (("Bearer abc\n",), Reason.CREDENTIALS_MALFORMED),
        (("Bearer a=b",), Reason.CREDENTIALS_MALFORMED),
        (('Bearer "abc"',), Reason.CREDENTIALS_MALFORMED),
        (("Bearer ábc",), Reason.CREDENTIALS_MALFORMED),
        (("Bearer a,Bearer b",), Reason.CREDENTIALS_AMBIGUOUS),
        (("Bearer a, b",), Reason.CREDENTIALS_AMBIGUOUS),
        (("Basic x, Bearer a",), Reason.CREDENTIALS_AMBIGUOUS),
        (("Bearer a", "Bearer b"), Reason.CREDENTIALS_AMBIGUOUS),
        (("Bearer a", "Bearer a"), Reason.CREDENTIALS_AMBIGUOUS),
        (("Basic x", "Bearer a"), Reason.CREDENTIALS_AMBIGUOUS),
        (("Bearer a", ""), Reason.CREDENTIALS_AMBIGUOUS),
    ],
)
def test_anything_but_one_bearer_token_is_refused(lines: tuple[str, ...], reason: Reason) -> None:
    """None, another scheme, no token, two of them: each has its reason."""
    with pytest.raises(Refusal) as refusal:
        find_bearer(request(*lines))
    assert refusal.value.reason is reason


def test_no_credential_is_challenged_without_an_error() -> None:
    """RFC 6750 section 3.1: who sent nothing is told nothing but how to ask."""
    spec = REASONS[Reason.NO_CREDENTIALS]
    assert (spec.status, spec.challenge, spec.error) == (401, True, None)


@pytest.mark.parametrize("name", ["access_token", "Access_Token"])
def test_a_second_token_in_the_query_is_refused(name: str) -> None:
    """The upstream might believe that one instead."""
    with pytest.raises(Refusal) as refusal:
        find_bearer(request("Bearer abc", query=(("page", "2"), (name, "other"))))
    assert refusal.value.reason is Reason.CREDENTIALS_AMBIGUOUS


def test_a_token_in_the_query_alone_is_no_credential() -> None:
    """It is ignored, as OAuth 2.1 asks, so nobody gets in with it."""
    with pytest.raises(Refusal) as refusal:
        find_bearer(request(query=(("access_token", "abc"),)))
    assert refusal.value.reason is Reason.NO_CREDENTIALS


@pytest.mark.parametrize(
    "body",
    [
        b"access_token=x",
        b"a=b&access_token=x",
        b"a=b&access_token",
        b"access_token&a=b",
        b"a&%61ccess%5Ftoken=x",
        b"%61%63%63%65%73%73%5f%74%6F%6b%65%6E=x",
    ],
)
def test_a_second_token_in_a_form_is_refused(body: bytes) -> None:
    """However its name is encoded (RFC 6750 section 2.2)."""
    with pytest.raises(Refusal) as refusal:
        find_bearer(request("Bearer abc", headers=FORM, body=body))
    assert refusal.value.reason is Reason.CREDENTIALS_AMBIGUOUS


def test_the_content_type_is_compared_without_regard_to_case() -> None:
    """Media types are (RFC 9110 section 8.3.1)."""
    headers = {"content-type": ("Application/X-WWW-Form-URLencoded",)}
    with pytest.raises(Refusal):
        find_bearer(request("Bearer abc", headers=headers, body=b"access_token=x"))


@pytest.mark.parametrize("body", [b"", b"token=x", b"my_access_token=x", b"a=access_token", b"access_tokens=x"])
def test_other_form_fields_are_no_credential(body: bytes) -> None:
    """The negative control: only that one name counts."""
    assert find_bearer(request("Bearer abc", headers=FORM, body=body)) == "abc"


def test_a_body_of_another_type_is_not_searched() -> None:
    """`access_token=` within JSON or a file is content."""
    assert (
        find_bearer(request("Bearer abc", headers={"content-type": ("text/plain",)}, body=b"access_token=x")) == "abc"
    )
