"""How much of the body Envoy handed over. Reading it is the policy's business, and only for resources that need it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from extauthz.errors import Refusal
from extauthz.model.reason import Reason
from extauthz.model.request import Body, BodyState

if TYPE_CHECKING:
    from extauthz.model.request import Headers

PARTIAL_BODY_HEADER: Final = "x-envoy-auth-partial-body"
"""Envoy adds it to the question, never to the upstream request, whenever it hands over a body; a client's own copy is
left out of the question."""

_ABSENT: Final = Body()
_STATES: Final = {"true": BodyState.PARTIAL, "false": BodyState.COMPLETE}


def body_from(headers: Headers, body: str, raw_body: bytes) -> Body:
    """Return the body of a request.

    Without the header there is no body (buffering is off, or the request is an upgrade). Bytes without the header come
    from a caller that does not say whether they are all, so they count as partial. Complete
    and empty is no body.

    `body` is text in which Envoy replaced bytes that are not UTF-8 by `!`, so `raw_body` (`pack_as_bytes`) is the more
    faithful form; both are read alike.

    Raises:
        Refusal: both forms are filled, or the header is neither `true` nor `false`.
    """
    if body and raw_body:
        raise Refusal(
            Reason.MALFORMED_REQUEST, "The proxy shows two bodies; set pack_as_bytes one way.", inner="two bodies"
        )
    raw = raw_body or body.encode("utf-8")
    flags = headers.all(PARTIAL_BODY_HEADER)
    if not flags:
        return Body(BodyState.PARTIAL, raw) if raw else _ABSENT
    state = _STATES.get(flags[0])
    if state is None:
        raise Refusal(
            Reason.MALFORMED_REQUEST, "x-envoy-auth-partial-body must be true or false.", inner="partial body flag"
        )
    return Body(state, raw) if raw or state is BodyState.PARTIAL else _ABSENT
