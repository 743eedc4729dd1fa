"""One message of the Model Context Protocol in a request body, or a refusal: what is called, by which name.

Decided is the body, since it is what a server acts on. Headers that repeat it (`Mcp-Method`, `Mcp-Name`, since version
2026-07-28) are compared with it: somebody on the way may act on them. What could be read in two ways is refused, with
400: a batch, a member twice, a message that is neither request, notification nor response.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from extauthz.errors import Refusal
from extauthz.model.reason import Reason
from extauthz.policy.body import find_member, read_json_body

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.model.request import Headers, Request

VERSION_HEADER: Final = "mcp-protocol-version"
METHOD_HEADER: Final = "mcp-method"
NAME_HEADER: Final = "mcp-name"

HEADERS_READ: Final = frozenset({VERSION_HEADER, METHOD_HEADER, NAME_HEADER})
"""The headers that say something about the message."""

RESPONSE: Final = "response"
"""Stands for the method of a message that answers the server (to `sampling/createMessage` and the like)."""

NAMED_BY: Final = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "resources/subscribe": "uri",
    "resources/unsubscribe": "uri",
}
"""Methods that are about one thing, and the member of `params` that names it."""

_HEADERS_REQUIRED_SINCE: Final = "2026-07-28"
_VERSION: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_METHOD: Final = re.compile(r"[A-Za-z0-9_./$-]{1,128}")
_MAX_NAME: Final = {"name": 128, "uri": 2048}
_META_VERSION: Final = "io.modelcontextprotocol/protocolVersion"
_ENCODED: Final = re.compile(r"=\?base64\?([A-Za-z0-9+/]*={0,2})\?=")


@dataclass(frozen=True, slots=True)
class Message:
    """What is asked of an MCP server.

    Attributes:
        method: as JSON-RPC names it, or `RESPONSE`.
        name: of the tool or prompt, or URI of the resource; empty where the method is about none.
    """

    method: str
    name: str = ""


def read_message(request: Request) -> Message:
    """Return the message in the body.

    Raises:
        Refusal: `unreadable_body`: it is no message with exactly one reading; `malformed_request`: headers say another.
    """
    body = read_json_body(request)
    if find_member(body, ("jsonrpc",)) != "2.0":
        _unreadable('`jsonrpc` must be "2.0"')
    identifier = body.get("id", "")
    if not isinstance(identifier, str | int) or isinstance(identifier, bool):
        _unreadable("`id` must be a string or an integer")
    method = find_member(body, ("method",))
    if method is None:
        message = _read_response(body)
    elif not isinstance(method, str) or _METHOD.fullmatch(method) is None or method == RESPONSE:
        _unreadable("`method` must be the name of a method")
    elif "result" in body or "error" in body:
        _unreadable("a message is a request or a response, not both")
    else:
        message = Message(method, _read_name(body, method))
    _compare_headers(request.headers, message, body)
    return message


def _read_response(body: Mapping[str, Any]) -> Message:
    if "id" not in body or ("result" in body) is ("error" in body):
        _unreadable("`method` is missing")
    return Message(RESPONSE)


def _read_name(body: Mapping[str, Any], method: str) -> str:
    params = find_member(body, ("params",))
    if params is not None and not isinstance(params, dict):
        _unreadable("`params` must be an object")
    member = NAMED_BY.get(method)
    if member is None:
        return ""
    name = find_member(body, ("params", member))
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME[member] or not name.isprintable():
        _unreadable(f"`params.{member}` must be text of at most {_MAX_NAME[member]} characters")
    return name


def _compare_headers(headers: Headers, message: Message, body: Mapping[str, Any]) -> None:
    """Refuse headers that say something else than the body, or that are missing where the version demands them."""
    version = _header(headers, VERSION_HEADER)
    if version is not None and _VERSION.fullmatch(version) is None:
        _mismatch("Mcp-Protocol-Version must be a date.")
    required = version is not None and version >= _HEADERS_REQUIRED_SINCE and message.method != RESPONSE
    method = _header(headers, METHOD_HEADER)
    if method != message.method and (required or method is not None):
        _mismatch("Mcp-Method must say what the body says.")
    name = _header(headers, NAME_HEADER)
    named = message.method in NAMED_BY
    if (name is not None or (required and named)) and (name is None or _decoded(name) != message.name):
        _mismatch("Mcp-Name must say what the body says.")
    if required and find_member(body, ("params", "_meta", _META_VERSION)) != version:
        _mismatch("Mcp-Protocol-Version must say what `params._meta` says.")


def _header(headers: Headers, name: str) -> str | None:
    values = headers.all(name)
    if len(values) > 1:
        _mismatch(f"{name} must be sent once.")
    return values[0] if values else None


def _decoded(value: str) -> str:
    """Return a header's text, which is written as `=?base64?…?=` where a header could not hold it."""
    encoded = _ENCODED.fullmatch(value)
    if encoded is None:
        return value
    try:
        return base64.b64decode(encoded[1], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        _mismatch("Mcp-Name must be text.")


def _unreadable(demand: str) -> NoReturn:
    detail = f"The body must be one MCP message: {demand}."
    raise Refusal(Reason.UNREADABLE_BODY, detail, inner="body: no MCP message")


def _mismatch(demand: str) -> NoReturn:
    raise Refusal(Reason.MALFORMED_REQUEST, demand, inner="MCP headers and body differ")
