"""The form of API keys: one text for each, typos noticed, findable by scanners."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from extauthz.identity.keyformat import ID_BYTES, SECRET_BYTES, digest_key, make_key_text, parse_key_text
from extauthz.redact import REDACTED, redact

SCANNERS = re.compile(r"xak_[a-z2-7]{16}_[a-z2-7]{52}_[a-z2-7]{7}")
IDS = st.binary(min_size=ID_BYTES, max_size=ID_BYTES)
SECRETS = st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES)
TEXT = make_key_text(bytes(range(10)), bytes(range(32))).whole


@given(IDS, SECRETS)
def test_what_is_made_is_read(key_id: bytes, secret: bytes) -> None:
    """In the form that scanners know; records never show it."""
    made = make_key_text(key_id, secret)
    text = made.whole
    assert SCANNERS.fullmatch(text)
    presented = parse_key_text(text)
    assert presented == made
    assert text.startswith(f"xak_{made.key_id}_")
    assert redact(f"/v1/{text}/x") == f"/v1/{REDACTED}/x"


@given(st.integers(0, len(TEXT) - 1), st.characters())
def test_one_wrong_character_is_noticed(at: int, character: str) -> None:
    """Wherever it stands, whatever it is."""
    changed = TEXT[:at] + character + TEXT[at + 1 :]
    assert (parse_key_text(changed) is not None) == (changed == TEXT)


@given(st.text(max_size=100))
def test_other_texts_are_none(text: str) -> None:
    """No text raises, and none that was not made is taken for one."""
    assert parse_key_text(text) is None


def test_what_was_cut_or_lengthened_is_none() -> None:
    """Also by a line break, and in other letters."""
    for text in (TEXT[:-1], TEXT[1:], TEXT + "a", TEXT + "\n", TEXT.upper(), f" {TEXT}", TEXT.replace("_", "-")):
        assert parse_key_text(text) is None


def test_digests_differ_by_salt_and_secret() -> None:
    """And no digest holds the secret."""
    keys = [make_key_text(bytes(10), bytes([secret]) * 32) for secret in (1, 2)]
    digests = {digest_key(bytes([salt]) * 16, key) for salt in (1, 2) for key in keys}
    assert len(digests) == 4
    assert {len(digest) for digest in digests} == {32}
