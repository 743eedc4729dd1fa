"""What Envoy sends: serialised `CheckRequest`s in both header shapes, well-formed unless a test asks otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from extauthz.gen.envoy.config.core.v3.address_pb2 import Address, Pipe, SocketAddress
from extauthz.gen.envoy.config.core.v3.base_pb2 import HeaderMap, HeaderValue
from extauthz.gen.envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckRequest

HeaderLines = Mapping[str, str | bytes] | Iterable[tuple[str, str | bytes]]
"""Header lines in order: a mapping, or pairs when one name has several lines. Bytes are what went over the wire."""

TYPICAL_HEADERS: Mapping[str, str] = {
    "user-agent": "python-httpx/0.28.1",
    "accept": "application/json",
    "accept-encoding": "gzip, deflate, br",
    "x-forwarded-proto": "https",
    "x-forwarded-for": "198.51.100.7",
    "x-request-id": "7d9f1c8e-5b0a-4a53-9f6e-0c7f2f3b8a11",
    "x-envoy-external-address": "198.51.100.7",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "content-type": "application/json",
    "cache-control": "no-cache",
    "authorization": "Bearer eyJhbGciOiJFUzI1NiJ9.e30.AAAA",
}
"""Headers of an everyday API call; with the four pseudo headers there are fifteen."""


def check_request(
    method: str = "GET",
    path: str = "/",
    host: str = "api.example.com",
    headers: HeaderLines = (),
    *,
    raw_headers: bool = False,
    pseudo: Mapping[str, str] | None = None,
    body: str | bytes | None = None,
    raw_body: bytes | None = None,
    partial: bool | None = None,
    source: str | None = "192.0.2.10",
    principal: str = "",
    certificate: str = "",
    sni: str = "",
    context: Mapping[str, str] | None = None,
    scheme: str = "https",
    protocol: str = "HTTP/2",
    stream_id: str = "1234567890123456789",
    size: int | None = None,
) -> bytes:
    """Return the bytes of a `CheckRequest`, as Envoy would make them for this HTTP request.

    Args:
        method: request method, as received.
        path: `:path`, query included, as received.
        host: `:authority`, as received.
        headers: header lines without pseudo headers. Envoy merges lines of one name with a comma unless `raw_headers`.
        raw_headers: send `header_map` with `raw_value` as with `encode_raw_headers: true`, instead of `headers`.
        pseudo: pseudo headers to show in the header map; by default those that agree with the other arguments, `{}` for
            none. Those named here replace the default ones altogether.
        body: the text that `with_request_body` sends; bytes are shown as Envoy shows them in a text field.
        raw_body: the same with `pack_as_bytes: true`.
        partial: value of `x-envoy-auth-partial-body`; by default `false` when there is a body, and no header without.
        source: remote IP address; a path that starts with `/` is a pipe; None leaves the source out.
        principal: `source.principal`.
        certificate: `source.certificate`, URL-encoded PEM.
        sni: `tls_session.sni`.
        context: `context_extensions` of the route.
        scheme: `scheme`.
        protocol: `protocol`.
        stream_id: `http.id`, Envoy's stream id.
        size: `size`; by default the length of the body.
    """
    if pseudo is None:
        pseudo = {":authority": host, ":path": path, ":method": method, ":scheme": scheme}
    given = headers.items() if isinstance(headers, Mapping) else headers
    lines: list[tuple[str, bytes]] = [(name, _wire(value)) for name, value in (*pseudo.items(), *given)]
    sent = body if body is not None else raw_body
    if partial is None and sent is not None:
        partial = False
    if partial is not None:
        lines.append(("x-envoy-auth-partial-body", b"true" if partial else b"false"))
    http = AttributeContext.HttpRequest(
        id=stream_id,
        method=method,
        path=path,
        host=host,
        scheme=scheme,
        protocol=protocol,
        size=size if size is not None else len(sent or b""),
        body=mangled(_wire(body)) if body is not None else "",
        raw_body=raw_body or b"",
    )
    if raw_headers:
        http.header_map.CopyFrom(HeaderMap(headers=[HeaderValue(key=name, raw_value=value) for name, value in lines]))
    else:
        http.headers.update(merged(lines))
    attributes = AttributeContext(request=AttributeContext.Request(http=http), context_extensions=context or {})
    if source is not None:
        attributes.source.CopyFrom(
            AttributeContext.Peer(address=_address(source), principal=principal, certificate=certificate)
        )
    if sni:
        attributes.tls_session.sni = sni
    return CheckRequest(attributes=attributes).SerializeToString()


def grpc_caller_request(path: str, host: str = "api.example.com", headers: HeaderLines = ()) -> bytes:
    """Return what gRPC itself sends as an ext_authz client (gRFC A92): only `header_map`, size -1, much unset."""
    given = headers.items() if isinstance(headers, Mapping) else headers
    http = AttributeContext.HttpRequest(
        method="POST",
        path=path,
        host=host,
        size=-1,
        protocol="HTTP/2",
        header_map=HeaderMap(headers=[HeaderValue(key=name, raw_value=_wire(value)) for name, value in given]),
    )
    attributes = AttributeContext(request=AttributeContext.Request(http=http))
    attributes.source.address.CopyFrom(_address("192.0.2.10"))
    return CheckRequest(attributes=attributes).SerializeToString()


def merged(lines: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    """Return header lines as Envoy's `headers` map shows them: one text per name, joined with a comma, mangled."""
    joined: dict[str, bytes] = {}
    for name, value in lines:
        joined[name] = joined[name] + b"," + value if name in joined else value
    return {name: mangled(value) for name, value in joined.items()}


def mangled(value: bytes) -> str:
    """Return bytes as Envoy shows them in a text field: each byte that is not part of valid UTF-8 becomes `!`."""
    text = ""
    while value:
        try:
            return text + value.decode("utf-8")
        except UnicodeDecodeError as error:
            text += value[: error.start].decode("utf-8") + "!"
            value = value[error.start + 1 :]
    return text


def _wire(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8")


def _address(source: str) -> Address:
    if source.startswith("/"):
        return Address(pipe=Pipe(path=source))
    return Address(socket_address=SocketAddress(address=source, port_value=40312))
