"""Reading `WWW-Authenticate`."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from extauthz.client import Challenge, parse_challenges
from extauthz.client.challenge import MAX_CHARACTERS
from extauthz.model.reason import Reason
from extauthz.model.verdict import ObtainScopes, StepUp
from extauthz.response.challenge import find_challenge
from tests.simulators.decisions import TARGET, denial
from tests.unit.response.auth_params import parse_challenge

TOKENS = st.text("abcXYZ0189-_.!", min_size=1, max_size=8)
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=12)
CHALLENGES = st.lists(
    st.tuples(TOKENS, st.dictionaries(TOKENS.map(str.lower), VALUES, min_size=1, max_size=4)), min_size=1, max_size=3
)


def quoted(text: str) -> str:
    """Return a quoted string (RFC 9110 section 5.6.4)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@given(CHALLENGES, st.sampled_from([", ", ",", " , ", ",, "]), st.sampled_from(["=", " = ", "\t="]))
def test_what_is_written_is_read(written: list[tuple[str, dict[str, str]]], comma: str, equals: str) -> None:
    """Any challenges, with whatever white space and empty elements the grammar allows."""
    text = comma.join(
        f"{scheme} " + comma.join(f"{name}{equals}{quoted(value)}" for name, value in parameters.items())
        for scheme, parameters in written
    )
    assert parse_challenges(text) == tuple(Challenge(scheme.lower(), parameters) for scheme, parameters in written)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", ()),
        (" , ", ()),
        ("Bearer", (("bearer", {}),)),
        ("Negotiate, Bearer realm=x", (("negotiate", {}), ("bearer", {"realm": "x"}))),
        ("Negotiate YWJj==, DPoP algs=ES256", (("negotiate", {}), ("dpop", {"algs": "ES256"}))),
        ('Bearer scope="a b", max_age=300', (("bearer", {"scope": "a b", "max_age": "300"}),)),
        ('bEARER ERROR="x"', (("bearer", {"error": "x"}),)),
        ('Bearer realm="a, Basic realm=b", error=c', (("bearer", {"realm": "a, Basic realm=b", "error": "c"}),)),
        ('Bearer realm=""', (("bearer", {"realm": ""}),)),
    ],
)
def test_examples(value: str, expected: tuple[tuple[str, dict[str, str]], ...]) -> None:
    """Schemes without parameters, opaque ones, commas in quoted strings."""
    assert tuple((each.scheme, dict(each.parameters)) for each in parse_challenges(value)) == expected


@pytest.mark.parametrize(
    "value",
    [
        'Bearer error="a", error="b"',
        'Bearer error="a", ERROR="b"',
        'Bearer realm="open',
        'Bearer realm="a"b',
        "Bearer realm=a b",
        "Bearer =",
        '"Bearer" realm=a',
        "Bearer realm=é",
        'Bearer realm="a\r\nb"',
        "Bearer " + "a" * MAX_CHARACTERS,
    ],
)
def test_what_is_no_list_of_challenges_is_refused(value: str) -> None:
    """Repeated parameters, open quotes, rubbish between, too long."""
    with pytest.raises(ValueError, match=r"scheme|twice|long"):
        parse_challenges(value)


@given(st.text(max_size=200))
@example('Bearer realm="' + "\\" * 40)
def test_no_text_does_harm(value: str) -> None:
    """It is read, or refused as a `ValueError`."""
    try:
        challenges = parse_challenges(value)
    except ValueError:
        return
    assert all(each.scheme == each.scheme.lower() for each in challenges)


def test_long_rubbish_is_refused_quickly() -> None:
    """As much as is read at all; no pattern goes back and forth over it."""
    for text in ("a" * 16_000, "a, " * 5_000, 'a b="' + "\\" * 16_000, "=" * 16_000, " ," * 8_000, "a=" * 8_000):
        try:
            parse_challenges(text)
        except ValueError:
            continue


def test_our_own_challenges_are_read_as_they_are_meant() -> None:
    """Alike by this parser and by the strict one of the tests."""
    deny = denial(Reason.STEP_UP_REQUIRED, ObtainScopes(("a", "b")), StepUp(("phr", "mfa"), 60), detail="Sign in, now.")
    header = find_challenge(deny, TARGET)
    assert header is not None
    (challenge,) = parse_challenges(header)
    scheme, parameters = parse_challenge(header)
    assert (challenge.scheme, challenge.parameters) == (scheme.lower(), parameters)
    assert challenge.words("scope") == ("a", "b")
    assert challenge.error == "insufficient_user_authentication"
