"""Bytes that nobody has looked at → `Request`. Whatever the bytes are, a `Request` or a `Refusal` comes out.

The numbered argument, and the same numbers below:

1. Too many bytes are refused before they are parsed, and bytes that are no `CheckRequest`. Header lines are taken from
   `headers` or from `header_map` (`encode_raw_headers`), never from both (`message.py`).
2. A message without HTTP request is refused: empty is not a request for `/`.
3. Header lines are read by one set of rules, whichever way they are shown (`headers.py`).
4. Pseudo headers and `host` must agree with `method`, `path` and `host`: they are one fact shown twice.
5. Method, then target, host and body, each in its only reading.

Left out on purpose: `id` (a stream number, not a request id), `time`, `size` (bytes so far), `scheme` and `protocol`
(the client's claims), `source.service` (from a client's header), `metadata_context` (not verified for us). gRPC as a
caller (gRFC A92) leaves most fields unset; nothing here needs them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from extauthz.errors import Refusal
from extauthz.model.reason import Reason
from extauthz.model.request import Request, Source
from extauthz.request.address import canonical_address
from extauthz.request.body import body_from
from extauthz.request.correlation import request_id_of, trace_id_of
from extauthz.request.headers import headers_from
from extauthz.request.host import canonical_host
from extauthz.request.message import Message, read_message
from extauthz.request.methods import preflight_method_of, upgrade_of, verify_method
from extauthz.request.path import target_from

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.model.request import Headers

_NO_HTTP: Final = "The question holds no HTTP request."
_QUERY: Final = "The question holds a query or a fragment outside the path."
_DISAGREE: Final = "Host, path or method contradict the headers that carry them."


def decode(raw: bytes | Message, *, shows_all_headers: bool = False) -> Request:
    """Return the request that a serialised `envoy.service.auth.v3.CheckRequest` asks about.

    Args:
        raw: the message as received, or parsed by whoever has read it before.
        shows_all_headers: whether the proxy is said to hide no header from us.

    Raises:
        Refusal: `request_too_large`, `malformed_request`, `credentials_ambiguous`, `method_not_allowed` or
            `upgrade_not_allowed`, by the rules of this package.
    """
    # 1. Bounded before parsed, and header lines in one shape.
    message = raw if isinstance(raw, Message) else read_message(raw)
    # 2. A message with an HTTP request in it.
    if not message.has_http:
        raise Refusal(Reason.MALFORMED_REQUEST, _NO_HTTP, inner="no http")
    # 3. Header lines in one reading.
    headers, pseudo = headers_from(
        message.names, message.values, exact=message.exact, complete=shows_all_headers, plain=message.plain
    )
    # 4. One fact, shown twice, once.
    host = _read_host(message.host, headers, pseudo)
    method = message.method
    _verify_agreement(message, pseudo)
    # 5. Everything else in its only reading.
    verify_method(method, tunnel=":protocol" not in pseudo or not message.path)
    target = target_from(message.path)
    return Request(
        method=method,
        host=host,
        path=target.path,
        segments=target.segments,
        query=target.query,
        headers=headers,
        body=body_from(headers, message.body, message.raw_body),
        upgrade=upgrade_of(headers, pseudo),
        preflight_method=preflight_method_of(method, headers),
        source=_read_source(message),
        context=message.context,
        request_id=request_id_of(headers),
        trace_id=trace_id_of(headers),
    )


def _read_host(shown: str, headers: Headers, pseudo: Mapping[str, str]) -> str:
    """Return the canonical host, provided that `:authority` and `host` name the same one."""
    host = canonical_host(shown)
    for other in (pseudo.get(":authority"), headers.first("host")):
        if other is not None and other != shown and canonical_host(other) != host:
            raise Refusal(Reason.MALFORMED_REQUEST, _DISAGREE, inner="host")
    return host


def _verify_agreement(message: Message, pseudo: Mapping[str, str]) -> None:
    if pseudo.get(":method", message.method) != message.method:
        raise Refusal(Reason.MALFORMED_REQUEST, _DISAGREE, inner="method")
    if pseudo.get(":path", message.path) != message.path:
        raise Refusal(Reason.MALFORMED_REQUEST, _DISAGREE, inner="path")
    if message.beside_path:
        # Envoy leaves both empty; whoever fills them could mean another target than `path`.
        raise Refusal(Reason.MALFORMED_REQUEST, _QUERY, inner="query or fragment field")


def _read_source(message: Message) -> Source:
    if not (message.principal or message.certificate or message.sni):
        return _read_address(message.address)
    return Source(
        address=_read_address(message.address).address,
        principal=message.principal,
        certificate=message.certificate,
        sni=message.sni,
    )


@lru_cache(maxsize=1024)
def _read_address(address: str) -> Source:
    """Return the source of which nothing but the address is known; peers come back, and a source never changes."""
    return Source(address=canonical_address(address) if address else "")
