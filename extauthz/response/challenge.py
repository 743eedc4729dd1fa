"""Headers of denials that tell a client how to go on: `WWW-Authenticate`, `Allow`, `Retry-After` and `DPoP-Nonce`.

`WWW-Authenticate` (RFC 6750 section 3, RFC 9470 section 3, RFC 9449 section 7.1) holds one challenge, in the scheme
that the resource declares. Only a request with several credentials, refused before its resource is known, gets one for
each scheme that it tried. Each parameter of a challenge stands there once, and `realm` always, because a challenge
needs a parameter; `resource_metadata` (RFC 9728 section 5.1) where the resource publishes any. A request without a
credential is told how to come, not what it did wrong (RFC 6750 section 3.1). Proof comes before policy: denials that
reveal scopes or sign-in levels exist only for callers whose token was verified.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from extauthz.limits import MAX_CHALLENGE_TEXT
from extauthz.model.identity import Credential
from extauthz.model.reason import REASONS, Reason
from extauthz.model.verdict import ObtainScopes, StepUp, UseMethod, WaitUntil
from extauthz.response.header_text import to_quotable, to_token_list
from extauthz.response.status import FORBIDDEN, asks_step_up, has_no_challenge, own_status

if TYPE_CHECKING:
    from extauthz.clock import Instant
    from extauthz.model.decision import Target
    from extauthz.model.verdict import Deny, Remedy

DEFAULT_REALM: Final = "extauthz"
"""Realm of resources whose verification profile names none."""

_SCHEMES: Final = {"bearer": "Bearer", "dpop": "DPoP", "api_key": "ApiKey"}
"""`ApiKey` is our own: nothing is registered for keys, and `Bearer` would ask for what does not help. Its parameter
`header` says where the key is expected."""

_NONCE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,256}")
"""`nonce` of RFC 9449 section 8.1, bounded."""

_METHOD: Final = re.compile(r"[A-Z-]{1,32}")


class _Asked(NamedTuple):
    """What a challenge says of a resource, as its `Target` does."""

    realm: str = ""
    metadata_url: str = ""
    proof_algorithms: tuple[str, ...] = ()
    credential: str = ""
    carrier: str = ""


_UNKNOWN: Final = _Asked()


def find_challenge(deny: Deny, target: Target | None) -> str | None:
    """Return the value of `WWW-Authenticate`, or None when another credential would not help.

    Args:
        deny: the denial.
        target: what the request meant, None when it was refused before that was known.
    """
    asked = _UNKNOWN
    if target is not None:
        asked = _Asked(target.realm, target.metadata_url, target.proof_algorithms, target.credential, target.carrier)
    return _challenge(deny.reason, deny.detail[:MAX_CHALLENGE_TEXT], deny.remedies, deny.schemes, asked)


@lru_cache(maxsize=1024)
def _challenge(
    reason: Reason, detail: str, remedies: tuple[Remedy, ...], tried: tuple[str, ...], asked: _Asked
) -> str | None:
    """Most denials of a resource ask for the same. Whatever a challenge says is among the arguments."""
    error = _error_of(reason, remedies)
    if (error is None and not REASONS[reason].challenge) or has_no_challenge(asked.credential):
        return None
    if reason is Reason.STEP_UP_REQUIRED and not asks_step_up(reason, remedies):
        return None
    parameters = [("realm", to_quotable(asked.realm) or DEFAULT_REALM)]
    if error is not None:
        parameters.append(("error", error))
        parameters.append(("error_description", to_quotable(detail or REASONS[reason].title)))
    parameters.extend(_remedy_parameters(reason, remedies))
    if asked.metadata_url:
        parameters.append(("resource_metadata", to_quotable(asked.metadata_url)))
    if asked.proof_algorithms:
        parameters.append(("algs", to_token_list(asked.proof_algorithms)))
        schemes: tuple[str, ...] = ("dpop",)
    elif asked.credential == Credential.API_KEY:
        parameters.append(("header", to_quotable(asked.carrier)))
        schemes = ("api_key",)
    else:
        schemes = tried or ("bearer",)
    written = ", ".join(f'{name}="{value}"' for name, value in parameters)
    return ", ".join(f"{_SCHEMES[scheme]} {written}" for scheme in schemes)


def find_nonce_header(nonce: str) -> str | None:
    """Return the value of `DPoP-Nonce` (RFC 9449 section 8.2), None when there is nothing new to say."""
    return nonce if nonce and _NONCE.fullmatch(nonce) is not None else None


def find_allow_header(deny: Deny) -> str | None:
    """Return the value of `Allow` (RFC 9110 section 10.2.1), or None when the denial names no methods."""
    methods = [
        method
        for remedy in deny.remedies
        if isinstance(remedy, UseMethod)
        for method in remedy.methods
        if _METHOD.fullmatch(method)
    ]
    return ", ".join(dict.fromkeys(methods)) or None


def find_retry_header(deny: Deny, at: Instant) -> str | None:
    """Return the value of `Retry-After` (RFC 9110 section 10.2.3) in seconds from `at`, or None."""
    instants = [remedy.opens_at for remedy in deny.remedies if isinstance(remedy, WaitUntil)]
    return str(max(1, math.ceil(max(instants) - at))) if instants else None


def _error_of(reason: Reason, remedies: tuple[Remedy, ...]) -> str | None:
    if asks_step_up(reason, remedies):
        return "insufficient_user_authentication"
    if own_status(reason, remedies) == FORBIDDEN and any(isinstance(remedy, ObtainScopes) for remedy in remedies):
        return "insufficient_scope"
    return REASONS[reason].error


def _remedy_parameters(reason: Reason, remedies: tuple[Remedy, ...]) -> list[tuple[str, str]]:
    """Return `scope`, `acr_values` and `max_age`, each at most once.

    Several scope remedies add up. Of several sign-ins the first that names contexts and the shortest age are asked for:
    who meets those has done the most that one sign-in can do.
    """
    scopes = to_token_list(scope for remedy in remedies if isinstance(remedy, ObtainScopes) for scope in remedy.scopes)
    found = [("scope", scopes)] if scopes else []
    if not asks_step_up(reason, remedies):
        return found
    sign_ins = [remedy for remedy in remedies if isinstance(remedy, StepUp)]
    contexts = next((remedy.acr_values for remedy in sign_ins if remedy.acr_values), ())
    acr_values = to_token_list(contexts)
    if acr_values:
        found.append(("acr_values", acr_values))
    ages = [remedy.max_age for remedy in sign_ins if remedy.max_age is not None]
    if ages:
        found.append(("max_age", str(max(0, min(ages)))))
    return found
