"""Whom a command is about: what people type → a `Mark`."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Final

import typer

from extauthz.errors import JoseError, StrictJsonError
from extauthz.identity.apikey import ISSUER as API_KEYS
from extauthz.identity.keyformat import parse_key_text
from extauthz.jose.base64url import from_base64url
from extauthz.jose.compact import parse_compact
from extauthz.limits import MAX_CLAIM_STRING_BYTES, MAX_TOKEN_BYTES
from extauthz.model.restriction import Form, Mark
from extauthz.strictjson import load_object

if TYPE_CHECKING:
    from pathlib import Path

FORMS: Final = ", ".join(form.value for form in Form)
WIDE: Final = frozenset({Form.TENANT, Form.ISSUER, Form.EVERYBODY})
"""Forms of whom nobody can tell how many they are, so that a program has to say that it means it."""

_OF_AN_ISSUER: Final = frozenset({Form.TOKEN, Form.SESSION, Form.SUBJECT, Form.CLIENT, Form.DEVICE, Form.TENANT})
_HEXADECIMAL: Final = re.compile(r"[0-9a-f]{64}")
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_STDIN: Final = "-"
_SCHEMES: Final = ("bearer ", "dpop ")
_HINTS: Final = {
    Form.TOKEN: "give its `jti` (`token_id` in decision records), or the token itself with --token-file",
    Form.SESSION: "give its `sid` (`session` in decision records)",
    Form.CERTIFICATE: "give its SHA-256 fingerprint, as `openssl x509 -noout -fingerprint -sha256` prints it",
    Form.WORKLOAD: "give its stable key (`workload` in decision records)",
}


def mark_of(form: Form, name: str | None, issuer: str | None, issuers: tuple[str, ...]) -> Mark:
    """Return whom a command is about.

    Args:
        form: what sort of target.
        name: as typed; None where nothing was.
        issuer: `--issuer`.
        issuers: the configured ones.

    Raises:
        typer.BadParameter: that is nobody; the message says what to write.
    """
    if form is Form.EVERYBODY:
        _refuse(name, "everybody has no name")
        _refuse(issuer, "everybody is of every issuer; for those of one write `issuer URL`", "--issuer")
        return Mark(Form.EVERYBODY)
    if form is Form.ISSUER:
        _refuse(issuer, "write `issuer URL`, without --issuer", "--issuer")
        return Mark(Form.ISSUER, _configured(name, issuers, "NAME"))
    if name is None:
        message = _HINTS.get(form, f"which {form.value}?")
        raise typer.BadParameter(message, param_hint="NAME")
    if len(name.encode()) > MAX_CLAIM_STRING_BYTES or not name.isprintable() or not name.strip():
        message = f"must be 1 to {MAX_CLAIM_STRING_BYTES} bytes of text on one line"
        raise typer.BadParameter(message, param_hint="NAME")
    if form in _OF_AN_ISSUER:
        if form is Form.TOKEN:
            _refuse_secret(name)
        return Mark(form, _configured(issuer, issuers, "--issuer"), name)
    _refuse(issuer, f"the name of a {form.value} says it all", "--issuer")
    return Mark(form, "", _thumbprint(name) if form is Form.CERTIFICATE else name)


def mark_of_token(text: str, issuers: tuple[str, ...]) -> Mark:
    """Return the mark of a token, which is looked into and not believed: revoking what never was harms nobody.

    Raises:
        typer.BadParameter: it cannot be told apart from others; the message says what to revoke instead.
    """
    for scheme in _SCHEMES:
        if text.lower().startswith(scheme):
            text = text[len(scheme) :].strip()
    key = parse_key_text(text)
    if key is not None:
        return Mark(Form.TOKEN, API_KEYS, key.key_id)
    try:
        claims = load_object(parse_compact(text).payload, max_bytes=MAX_TOKEN_BYTES)
    except (JoseError, StrictJsonError) as error:
        message = "that is no JWT, so nobody can tell which it is; revoke its session, subject or client instead"
        raise typer.BadParameter(message, param_hint="--token-file") from error
    issuer, token_id = claims.get("iss"), claims.get("jti")
    if not isinstance(token_id, str) or not token_id:
        message = "the token has no `jti`; revoke its session, subject or client instead"
        raise typer.BadParameter(message, param_hint="--token-file")
    return Mark(Form.TOKEN, _configured(issuer if isinstance(issuer, str) else "", issuers, "`iss`"), token_id)


def read_token(path: Path) -> str:
    """Return the token in a file, or on standard input for `-`; there it leaves no trace in the shell."""
    if str(path) == _STDIN:
        if sys.stdin.isatty():
            typer.echo("Paste the token and press Ctrl-D.", err=True)
        return sys.stdin.read(MAX_TOKEN_BYTES + 1).strip()
    try:
        with path.open("r", encoding="ascii") as file:
            return file.read(MAX_TOKEN_BYTES + 1).strip()
    except (OSError, ValueError) as error:
        message = f"{path} cannot be read ({type(error).__name__})"
        raise typer.BadParameter(message, param_hint="--token-file") from error


def describe(mark: Mark) -> str:
    """Return a target in words."""
    if mark.form is Form.EVERYBODY:
        return "everybody"
    if mark.form is Form.ISSUER:
        return f"everybody of {mark.issuer}"
    return f"{mark.form.value} {mark.value}" + (f" of {mark.issuer}" if mark.issuer else "")


def as_typed(mark: Mark) -> str:
    """Return what names a target on the command line."""
    if mark.form is Form.EVERYBODY:
        return mark.form.value
    if mark.form is Form.ISSUER:
        return f"{mark.form.value} {_quoted(mark.issuer)}"
    issuer = f" --issuer {_quoted(mark.issuer)}" if mark.issuer else ""
    return f"{mark.form.value} {_quoted(mark.value)}{issuer}"


def _quoted(text: str) -> str:
    import shlex  # noqa: PLC0415 — loaded only when something is shown

    return shlex.quote(text)


def _configured(issuer: str | None, issuers: tuple[str, ...], option: str) -> str:
    known = ", ".join(issuers) or "none"
    if not issuer:
        if len(issuers) == 1:
            return issuers[0]
        message = f"which issuer? configured: {known}"
        raise typer.BadParameter(message, param_hint=option)
    if issuer not in {*issuers, API_KEYS}:
        message = f"{issuer!r} is not configured under `issuers`; configured: {known}"
        raise typer.BadParameter(message, param_hint=option)
    return issuer


def _thumbprint(text: str) -> str:
    """Return a thumbprint in hexadecimal, from that with or without colons, or from base64url (`x5t#S256`)."""
    plain = text.rpartition("=")[2].replace(":", "").lower() if ":" in text else text.lower()
    if _HEXADECIMAL.fullmatch(plain):
        return plain
    if _BASE64URL.fullmatch(text):
        try:
            return from_base64url(text).hex()
        except JoseError:
            pass
    raise typer.BadParameter(_HINTS[Form.CERTIFICATE], param_hint="NAME")


def _refuse(given: str | None, why: str, option: str = "NAME") -> None:
    if given is not None:
        raise typer.BadParameter(why, param_hint=option)


def _refuse_secret(name: str) -> None:
    """Refuse a whole token or key on the command line, where other users of the machine can read it."""
    if (name.startswith("eyJ") and "." in name) or parse_key_text(name) is not None:
        message = "that is the secret itself: give it on standard input with `--token-file -`, and its id here"
        raise typer.BadParameter(message, param_hint="NAME")
