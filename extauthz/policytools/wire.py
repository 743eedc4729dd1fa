"""Cases ↔ Envoy's messages: a question as Envoy would send it, and what an answer says to it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

from extauthz.gen.envoy.config.core.v3.address_pb2 import Address, SocketAddress
from extauthz.gen.envoy.config.core.v3.base_pb2 import HeaderMap, HeaderValue
from extauthz.gen.envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from extauthz.policytools.caseform import RequestForm

_JSON: Final = "application/json"
_FORM: Final = "application/x-www-form-urlencoded"


def to_question(form: RequestForm) -> bytes:
    """Return the serialised `CheckRequest` that Envoy would send for a request.

    Header lines are shown one by one (`encode_raw_headers: true`), or merged where the case says so.
    """
    path = form.path + _query(form)
    body, content_type = _body(form)
    lines = [(name, value) for name, values in form.headers.items() for value in values]
    if content_type and "content-type" not in {name.lower() for name, _ in lines}:
        lines.append(("content-type", content_type))
    if body or form.partial:
        lines.append(("x-envoy-auth-partial-body", "true" if form.partial else "false"))
    pseudo = [(":authority", form.host), (":path", path), (":method", form.method), (":scheme", "https")]
    http = AttributeContext.HttpRequest(
        method=form.method, path=path, host=form.host, scheme="https", size=len(body), protocol="HTTP/2", raw_body=body
    )
    if form.merged_headers:
        http.headers.update(_merged([*pseudo, *lines]))
    else:
        shown = [HeaderValue(key=name, raw_value=value.encode()) for name, value in [*pseudo, *lines]]
        http.header_map.CopyFrom(HeaderMap(headers=shown))
    peer = AttributeContext.Peer(
        address=Address(socket_address=SocketAddress(address=form.source, port_value=40000)), principal=form.principal
    )
    attributes = AttributeContext(
        request=AttributeContext.Request(http=http), context_extensions=form.context, source=peer
    )
    if form.sni:
        attributes.tls_session.sni = form.sni
    return CheckRequest(attributes=attributes).SerializeToString()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A request as a client would send it.

    Attributes:
        headers: lines in order, without pseudo headers and without what Envoy adds.
        source: address of the connection.
    """

    method: str
    host: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    source: str


def read_sent(question: bytes) -> Sent:
    """Return the request that `to_question` has put into a `CheckRequest`."""
    attributes = CheckRequest.FromString(question).attributes
    http = attributes.request.http
    shown = [(line.key, line.raw_value.decode()) for line in http.header_map.headers] or list(http.headers.items())
    return Sent(
        method=http.method,
        host=http.host,
        path=http.path,
        headers=tuple((name, text) for name, text in shown if not name.startswith((":", "x-envoy-"))),
        body=http.raw_body,
        source=attributes.source.address.socket_address.address,
    )


def _query(form: RequestForm) -> str:
    if not form.query:
        return ""
    pairs = [(name, value) for name, values in form.query.items() for value in values]
    return ("&" if "?" in form.path else "?") + urlencode(pairs, quote_via=quote)


def _body(form: RequestForm) -> tuple[bytes, str]:
    """Return the body and the content type that it has unless the case names one."""
    if form.form:
        pairs = [(name, value) for name, values in form.form.items() for value in values]
        return urlencode(pairs).encode(), _FORM
    if form.body is None:
        return b"", ""
    if isinstance(form.body, str):
        return form.body.encode(), ""
    return json.dumps(form.body).encode(), _JSON


def _merged(lines: Iterable[tuple[str, str]]) -> dict[str, str]:
    merged: dict[str, str] = {}
    for name, value in lines:
        merged[name] = f"{merged[name]},{value}" if name in merged else value
    return merged


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What an answer says to Envoy.

    Attributes:
        allowed: the request goes on.
        status: HTTP status of the denial; None for an allow.
        response: headers of the denial by name.
        upstream: headers that are set on the request before it goes on.
        removed: headers that are taken off before it goes on.
        removed_parameters: query parameters that are taken off.
    """

    allowed: bool
    status: int | None = None
    response: Mapping[str, str] = field(default_factory=dict)
    upstream: Mapping[str, str] = field(default_factory=dict)
    removed: frozenset[str] = frozenset()
    removed_parameters: frozenset[str] = frozenset()


def read_answer(raw: bytes) -> Said:
    """Return what a serialised `CheckResponse` says."""
    answer = CheckResponse.FromString(raw)
    if answer.status.code:
        denied = answer.denied_response
        headers = {option.header.key: option.header.value for option in denied.headers}
        return Said(allowed=False, status=denied.status.code, response=headers)
    allowed = answer.ok_response
    return Said(
        allowed=True,
        upstream={option.header.key: option.header.value for option in allowed.headers},
        removed=frozenset(allowed.headers_to_remove),
        removed_parameters=frozenset(allowed.query_parameters_to_remove),
    )
