"""The request body as a form (`application/x-www-form-urlencoded`), or a refusal: one reading, or none.

Refused is what form parsers are known to read differently:

1. anything but printable ASCII, a percent sign without two hex digits, `;` (a separator to some);
2. text that is not UTF-8 after decoding, or has control characters other than tab and line breaks;
3. a field twice: the first, the last or both may count;
4. `_method`, by which frameworks let a form change the method, and `_charset_`, by which it names its own encoding;
5. beside a field that policy reads, another that some parsers take for it (`Kind`, `kind[]`, `k.ind` for `k_ind`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import unquote_to_bytes

from extauthz.errors import Refusal
from extauthz.limits import MAX_BODY_JSON_BYTES, MAX_FORM_FIELDS
from extauthz.model.reason import Reason
from extauthz.policy.body import require_plain, require_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.model.request import Request

_FORM_TYPE: Final = re.compile(
    r"""application/x-www-form-urlencoded[ \t]*(?:;[ \t]*charset=(?:utf-8|"utf-8")[ \t]*)?""", re.IGNORECASE
)
"""RFC 9110 section 8.3.1; the URL standard serialises forms as UTF-8."""

_FORM: Final = re.compile(rb"[!$&-:=?-~]*+(?:%[0-9A-Fa-f]{2}[!$&-:=?-~]*+)*+")
"""Visible ASCII without `"`, `#`, `%`, `;`, `<` and `>`; percent signs only with two hex digits."""

_CONTROLS: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_DIRECTIVES: Final = frozenset({"_method", "_charset_"})
_SUBSCRIPT: Final = re.compile(r"[\[\]].*", re.DOTALL)
_TYPE_WANTED: Final = "application/x-www-form-urlencoded"


def read_form_body(request: Request) -> dict[str, str]:
    """Return the fields of the form in the body.

    Raises:
        Refusal: `unreadable_body`: absent, cut off, compressed, of another type, or not a form with one reading.
    """
    require_whole(request.body, "a form")
    require_plain(request.headers, _FORM_TYPE, _TYPE_WANTED)
    raw = request.body.raw
    if len(raw) > MAX_BODY_JSON_BYTES or raw.count(b"&") >= MAX_FORM_FIELDS:
        _refuse(f"The form must have at most {MAX_FORM_FIELDS} fields.", "too large")
    if _FORM.fullmatch(raw) is None:
        _refuse("The form must be percent-encoded, with `&` between fields.", "characters")
    fields: dict[str, str] = {}
    for piece in raw.decode("ascii").split("&"):
        if not piece:
            continue
        name, _, value = piece.partition("=")
        decoded = _decoded(name)
        if decoded in fields:
            _refuse("Every field of the form must be sent once.", "repeated field")
        if decoded.strip().lower() in _DIRECTIVES:
            _refuse("The form must not set its method or encoding.", "directive")
        fields[decoded] = _decoded(value)
    return fields


def find_field(fields: Mapping[str, str], name: str) -> str | None:
    """Return the field `name`; None when it is not there.

    Raises:
        Refusal: `unreadable_body`: another field is taken for it by some parsers.
    """
    folded = _folded(name)
    if any(other != name and _folded(other) == folded for other in fields):
        _refuse(f"The field {name} of the form must be written exactly so, once.", "twin field")
    return fields.get(name)


def _folded(name: str) -> str:
    """Return what parsers may make of a field name: case, subscripts, dots and spaces are lost in one or the other."""
    return _SUBSCRIPT.sub("", name.strip().casefold()).replace(".", "_").replace(" ", "_")


def _decoded(text: str) -> str:
    plain = text.replace("+", " ")
    if "%" not in plain:
        return plain
    try:
        decoded = unquote_to_bytes(plain).decode("utf-8")
    except UnicodeDecodeError:
        _refuse("The form must be percent-encoded UTF-8.", "encoding")
    if _CONTROLS.search(decoded):
        _refuse("The form must not hold control characters.", "control character")
    return decoded


def _refuse(detail: str, inner: str) -> NoReturn:
    raise Refusal(Reason.UNREADABLE_BODY, detail, inner=f"form: {inner}") from None
