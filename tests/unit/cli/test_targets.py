"""Whom a command is about: what people type, and what is not taken from them."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from extauthz.cli.targets import as_typed, describe, mark_of, mark_of_token, read_token
from extauthz.identity.apikey import ISSUER as API_KEYS
from extauthz.identity.keyformat import ID_BYTES, SECRET_BYTES, make_key_text
from extauthz.model.restriction import Form, Mark

if TYPE_CHECKING:
    from pathlib import Path

ISSUER = "https://issuer.example"
OTHER = "https://other.example"
PRINT = "ab" * 32
COLONS = ":".join(["AB"] * 32)
BASE64URL = base64.urlsafe_b64encode(bytes.fromhex(PRINT)).decode().rstrip("=")
KEY = make_key_text(b"i" * ID_BYTES, b"s" * SECRET_BYTES)


def token_of(claims: dict[str, object]) -> str:
    """Return what looks like a JWT; nobody signed it."""
    parts = ({"alg": "ES256"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "c2ln"])


@pytest.mark.parametrize(
    ("form", "name", "issuer", "mark"),
    [
        (Form.SUBJECT, "alice", None, Mark(Form.SUBJECT, ISSUER, "alice")),
        (Form.SESSION, "s-1", ISSUER, Mark(Form.SESSION, ISSUER, "s-1")),
        (Form.WORKLOAD, "spiffe://a/b", None, Mark(Form.WORKLOAD, "", "spiffe://a/b")),
        (Form.CERTIFICATE, PRINT, None, Mark(Form.CERTIFICATE, "", PRINT)),
        (Form.CERTIFICATE, f"sha256 Fingerprint={COLONS}", None, Mark(Form.CERTIFICATE, "", PRINT)),
        (Form.CERTIFICATE, BASE64URL, None, Mark(Form.CERTIFICATE, "", PRINT)),
        (Form.ISSUER, None, None, Mark(Form.ISSUER, ISSUER)),
        (Form.ISSUER, ISSUER, None, Mark(Form.ISSUER, ISSUER)),
        (Form.EVERYBODY, None, None, Mark(Form.EVERYBODY)),
        (Form.TOKEN, "abc", API_KEYS, Mark(Form.TOKEN, API_KEYS, "abc")),
    ],
)
def test_targets(form: Form, name: str | None, issuer: str | None, mark: Mark) -> None:
    """The one configured issuer is meant where none is said; some targets say all by themselves."""
    assert mark_of(form, name, issuer, (ISSUER,)) == mark


@pytest.mark.parametrize(
    ("form", "name", "issuer", "told"),
    [
        (Form.SUBJECT, "alice", None, "which issuer"),
        (Form.SUBJECT, "alice", "https://nobody.example", "not configured"),
        (Form.SUBJECT, None, ISSUER, "which subject"),
        (Form.SUBJECT, "", ISSUER, "on one line"),
        (Form.SUBJECT, "a\nb", ISSUER, "on one line"),
        (Form.SUBJECT, "a" * 70_000, ISSUER, "on one line"),
        (Form.WORKLOAD, "w", ISSUER, "says it all"),
        (Form.CERTIFICATE, "ab:cd", None, "SHA-256 fingerprint"),
        (Form.CERTIFICATE, "!" * 43, None, "SHA-256 fingerprint"),
        (Form.CERTIFICATE, "A" * 42 + "B", None, "SHA-256 fingerprint"),
        (Form.EVERYBODY, "all", None, "no name"),
        (Form.EVERYBODY, None, ISSUER, "issuer URL"),
        (Form.ISSUER, None, ISSUER, "without --issuer"),
        (Form.ISSUER, None, None, "which issuer"),
        (Form.TOKEN, "eyJhbGciOiJub25lIn0.e30.", ISSUER, "the secret itself"),
        (Form.TOKEN, KEY.whole, ISSUER, "the secret itself"),
    ],
)
def test_what_is_nobody(form: Form, name: str | None, issuer: str | None, told: str) -> None:
    """Each is refused with what to write instead."""
    with pytest.raises(typer.BadParameter, match=told):
        mark_of(form, name, issuer, (ISSUER, OTHER))


def test_a_token_is_looked_into() -> None:
    """Its issuer and id are what is revoked, with or without a scheme before it; nothing is verified."""
    token = token_of({"iss": ISSUER, "jti": "j-1", "exp": 1})
    assert mark_of_token(token, (ISSUER, OTHER)) == Mark(Form.TOKEN, ISSUER, "j-1")
    assert mark_of_token(f"Bearer {token}", (ISSUER,)) == Mark(Form.TOKEN, ISSUER, "j-1")
    assert mark_of_token(KEY.whole, (ISSUER,)) == Mark(Form.TOKEN, API_KEYS, KEY.key_id)


@pytest.mark.parametrize(
    ("token", "told"),
    [
        ("opaque-0815", "no JWT"),
        (token_of({"iss": ISSUER}), "no `jti`"),
        (token_of({"iss": ISSUER, "jti": 7}), "no `jti`"),
        (token_of({"iss": "https://nobody.example", "jti": "j"}), "not configured"),
        (token_of({"jti": "j"}), "which issuer"),
    ],
)
def test_a_token_that_cannot_be_told_from_others(token: str, told: str) -> None:
    """The message says what to revoke instead."""
    with pytest.raises(typer.BadParameter, match=told):
        mark_of_token(token, (ISSUER, OTHER))


@given(st.text(max_size=200))
def test_no_text_is_believed_or_breaks_it(text: str) -> None:
    """Whatever is in the file, it is a mark of a known issuer or a message."""
    try:
        mark = mark_of_token(text, (ISSUER,))
    except typer.BadParameter:
        return
    assert mark.issuer in {ISSUER, API_KEYS}


def test_a_token_comes_from_a_file(tmp_path: Path) -> None:
    """Blank space around it is nobody's; a file that is not there is told."""
    file = tmp_path / "token"
    file.write_text("  abc\n")
    assert read_token(file) == "abc"
    with pytest.raises(typer.BadParameter, match="FileNotFoundError"):
        read_token(tmp_path / "nowhere")
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(typer.BadParameter, match="UnicodeDecodeError"):
        read_token(file)


@pytest.mark.parametrize(
    ("mark", "words", "typed"),
    [
        (Mark(Form.EVERYBODY), "everybody", "everybody"),
        (Mark(Form.ISSUER, ISSUER), f"everybody of {ISSUER}", f"issuer {ISSUER}"),
        (Mark(Form.SUBJECT, ISSUER, "a b"), f"subject a b of {ISSUER}", f"subject 'a b' --issuer {ISSUER}"),
        (Mark(Form.WORKLOAD, "", "w"), "workload w", "workload w"),
    ],
)
def test_how_it_is_told(mark: Mark, words: str, typed: str) -> None:
    """In words, and as one would type it again."""
    assert (describe(mark), as_typed(mark)) == (words, typed)
