"""Typed readers for claims. A claim of the wrong type refuses the token; it never reads as absent or as another type.

Every reader raises `Refusal(credentials_malformed)` with the claim's name, which is ours, and never with its value.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NoReturn

from extauthz.clock import Instant
from extauthz.errors import Refusal
from extauthz.limits import MAX_CLAIM_STRING_BYTES, MAX_NUMERIC_DATE
from extauthz.model.reason import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

_CONTROL: Final = re.compile("[\x00-\x1f\x7f]")
_NUMBERS: Final = (int, float)
"""Compared with a value's own type, so that a boolean, which Python counts among the integers, is none of them."""
_SCOPES: Final = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]*")
"""Scopes and the spaces between them (RFC 6749 appendix A.4)."""


def refuse_claim(name: str, what: str) -> NoReturn:
    """Refuse a token because of the claim `name`.

    Args:
        name: the claim as we or the operator call it, never as the token does.
        what: what it must be, for the sentence "The claim `name` must be …".

    Raises:
        Refusal: always.
    """
    raise Refusal(Reason.CREDENTIALS_MALFORMED, f"The claim `{name}` must be {what}.")


def find_claim(claims: Mapping[str, Any], name: str) -> Any:
    """Return the value of a claim, None when it is absent or `null`.

    A claim of exactly this name wins, since names may be URLs; else dots step into objects.
    """
    if name in claims or "." not in name:
        return claims.get(name)
    value: Any = claims
    for step in name.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def required_text(claims: Mapping[str, Any], name: str) -> str:
    """Return a claim that is a non-empty string.

    Raises:
        Refusal: it is absent, or not such a string.
    """
    return text_of(claims.get(name), name)


def optional_text(claims: Mapping[str, Any], name: str) -> str:
    """Return a claim that is a non-empty string, or the empty string when it is absent.

    Raises:
        Refusal: it is there and is not such a string; JSON `null` is not absence.
    """
    return text_of(claims[name], name) if name in claims else ""


def text_of(value: Any, name: str) -> str:
    """Return `value` when it is a non-empty string that may become part of an identity.

    Control characters are refused: identities travel in headers, logs and records.

    Raises:
        Refusal: it is no such string.
    """
    if type(value) is str and 0 < len(value) <= MAX_CLAIM_STRING_BYTES and value.isascii() and value.isprintable():
        return value  # As nearly always; what follows costs more.
    if (
        not isinstance(value, str)
        or not value
        or len(value.encode()) > MAX_CLAIM_STRING_BYTES
        or _CONTROL.search(value) is not None
    ):
        refuse_claim(name, f"a string of 1 to {MAX_CLAIM_STRING_BYTES} bytes without control characters")
    return value


def texts_of(value: Any, name: str) -> tuple[str, ...]:
    """Return `value` when it is a list of such strings; None, which is absence, is the empty list.

    Raises:
        Refusal: it is anything else; a single string is not a list.
    """
    if value is None:
        return ()
    if not isinstance(value, list):
        refuse_claim(name, "a list of strings")
    return tuple([text_of(member, name) for member in value])


def required_instant(claims: Mapping[str, Any], name: str) -> Instant:
    """Return a claim that is a NumericDate (RFC 7519 section 2).

    Raises:
        Refusal: it is absent, no number, a boolean (which Python counts among the integers), or out of range.
    """
    value: Any = claims.get(name)
    if type(value) not in _NUMBERS or not 0 <= value <= MAX_NUMERIC_DATE:
        refuse_claim(name, "a number of seconds since 1970")
    return Instant(float(value))


def optional_instant(claims: Mapping[str, Any], name: str) -> Instant | None:
    """Return a claim that is a NumericDate, or None when it is absent.

    Raises:
        Refusal: it is there and is no NumericDate.
    """
    return required_instant(claims, name) if name in claims else None


def client_of(claims: Mapping[str, Any], names: tuple[str, ...], *, required: bool) -> str:
    """Return the client that one of the claims `names` gives; empty when there is none and none is required.

    Raises:
        Refusal: it is missing, mistyped, or two of them contradict each other.
    """
    found = [text_of(claims[name], name) for name in names if name in claims]
    if required and not found:
        refuse_claim(names[0], "there")
    if len(set(found)) > 1:
        refuse_claim(names[0], f"the same client as in {' and '.join(names[1:])}, where they are there")
    return found[0] if found else ""


def scopes_of(claims: Mapping[str, Any], names: tuple[str, ...] = ("scope",)) -> frozenset[str]:
    """Return the scopes that the claims `names` give; none when they are absent or empty.

    `scope` is a string of scopes separated by spaces (RFC 6749 section 3.3). `scp`, which some providers have instead,
    is such a string or a list.

    Raises:
        Refusal: one has another type, a scope holds a character that scopes cannot have, or two contradict each other.
    """
    found = [frozenset(_scopes(claims[name], name)) for name in names if name in claims]
    if len(set(found)) > 1:
        refuse_claim(names[0], f"the same as {' and '.join(names[1:])}, where both are there")
    return found[0] if found else frozenset()


def _scopes(value: Any, name: str) -> list[str]:
    if isinstance(value, list) and name != "scope":
        scopes = list(texts_of(value, name))
        value = " ".join(scopes)
        if any(" " in scope for scope in scopes):
            refuse_claim(name, "a list of scopes, each without spaces")
    if not isinstance(value, str) or _SCOPES.fullmatch(value) is None:
        refuse_claim(name, "a string of scopes separated by spaces")
    return value.split()
