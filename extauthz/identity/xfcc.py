"""The header `x-forwarded-client-cert`, strictly: `;`-separated `key=value` pairs, `,`-separated elements.

A value with `,`, `;`, `=` or a double quote is in double quotes, where a backslash takes the next character along.
Keys compare without regard to case. A key that is not known, or that stands twice in an element where it names one
thing, refuses the header: Envoy writes some names without quotes, so a certificate could bring a second `Hash` along.

Only `Hash`, `Cert` and `Chain` are used. `By`, `Subject`, `URI` and `DNS` repeat what the certificate says, in a form
that cannot be taken apart safely. Who may send this header at all is decided by `peer.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NoReturn

from extauthz.errors import Refusal
from extauthz.model.reason import Reason

HEADER: Final = "x-forwarded-client-cert"

_PAIR: Final = re.compile(r'([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*+)"|([^",;=]*+))')
_ESCAPE: Final = re.compile(r'\\(["\\])')
"""What stands for a quote or a backslash; other backslashes belong to the value (distinguished names have them)."""

_HASH: Final = re.compile(r"[0-9A-Fa-f]{64}")
_REPEATABLE: Final = frozenset({"by", "uri", "dns"})
_OPEN_ENDED: Final = re.compile(r"(?:uri|dns)=", re.IGNORECASE)
_KEYS: Final = _REPEATABLE | {"hash", "cert", "chain", "subject"}

_DETAIL: Final = "The proxy in front must write x-forwarded-client-cert in Envoy's text format."


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """What one proxy says about the client that connected to it.

    Attributes:
        digest: SHA-256 of the client's certificate (`Hash`); empty when not given.
        certificate: URL-encoded PEM; empty when not given.
        chain: URL-encoded PEM of the whole chain, the client's certificate first; empty when not given.
    """

    digest: bytes = b""
    certificate: str = ""
    chain: str = ""


def parse_xfcc(value: str) -> tuple[Element, ...]:
    """Return the elements of a header value, in order: each proxy appends its own.

    Raises:
        Refusal: `credentials_malformed`.
    """
    elements: list[Element] = []
    pairs: list[tuple[str, str]] = []
    at = 0
    while True:
        pair = _PAIR.match(value, at)
        if pair is None:
            _refuse("not key=value")
        quoted, plain = pair[2], pair[3]
        pairs.append((pair[1].lower(), plain if quoted is None else _ESCAPE.sub(r"\1", quoted)))
        at = pair.end()
        separator = value[at : at + 1]
        if separator not in {"", ",", ";"}:
            _refuse("text after a value")
        if separator != ";":
            elements.append(_to_element(pairs))
            pairs = []
        if not separator:
            return tuple(elements)
        at += 1


def may_be_forged(value: str) -> bool:
    """Return whether a certificate may have brought elements along that no proxy has written.

    Envoy writes `URI` and `DNS` without quotes, as the certificate has them: a comma in one begins an element, also for
    the strictest parser. Only what has neither is surely the work of proxies. The text is searched and not the pairs,
    since a quote that an earlier element leaves open could hide the key.

    Args:
        value: a header value with several elements.
    """
    return _OPEN_ENDED.search(value) is not None


def _to_element(pairs: list[tuple[str, str]]) -> Element:
    found: dict[str, str] = {}
    for key, text in pairs:
        if key not in _KEYS or (key in found and key not in _REPEATABLE):
            _refuse("unknown or repeated key")
        found[key] = text
    digest = found.get("hash", "")
    if digest and _HASH.fullmatch(digest) is None:
        _refuse("Hash is not SHA-256 in hexadecimal")
    return Element(digest=bytes.fromhex(digest), certificate=found.get("cert", ""), chain=found.get("chain", ""))


def _refuse(inner: str) -> NoReturn:
    raise Refusal(Reason.CREDENTIALS_MALFORMED, _DETAIL, inner=f"{HEADER}: {inner}")
