"""What kind of request it is: the method, a protocol upgrade, a CORS preflight.

| request | answer |
| --- | --- |
| GET HEAD POST PUT PATCH DELETE OPTIONS | that method; HEAD stays HEAD (policy lets it where it lets GET) |
| another spelling of them (`get`) | `malformed_request`: some servers fold case, methods are case-sensitive |
| TRACE, and methods we do not know | `method_not_allowed` |
| CONNECT without path or without `:protocol` | `upgrade_not_allowed`: a tunnel cannot be decided request by request |
| CONNECT with path and `:protocol` (RFC 8441) | a request with `upgrade` set to that protocol |
| any `upgrade` or `http2-settings` header | `upgrade` is the protocol; policy refuses it unless declared |
| `connection: upgrade` without protocol, or several | `malformed_request` |
| OPTIONS with `origin` and `access-control-request-method` | `preflight_method` is the method asked about |
| `OPTIONS *` | `malformed_request`: it is about no resource |
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from extauthz.errors import Refusal
from extauthz.model.reason import Reason
from extauthz.model.request import METHODS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.model.request import Headers

_PROTOCOL: Final = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+(?:/[!#$%&'*+.^_`|~0-9a-z-]+)?")
"""`protocol-name ["/" protocol-version]` of RFC 9110 section 7.8, lower case."""

_NO_METHOD: Final = "The request must name a method."
_CASE: Final = "Methods are case-sensitive; write them in upper case."
_UNKNOWN: Final = f"The method must be one of {', '.join(sorted(METHODS))}."
_TUNNEL: Final = "CONNECT tunnels are not decided here; use requests with a path."
_PROTOCOLS: Final = "An upgrade must name exactly one protocol in the upgrade header."


def verify_method(method: str, *, tunnel: bool = True) -> None:
    """Raise a Refusal unless `method` is one that we know, as the module's table says.

    Args:
        method: as received.
        tunnel: whether CONNECT would open a tunnel, for want of a path or a `:protocol`.
    """
    if method in METHODS or (method == "CONNECT" and not tunnel):
        return
    if method == "CONNECT":
        raise Refusal(Reason.UPGRADE_NOT_ALLOWED, _TUNNEL, inner="CONNECT")
    if not method:
        raise Refusal(Reason.MALFORMED_REQUEST, _NO_METHOD, inner="no method")
    if method.upper() in METHODS:
        raise Refusal(Reason.MALFORMED_REQUEST, _CASE, inner="method case")
    raise Refusal(Reason.METHOD_NOT_ALLOWED, _UNKNOWN, inner="unknown method")


def upgrade_of(headers: Headers, pseudo: Mapping[str, str]) -> str:
    """Return the protocol that the request asks to change to, in lower case; empty when it does not.

    Raises:
        Refusal: it asks for an upgrade without naming exactly one protocol.
    """
    lines = headers.lines
    if not ("upgrade" in lines or "connection" in lines or "http2-settings" in lines or ":protocol" in pseudo):
        return ""
    asked = {protocol.strip().lower() for line in headers.all("upgrade") for protocol in line.split(",")}
    if ":protocol" in pseudo:
        asked.add(pseudo[":protocol"].lower())
    if "http2-settings" in lines:
        # RFC 7540 section 3.2.1 (obsolete, still understood): the header means nothing but an upgrade to h2c.
        asked.add("h2c")
    if not asked and not _connection_says_upgrade(headers):
        return ""
    protocol = asked.pop() if len(asked) == 1 else ""
    if _PROTOCOL.fullmatch(protocol) is None:
        raise Refusal(Reason.MALFORMED_REQUEST, _PROTOCOLS, inner="upgrade protocols")
    return protocol


def _connection_says_upgrade(headers: Headers) -> bool:
    return any(option.strip().lower() == "upgrade" for line in headers.all("connection") for option in line.split(","))


def preflight_method_of(method: str, headers: Headers) -> str:
    """Return the method that a CORS preflight asks about (Fetch standard, CORS-preflight fetch); empty for others.

    Raises:
        Refusal: it asks about a method that we do not know.
    """
    if method != "OPTIONS":
        return ""
    asked = headers.first("access-control-request-method")
    if asked is None or headers.first("origin") is None:
        return ""
    verify_method(asked)
    return asked
