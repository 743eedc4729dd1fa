"""The query as decoded pairs. It never influences the path.

Refused is what parsers are known to read differently: `;` (a separator for some, a character for others), encodings
that are not UTF-8, control characters, raw characters that no URI may hold. Brackets, braces, `|`, `^`, a backslash and
a backtick are let through raw, because browsers send them so and every parser reads them alike.

`+` is a space (application/x-www-form-urlencoded). `a` is the pair (`a`, empty); empty pieces as in `a&&b` are no
pairs.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from extauthz.errors import Refusal
from extauthz.limits import MAX_QUERY_PARAMETERS
from extauthz.model.reason import Reason

_QUERY: Final = re.compile(r"[!$&-:=?-~]*+(?:%[0-9A-Fa-f]{2}[!$&-:=?-~]*+)*+")
"""Visible ASCII without `"`, `#`, `%`, `;`, `<` and `>`; percent signs only with two hex digits."""

_CONTROLS: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
"""Tab and line breaks are text that a parameter may hold; nothing reads the others."""

_CHARACTERS: Final = (
    "The query holds characters that URIs do not allow or that servers read differently; percent-encode them."
)
_ENCODING: Final = "The query must be percent-encoded UTF-8 without control characters."
_NUMBER: Final = f"The query must have at most {MAX_QUERY_PARAMETERS} parameters."
_METHOD_OVERRIDE: Final = "Send the method itself; the _method parameter is not accepted."


def query_from(text: str) -> tuple[tuple[str, str], ...]:
    """Return the decoded pairs of a query, in the order sent.

    Args:
        text: what follows the first `?` of the request target, `""` when nothing does.

    Raises:
        Refusal: it can be read in more than one way, has too many parameters, or overrides the method.
    """
    if not text:
        return ()
    if _QUERY.fullmatch(text) is None:
        raise Refusal(Reason.MALFORMED_REQUEST, _CHARACTERS, inner="query characters")
    if text.count("&") >= MAX_QUERY_PARAMETERS:
        raise Refusal(Reason.REQUEST_TOO_LARGE, _NUMBER, inner="query parameters")
    encoded = "%" in text or "+" in text
    pairs = []
    for piece in text.split("&"):
        if piece:
            name, _, value = piece.partition("=")
            pairs.append((_decoded(name), _decoded(value)) if encoded else (name, value))
    if "_method" in [name.lower() for name, _ in pairs]:
        raise Refusal(Reason.MALFORMED_REQUEST, _METHOD_OVERRIDE, inner="method override")
    return tuple(pairs)


def _decoded(text: str) -> str:
    if "%" not in text:
        return text.replace("+", " ")
    try:
        decoded = unquote_to_bytes(text.replace("+", " ")).decode("utf-8")
    except UnicodeDecodeError:
        raise Refusal(Reason.MALFORMED_REQUEST, _ENCODING, inner="query encoding") from None
    if _CONTROLS.search(decoded):
        raise Refusal(Reason.MALFORMED_REQUEST, _ENCODING, inner="query control character")
    return decoded
