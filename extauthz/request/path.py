r"""The one path canonicaliser. Everything that matches, records or forwards a path uses its result.

1. The target is cut at the first `?` by hand. URL parsers are never used: they take `//admin` for an authority.
2. The path is cut at `/` first; each segment is decoded once afterwards. An encoded slash is thus never a separator.
3. Refused is whatever an upstream could read as another path:
   no leading slash; `//`; segments that are `.` or `..`, or that end in a dot or a space, or begin with a space, raw or
   encoded (file systems drop them); encoded `/ \ % ; ? #` (a second decoding would make them structure); raw `\ ; #`,
   whitespace and everything else that RFC 3986 section 3.3 does not allow; percent signs without two hex digits; UTF-8
   that is invalid or overlong; characters that cannot be seen (controls, NUL, format characters, unusual spaces); text
   that is not in Unicode normalisation form C; characters whose compatibility form is a delimiter (fullwidth slash).
4. What is left has one spelling: characters that need no encoding are not encoded (`%7E` and `%41` are `~` and `A`, as
   RFC 3986 section 6.2.2.2 says; every upstream reads both alike), others are percent-encoded in upper case.
5. A trailing slash stays: `/a` and `/a/` are different paths. Case stays: `/Admin` is not `/admin`.

Canonicalising a canonical path changes nothing.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, NamedTuple
from urllib.parse import quote, unquote_to_bytes

from extauthz.errors import Refusal
from extauthz.limits import MAX_PATH_BYTES
from extauthz.model.reason import Reason
from extauthz.request.query import query_from

_PATH: Final = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,=:@/]*+(?:%[0-9A-Fa-f]{2}[A-Za-z0-9\-._~!$&'()*+,=:@/]*+)*+")
"""`path-absolute` of RFC 3986 section 3.3 without `;`, empty segments left to `_segments`."""

_NEED_NO_ENCODING: Final = "!$&'()*+,=:@"
"""Of a segment (RFC 3986 `pchar`), besides letters, digits and `-._~`; without `;`."""

_DELIMITERS: Final = frozenset("/\\%;?#")

_TOO_LONG: Final = f"Path and query together must have at most {MAX_PATH_BYTES} bytes."
_SLASH: Final = "The path must start with a slash."
_CHARACTERS: Final = (
    "The path holds characters that a path may not hold; percent-encode them, and do not use path parameters."
)
_EMPTY_SEGMENT: Final = "The path must not hold empty segments; write one slash between segments."
_DOTS: Final = "Path segments must not be dot segments and must not end in a dot or a space; send the resolved path."
_ENCODED: Final = (
    "The path must not hold encoded slashes, backslashes, percent signs, semicolons, question marks or hashes."
)
_DISGUISED: Final = (
    "Path segments must not hold characters that stand for a delimiter or a dot, such as a fullwidth slash."
)
_TEXT: Final = "Path segments must be visible text, percent-encoded as UTF-8 in Unicode normalisation form C."


class Target(NamedTuple):
    """A request target in its only reading; the fields are those of `model.request.Request`."""

    path: str
    segments: tuple[str, ...]
    query: tuple[tuple[str, str], ...]


def target_from(raw: str) -> Target:
    """Return path, segments and query of a request target in origin form (RFC 9112 section 3.2.1).

    Args:
        raw: `:path` as received.

    Raises:
        Refusal: it is too long, or can be read in more than one way. The asterisk form (`OPTIONS *`) and the absolute
            form are refused for want of the leading slash.
    """
    if len(raw) > MAX_PATH_BYTES:
        raise Refusal(Reason.REQUEST_TOO_LARGE, _TOO_LONG, inner="path length")
    path, _, query = raw.partition("?")
    if not path.startswith("/"):
        raise Refusal(Reason.MALFORMED_REQUEST, _SLASH, inner="no leading slash")
    if _PATH.fullmatch(path) is None:
        raise Refusal(Reason.MALFORMED_REQUEST, _CHARACTERS, inner="path characters")
    if "//" in path:
        raise Refusal(Reason.MALFORMED_REQUEST, _EMPTY_SEGMENT, inner="empty segment")
    segments = tuple(path[1:].split("/"))
    text = path
    if "%" in path:
        segments = tuple([_decoded(segment) if "%" in segment else segment for segment in segments])
        text = "/" + "/".join(segments)
        path = "/" + "/".join([quote(segment, safe=_NEED_NO_ENCODING) for segment in segments])
    if _has_loose_ends(text):
        raise Refusal(Reason.MALFORMED_REQUEST, _DOTS, inner="dot segment")
    return Target(path, segments, query_from(query))


def _decoded(segment: str) -> str:
    """Return the text of one encoded segment."""
    try:
        text = unquote_to_bytes(segment).decode("utf-8")
    except UnicodeDecodeError:
        raise Refusal(Reason.MALFORMED_REQUEST, _TEXT, inner="path encoding") from None
    if not _DELIMITERS.isdisjoint(text):
        raise Refusal(Reason.MALFORMED_REQUEST, _ENCODED, inner="encoded delimiter")
    if not text.isprintable() or not unicodedata.is_normalized("NFC", text):
        raise Refusal(Reason.MALFORMED_REQUEST, _TEXT, inner="path text")
    if not text.isascii():
        folded = unicodedata.normalize("NFKC", text)
        if not _DELIMITERS.isdisjoint(folded) or _has_loose_ends("/" + folded):
            raise Refusal(Reason.MALFORMED_REQUEST, _DISGUISED, inner="delimiter in disguise")
    return text


def _has_loose_ends(path: str) -> bool:
    """Return whether in a segment of a path dots or spaces stand where file systems and some servers drop them.

    `.` and `..` are such segments. No decoded segment holds a slash, so the path can be looked at as a whole.
    """
    return "./" in path or "/ " in path or " /" in path or path.endswith((".", " "))
