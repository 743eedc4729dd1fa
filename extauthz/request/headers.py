"""Header lines in one reading, whichever way Envoy shows them.

Envoy shows either one text per name, lines joined with a comma, or every line by itself. Rules here give the same
answer for both: a header that may occur only once is refused when it has several lines, and also when its merged value
holds a comma that can come from joining. (A comma inside a quoted string, or between the parameters of one credential,
is taken for part of the value; only `encode_raw_headers: true` shows that difference.)

Refused besides: names that are not tokens; control characters in values (a NUL or a line break ends a value for some);
headers that ask an upstream framework for another method or URL than the one decided on; and names with underscores
that CGI-like servers cannot tell from a header that matters (`x_http_method_override`, `content_length`).

Header lines that differ in name may come in any order; pseudo headers are taken out.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from extauthz.errors import Refusal
from extauthz.limits import MAX_HEADER_NAME_BYTES, MAX_HEADER_VALUE_BYTES, MAX_HEADERS
from extauthz.model.reason import Reason
from extauthz.model.request import Headers

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""`token` of RFC 9110 section 5.6.2."""

_CONTROL: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
"""What a field value may not hold (RFC 9110 section 5.5)."""

_PSEUDO: Final = frozenset({":method", ":path", ":authority", ":scheme", ":protocol"})
"""RFC 9113 section 8.3.1, RFC 8441 section 4."""

_ALWAYS_SHOWN: Final = frozenset({":method", ":path", ":authority", ":scheme"})
"""What every Envoy shows of every request but CONNECT, unless its `allowed_headers` leaves it out."""

_CREDENTIALS: Final = frozenset({"authorization", "proxy-authorization"})

_WITHOUT_COMMA: Final = frozenset(
    {
        "access-control-request-method",
        "content-length",
        "host",
        "origin",
        "x-envoy-auth-partial-body",
    }
)
"""May occur once, and no valid value holds a comma."""

_SINGLE: Final = _CREDENTIALS | _WITHOUT_COMMA | {"content-type"}

_OVERRIDES: Final = frozenset(
    {
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x-original-url",
        "x-rewrite-url",
    }
)
"""Frameworks behind Envoy obey them, Envoy does not: the request decided on would not be the request carried out."""

_SPECIAL: Final = _SINGLE | _OVERRIDES

_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*+"')

_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"  # noqa: S105 — a grammar rule
_PARAMETER: Final = rf'{_TOKEN}[ \t]*+=[ \t]*+(?:[!#-+\--~]++|"(?:[^"\\]|\\.)*+")'
_PARAMETERS: Final = re.compile(rf"(?P<scheme>{_TOKEN}) ++{_PARAMETER}(?:[ \t]*+,[ \t]*+{_PARAMETER})*+[ \t]*+")
"""A credential in the form with parameters (RFC 9110 section 11.4), the only one in which a comma is part of it. Values
may hold more than the grammar says, because those of cloud signatures do; no blank, which a second credential needs.
"""

_TOKEN_SCHEMES: Final = frozenset({"bearer", "dpop", "basic"})
"""Schemes whose credential is one token and never parameters, so `Bearer a=b,c=d` is no way to hide a second one."""

_SURELY_FITS: Final = MAX_HEADER_VALUE_BYTES // 4
"""Characters, commas for joining included, that are at most `MAX_HEADER_VALUE_BYTES`: none has more than four bytes."""

_MOST_REMEMBERED: Final = 64
"""Lines of a request whose names are remembered; it bounds what clients, who choose names, can make us keep."""

_DIGITS: Final = re.compile(r"[0-9]+")

_NAMES: Final = (
    "Header names must be tokens (RFC 9110 section 5.6.2), with hyphens and not underscores where they matter."
)
_VALUES: Final = "Header values must not hold control characters."
_NUMBER: Final = f"The request must have at most {MAX_HEADERS} different headers."
_SIZE: Final = f"The values of one header must have at most {MAX_HEADER_VALUE_BYTES} bytes together."
_PSEUDO_HEADERS: Final = "Pseudo headers must be those of HTTP/2 requests, each once."
_OVERRIDE: Final = "Send the method and the URL themselves; override headers are not accepted."
_REPEATED: Final = "Send content-type, content-length, host, origin and the like once."
_LENGTH: Final = "content-length must be a number."
_SEVERAL_CREDENTIALS: Final = "Send exactly one credential in exactly one authorization header."


def headers_from(
    names: tuple[str, ...], values: tuple[str, ...], *, exact: bool, complete: bool = False, plain: bool = False
) -> tuple[Headers, dict[str, str]]:
    """Return the headers by lower-case name, and the pseudo headers apart.

    Args:
        names: of the lines, in the order shown.
        values: of the same lines.
        exact: whether these are the lines as sent, and not merged ones.
        complete: whether these are said to be all. Where a pseudo header is missing, that is not believed.
        plain: whether the values are known to be printable ASCII and, joined with commas, no larger than one header may
            be. As nearly always; looking at every character again would be a good part of the work.

    Raises:
        Refusal: see the module's rules. Two credentials are `credentials_ambiguous`, the rest is `malformed_request` or
            `request_too_large`.
    """
    if not plain and _CONTROL.search("".join(values)):
        raise Refusal(Reason.MALFORMED_REQUEST, _VALUES, inner="control character in a header")
    read = _read_names(names) if len(names) <= _MOST_REMEMBERED else _read_names.__wrapped__(names)
    found = {name: values[line] for name, line in read.lines}
    for name, positions in read.repeated:
        found[name] = tuple([values[at] for at in positions])
    if not plain:
        _verify_sizes(found)
    for name in read.special:
        _verify_special(name, found[name])
    pseudo = {name: values[at] for name, at in read.pseudo}
    return Headers(found, exact, complete and read.shows_target), pseudo


class _Names(NamedTuple):
    """What the names of header lines say, whatever the values are.

    Attributes:
        lines: each name in lower case, and where its first line stands: a slice, since that of a tuple is a tuple.
        repeated: names of several lines, and where all of them stand.
        special: those of the names that have rules of their own.
        pseudo: pseudo headers, and where they stand.
        shows_target: whether all pseudo headers are there that every request has.
    """

    lines: tuple[tuple[str, slice], ...]
    repeated: tuple[tuple[str, tuple[int, ...]], ...]
    special: tuple[str, ...]
    pseudo: tuple[tuple[str, int], ...]
    shows_target: bool


@lru_cache(maxsize=512)
def _read_names(names: tuple[str, ...]) -> _Names:
    """Return what the names say; clients of one kind send the same names time and again.

    Raises:
        Refusal: one is none, one must not be there, or there are too many.
    """
    found: dict[str, list[int]] = {}
    pseudo: dict[str, int] = {}
    for at, shown in enumerate(names):
        if shown.startswith(":"):
            if shown not in _PSEUDO or shown in pseudo:
                raise Refusal(Reason.MALFORMED_REQUEST, _PSEUDO_HEADERS, inner="pseudo header")
            pseudo[shown] = at
            continue
        name = _canonical_name(shown) if len(shown) <= MAX_HEADER_NAME_BYTES else ""
        if not name:
            raise Refusal(Reason.MALFORMED_REQUEST, _NAMES, inner="header name")
        found.setdefault(name, []).append(at)
    if len(found) > MAX_HEADERS:
        raise Refusal(Reason.REQUEST_TOO_LARGE, _NUMBER, inner="number of headers")
    return _Names(
        lines=tuple((name, slice(first, first + 1)) for name, (first, *_) in found.items()),
        repeated=tuple((name, tuple(positions)) for name, positions in found.items() if len(positions) > 1),
        special=tuple(found.keys() & _SPECIAL),
        pseudo=tuple(pseudo.items()),
        shows_target=pseudo.keys() >= _ALWAYS_SHOWN,
    )


def _canonical_name(shown: str) -> str:
    """Return a header name in lower case; empty when it is none, or the twin of a name that matters."""
    if _NAME.fullmatch(shown) is None:
        return ""
    name = shown.lower()
    return "" if "_" in name and name.replace("_", "-") in _SPECIAL else name


def _verify_sizes(found: dict[str, tuple[str, ...]]) -> None:
    for values in found.values():
        joined = values[0] if len(values) == 1 else ",".join(values)
        # A character is at most four bytes, so only long values need the count of their bytes.
        if len(joined) > _SURELY_FITS and len(joined.encode("utf-8")) > MAX_HEADER_VALUE_BYTES:
            raise Refusal(Reason.REQUEST_TOO_LARGE, _SIZE, inner="size of a header")


def _verify_special(name: str, values: tuple[str, ...]) -> None:
    """Raise a Refusal when an override header is there, or a header that may occur once might occur twice."""
    if name in _OVERRIDES:
        raise Refusal(Reason.MALFORMED_REQUEST, _OVERRIDE, inner="override header")
    if name in _CREDENTIALS:
        if len(values) > 1 or ("," in values[0] and not _is_one_credential(values[0])):
            raise Refusal(
                Reason.CREDENTIALS_AMBIGUOUS,
                _SEVERAL_CREDENTIALS,
                inner=f"several values of {name}",
                schemes=_schemes_in(values) if name == "authorization" else (),
            )
        return
    if len(values) > 1 or "," in (values[0] if name in _WITHOUT_COMMA else _QUOTED.sub("", values[0])):
        raise Refusal(Reason.MALFORMED_REQUEST, _REPEATED, inner=f"several values of {name}")
    if name == "content-length" and _DIGITS.fullmatch(values[0]) is None:
        raise Refusal(Reason.MALFORMED_REQUEST, _LENGTH, inner="content-length")


def _schemes_in(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of our schemes that begin one of several credentials, so that each can be told what is wrong."""
    begun = {part.strip(" \t").partition(" ")[0].lower() for value in values for part in value.split(",")}
    return tuple(scheme for scheme in ("bearer", "dpop") if scheme in begun)


def _is_one_credential(value: str) -> bool:
    match = _PARAMETERS.fullmatch(value)
    return match is not None and match["scheme"].lower() not in _TOKEN_SCHEMES
