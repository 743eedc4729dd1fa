"""Base64url has one spelling for each byte string."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extauthz.errors import JoseError
from extauthz.jose.base64url import from_base64url
from tests.simulators.tokens import to_base64url


@given(st.binary(max_size=64))
def test_every_byte_string_survives_the_round_trip(raw: bytes) -> None:
    """What was spelled canonically is read back unchanged."""
    assert from_base64url(to_base64url(raw)) == raw


@pytest.mark.parametrize(
    "text",
    ["AA==", "A", "AAAAA", "AB", "AAF", "A+A", "A/A", "AA\n", " AA", "\uff21\uff21", "A=", "A.A"],
    ids=repr,
)
def test_a_second_spelling_is_refused(text: str) -> None:
    """Padding, set trailing bits, impossible lengths, line ends and foreign alphabets are refused."""
    with pytest.raises(JoseError):
        from_base64url(text)


@given(st.text(max_size=12))
def test_an_accepted_text_is_the_only_spelling_of_its_bytes(text: str) -> None:
    """Whatever is accepted is exactly what encoding the bytes gives."""
    try:
        raw = from_base64url(text)
    except JoseError:
        return
    assert to_base64url(raw) == text
