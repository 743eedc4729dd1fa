"""What an allowed request takes along to the upstream: our identity headers, and no other credential than declared.

Envoy sets first and removes afterwards, so no name is ever in both. Four kinds of names are removed:

1. ours that are not set for this caller;
2. look-alikes of ours: servers that turn headers into variables read `x_extauthz_subject` as `x-extauthz-subject`;
3. known credential headers other than the declared carrier, those that the resource forwards and a transaction token
   that was verified, and look-alikes;
4. look-alikes of the carrier and of forwarded headers.

All are removed where we see them. Unless every header is known to be shown (`Headers.complete`), Envoy may hide some:
then ours in every spelling with hyphens and underscores, and the known credential headers, are removed without having
been seen. Spellings and families without end (`x.extauthz.subject`, `x-amzn-oidc-…`) can only be removed where seen.

Query parameters that carry credentials are removed where they are present: a removal makes Envoy write the query anew.
Envoy compares their names as they were sent, so a name in percent-encoding (`access%5Ftoken`) has to be refused before.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Final

from extauthz.model.identity import Kind
from extauthz.model.request import Headers
from extauthz.response.credentials import CREDENTIAL_HEADERS, CREDENTIAL_PARAMETERS, CREDENTIAL_PREFIXES
from extauthz.response.header_text import to_header_value

if TYPE_CHECKING:
    from extauthz.model.decision import Decision, Target
    from extauthz.model.identity import Identity
    from extauthz.model.request import Request

PREFIX: Final = "x-extauthz-"
_TRANSACTION: Final = "txn-token"
"""Passed on unchanged once it is verified (OAuth Transaction Tokens, IETF draft), for the services behind."""

IDENTITY_HEADERS: Final = (
    "x-extauthz-subject",
    "x-extauthz-actor",
    "x-extauthz-actor-issuer",
    "x-extauthz-client",
    "x-extauthz-kind",
    "x-extauthz-tenant",
    "x-extauthz-issuer",
)
"""About the caller. `issuer` vouches for the subject, `actor-issuer` for the actor: no name means anything alone."""
DECISION_HEADERS: Final = ("x-extauthz-decision-id", "x-extauthz-policy")
"""About the decision; also set for anonymous callers."""

_NOT_ALPHANUMERIC: Final = re.compile(r"[^a-z0-9]")
_LONGEST_REMEMBERED_NAME: Final = 64
"""Characters."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """Changes to the request before it goes on.

    Attributes:
        headers: name and value of what is set; overwrites whatever the client sent.
        remove: header names, lower case, that are removed without having been seen.
        remove_seen: further header names that this request carries. Together with `remove` each name stands once, and
            none of them in `headers`.
        remove_parameters: query parameter names.
    """

    headers: tuple[tuple[str, str], ...]
    remove: tuple[str, ...]
    remove_seen: tuple[str, ...]
    remove_parameters: tuple[str, ...]


def to_upstream(decision: Decision, request: Request, target: Target) -> Upstream:
    """Return the changes for an allowed request.

    Raises:
        ValueError: an identity value does not fit into a header.
    """
    headers = _headers(decision)
    target = _forwarding(decision, target)
    wanted = dict(headers)
    unseen = _NONE if request.headers.complete else _names_to_remove(tuple(wanted), target.carrier, target.forward)
    seen = sorted(  # in one order, so that equal requests have equal answers
        name
        for name in request.headers.lines
        if name not in wanted and name not in unseen.among and _is_unwanted(name, target)
    )
    parameters = _undeclared_parameters(request, target) if request.query else ()
    return Upstream(tuple(headers), unseen.names, tuple(seen), parameters)


def to_observed_upstream(decision: Decision, request: Request | None) -> Upstream:
    """Return the changes for a request that is only observed: our headers and no look-alike, all else as it was.

    Args:
        decision: says who the caller is, if that was proven.
        request: None when it could not be read; look-alikes that are no usual spelling go on then.

    Raises:
        ValueError: an identity value does not fit into a header.
    """
    headers = _headers(decision)
    wanted = dict(headers)
    shown = request.headers if request is not None else Headers()
    unseen = () if shown.complete else tuple(name for name in OWN_NAMES if name not in wanted)
    seen = sorted(name for name in shown.lines if name not in wanted and name not in unseen and _is_like_ours(name))
    return Upstream(tuple(headers), unseen, tuple(seen), ())


def undeclared_credentials(decision: Decision, request: Request, target: Target) -> tuple[str, ...]:
    """Return what `to_upstream` removes of the credentials in a request: header names, then parameters as `?name`."""
    target = _forwarding(decision, target)
    headers = sorted(name for name in request.headers.lines if _is_unwanted(name, target) and not _is_like_ours(name))
    return (*headers, *(f"?{name}" for name in _undeclared_parameters(request, target)))


def _forwarding(decision: Decision, target: Target) -> Target:
    verified = decision.identity is not None and bool(decision.identity.transaction)
    if verified or _TRANSACTION in target.forward:
        return replace(target, forward=_with_transaction(target.forward, verified=verified))
    return target


def _with_transaction(forward: frozenset[str], *, verified: bool) -> frozenset[str]:
    """Return what goes upstream: a transaction token if, and only if, it was verified, whatever a resource forwards."""
    return forward | {_TRANSACTION} if verified else forward - {_TRANSACTION}


@dataclass(frozen=True, slots=True)
class _Unseen:
    names: tuple[str, ...]
    among: frozenset[str]


_NONE: Final = _Unseen((), frozenset())


@lru_cache(maxsize=1024)
def _names_to_remove(wanted: tuple[str, ...], carrier: str, forward: frozenset[str]) -> _Unseen:
    """Return what is removed whether or not Envoy showed it to us."""
    own = [name for name in OWN_NAMES if name not in wanted]
    names = (*own, *sorted(CREDENTIAL_HEADERS - forward - {carrier}))
    return _Unseen(names, frozenset(names))


def _headers(decision: Decision) -> list[tuple[str, str]]:
    values = _identity_values(decision.identity) if decision.identity is not None else ()
    named = [(name, to_header_value(value)) for name, value in zip(IDENTITY_HEADERS, values, strict=False) if value]
    named.append((DECISION_HEADERS[0], to_header_value(decision.decision_id)))
    if decision.policy:
        named.append((DECISION_HEADERS[1], to_header_value(decision.policy)))
    return named


def _identity_values(identity: Identity) -> tuple[str, ...]:
    """Return the values for `IDENTITY_HEADERS` in order, empty where nothing is known; none for anonymous callers."""
    subject = identity.subject
    if subject.kind is Kind.ANONYMOUS:
        return ()
    actor = (identity.actor.subject, identity.actor.issuer) if identity.actor is not None else ("", "")
    return (subject.subject, *actor, identity.client, subject.kind or "", identity.tenant, subject.issuer)


def _spellings(name: str) -> list[str]:
    """Return `name` with each hyphen written as a hyphen or an underscore, in all combinations."""
    parts = name.split("-")
    joints = product("-_", repeat=len(parts) - 1)
    return ["".join(part + joint for part, joint in zip(parts, (*row, ""), strict=True)) for row in joints]


OWN_NAMES: Final = tuple(
    dict.fromkeys(spelling for name in (*IDENTITY_HEADERS, *DECISION_HEADERS) for spelling in _spellings(name))
)
"""Every header of ours, in every spelling with hyphens and underscores."""


def _is_unwanted(name: str, target: Target) -> bool:
    """Return whether a header that the client sent, and that we do not set, must not reach the upstream."""
    # Clients choose names, so only short ones may take room in the cache.
    judge = _judge if len(name) <= _LONGEST_REMEMBERED_NAME else _judge.__wrapped__
    return judge(name, target.carrier, target.forward)


@lru_cache(maxsize=8192)
def _judge(name: str, carrier: str, forward: frozenset[str]) -> bool:
    if _is_like_ours(name):
        return True
    plain = _NOT_ALPHANUMERIC.sub("-", name.lower())
    if name == carrier or name in forward:
        return False
    return (
        plain in CREDENTIAL_HEADERS
        or plain.startswith(CREDENTIAL_PREFIXES)
        or any(plain == _NOT_ALPHANUMERIC.sub("-", declared) for declared in (carrier, *forward))
    )


def _is_like_ours(name: str) -> bool:
    return _NOT_ALPHANUMERIC.sub("-", name.lower()).startswith(PREFIX)


def _undeclared_parameters(request: Request, target: Target) -> tuple[str, ...]:
    """Return the credential parameters present, except those whose header form the resource declares."""
    present = CREDENTIAL_PARAMETERS.intersection(name for name, _ in request.query)
    declared = {target.carrier, *target.forward}
    return tuple(sorted(name for name in present if name.replace("_", "-") not in declared))
