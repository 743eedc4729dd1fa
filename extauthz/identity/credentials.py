"""Finds exactly one credential on a request, or refuses.

Where two parties could take two different credentials from one request, the proxy would prove one caller and the
upstream would serve another. So every sign of a second one refuses the request (RFC 6750 section 2: not more than one
method): a second line, a comma, an `access_token` in query or form. Deliberately not here: other products' credential
headers (`x-vault-token`, `private-token`, cookies …), which the response strips from what goes upstream, and a form
field in a body that Envoy does not hand over, which nobody here can see.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NewType

from extauthz.errors import Refusal
from extauthz.model.reason import Reason

if TYPE_CHECKING:
    from extauthz.model.request import Request

UnverifiedToken = NewType("UnverifiedToken", str)
"""A bearer token as the client sent it: hostile until `bearer.py` has proven it."""

_CARRIER: Final = "authorization"
_TOKEN_PARAMETER: Final = "access_token"  # noqa: S105 — the name of a parameter, not a password
_TOKEN68: Final = re.compile(r" *([A-Za-z0-9\-._~+/]+=*)")
"""What follows the scheme: spaces and `b64token` (RFC 6750 section 2.1)."""

_TOKEN_FIELD: Final = re.compile(
    b"&" + b"".join(b"(?i:%c|%%%02x)" % (octet, octet) for octet in _TOKEN_PARAMETER.encode()) + b"(?:[=&]|$)",
)
"""The parameter's name as a form field, each octet plain or percent-encoded; one pass over a body of any size."""

_FORM: Final = "application/x-www-form-urlencoded"

_USE_ONE = "Send exactly one credential, in one Authorization header."
_USE_BEARER = "Send a token as `Authorization: Bearer TOKEN`."
_USE_DPOP = "Send a token as `Authorization: DPoP TOKEN` with a proof in the DPoP header."


def find_bearer(request: Request) -> UnverifiedToken:
    """Return the one bearer token of the request.

    Raises:
        Refusal: `no_credentials` when there is none or it is of another scheme (so the challenge carries no error),
            `credentials_ambiguous` when there may be two, `credentials_malformed` when it is no token.
    """
    return _find_token(request, "bearer", _USE_BEARER)


def find_dpop_token(request: Request) -> UnverifiedToken:
    """Return the one token that the request presents under the scheme DPoP (RFC 9449 section 7.1).

    Raises:
        Refusal: as in `find_bearer`.
    """
    return _find_token(request, "dpop", _USE_DPOP)


def _find_token(request: Request, wanted: str, fix: str) -> UnverifiedToken:
    lines = request.headers.all(_CARRIER)
    if not lines:
        raise Refusal(Reason.NO_CREDENTIALS, fix)
    # A comma is in no token; it is how proxies join two lines, and how two challenges' answers look.
    if len(lines) > 1 or "," in lines[0]:
        raise Refusal(Reason.CREDENTIALS_AMBIGUOUS, _USE_ONE)
    scheme, _, rest = lines[0].partition(" ")
    if scheme.lower() != wanted:  # RFC 9110 section 11.1: schemes are compared without regard to case
        raise Refusal(Reason.NO_CREDENTIALS, fix)
    require_no_second_token(request)
    match = _TOKEN68.fullmatch(rest)
    if match is None:
        raise Refusal(Reason.CREDENTIALS_MALFORMED, fix)
    return UnverifiedToken(match[1])


def require_no_second_token(request: Request) -> None:
    """Raise Refusal when a token travels in the query or in a form body as well (RFC 6750 sections 2.2 and 2.3)."""
    if _TOKEN_PARAMETER in [name.lower() for name, _ in request.query] or _has_token_field(request):
        raise Refusal(
            Reason.CREDENTIALS_AMBIGUOUS,
            "Send the credential in its header only, and no access_token in query or body.",
        )


def _has_token_field(request: Request) -> bool:
    # A body cut short is searched as far as it goes: a token in what is left is a second credential all the same.
    for value in request.headers.all("content-type"):
        if value.lower().startswith(_FORM):
            return _TOKEN_FIELD.search(b"&" + request.body.raw) is not None
    return False
