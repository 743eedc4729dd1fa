"""The request body as JSON, or a refusal: a body that policy reads is read completely, in one way, or not at all."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from extauthz.errors import Refusal, StrictJsonError
from extauthz.limits import MAX_BODY_JSON_BYTES
from extauthz.model.reason import Reason
from extauthz.model.request import BodyState
from extauthz.strictjson import load_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.model.request import Body, Headers, Request

_JSON_TYPE: Final = re.compile(
    r"""application/(?:json|[a-z0-9!#$&^_.-]+\+json)[ \t]*(?:;[ \t]*charset=(?:utf-8|"utf-8")[ \t]*)?""", re.IGNORECASE
)
"""RFC 9110 section 8.3.1 and RFC 6839 section 3.1. JSON has no other encoding than UTF-8 (RFC 8259 section 8.1)."""


def read_json_body(request: Request) -> dict[str, Any]:
    """Return the JSON object in the body.

    Raises:
        Refusal: `unreadable_body`: absent, cut off, compressed, of another type, or not JSON with exactly one reading.
    """
    require_whole(request.body, "a JSON object")
    require_plain(request.headers, _JSON_TYPE, "application/json")
    try:
        return load_object(request.body.raw, max_bytes=MAX_BODY_JSON_BYTES)
    except StrictJsonError as error:
        detail = "The body must be one JSON object, without repeated members."
        raise Refusal(Reason.UNREADABLE_BODY, detail, inner=f"body: {error}") from error


def require_whole(body: Body, wanted: str) -> None:
    """Refuse a body that is not there whole.

    Args:
        body: as Envoy handed it over.
        wanted: what it should be, with its article, for the sentence.

    Raises:
        Refusal: `unreadable_body`: absent or cut off.
    """
    if body.state is BodyState.ABSENT:
        detail = f"This action is decided by the body: send {wanted}."
        raise Refusal(Reason.UNREADABLE_BODY, detail, inner="body: absent")
    if body.state is BodyState.PARTIAL:
        raise Refusal(
            Reason.UNREADABLE_BODY,
            "This action is decided by the body: send one that the proxy can buffer.",
            inner="body: partial",
        )


def require_plain(headers: Headers, media_type: re.Pattern[str], wanted: str) -> None:
    """Refuse a body of another type, or a compressed one.

    Args:
        headers: of the request.
        media_type: what `content-type` must match.
        wanted: the type by name, for the sentence.

    Raises:
        Refusal: `unreadable_body`.
    """
    types = headers.all("content-type")
    if len(types) != 1 or media_type.fullmatch(types[0]) is None:
        detail = f"Send the body with `content-type: {wanted}`."
        raise Refusal(Reason.UNREADABLE_BODY, detail, inner="body: content-type")
    encodings = headers.all("content-encoding")
    if any(encoding.strip().lower() not in {"", "identity"} for encoding in encodings):
        raise Refusal(Reason.UNREADABLE_BODY, "Send the body without content-encoding.", inner="body: content-encoding")


def find_member(body: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """Return the member at `path`; None when it, or an object on the way, is not there.

    Raises:
        Refusal: `unreadable_body`: a member on the way is not an object, or another member differs from it in letter
            case only, which readers that ignore case (Go's `encoding/json`) may take instead. A null is refused as
            well: it is neither there nor absent.
    """
    value: Any = body
    for name in path:
        if not isinstance(value, dict):
            raise Refusal(
                Reason.UNREADABLE_BODY,
                f"The member {'.'.join(path)} of the body must be inside an object.",
                inner="body: not an object",
            )
        folded = name.casefold()
        if any(other != name and other.casefold() == folded for other in value):
            raise Refusal(
                Reason.UNREADABLE_BODY,
                f"The member {name} of the body must be written exactly so, once.",
                inner="body: case twin",
            )
        if name not in value:
            return None
        value = value[name]
    if value is None:
        raise Refusal(
            Reason.UNREADABLE_BODY, f"The member {'.'.join(path)} of the body must not be null.", inner="body: null"
        )
    return value
