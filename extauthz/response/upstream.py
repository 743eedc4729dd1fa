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
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Final, NamedTuple

from extauthz.model.identity import Kind
from extauthz.model.request import Headers
from extauthz.response.credentials import CREDENTIAL_HEADERS, CREDENTIAL_PARAMETERS, CREDENTIAL_PREFIXES
from extauthz.response.header_text import to_header_value
from extauthz.response.wire import header_option, parameter_removals, removals

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
"""Characters of the name of a header."""
_LONGEST_REMEMBERED_NAMES: Final = 2048
"""Characters of the names of all headers of a request, together."""
_LONGEST_REMEMBERED_CALLER: Final = 512
"""Characters of what is set about a caller besides the subject, together."""


def to_upstream(decision: Decision, request: Request, target: Target) -> bytes:
    """Return the changes for an allowed request: fields of an `OkHttpResponse`. No name is set and removed, or twice.

    Raises:
        ValueError: an identity value does not fit into a header.
    """
    headers, ours = _headers(decision)
    forward = _forwarded(decision, target)
    unseen = _NOTHING if request.headers.complete else _unseen(ours, target.carrier, forward)
    changes = headers + unseen.serialised
    unwanted = _unwanted(request, target.carrier, forward)
    if unwanted:
        changes += removals([name for name in unwanted if name not in ours and name not in unseen.names])
    parameters = _undeclared_parameters(request, target.carrier, forward) if request.query else ()
    return changes + parameter_removals(parameters) if parameters else changes


def to_observed_upstream(decision: Decision, request: Request | None) -> bytes:
    """Return the changes for a request that is only observed: our headers and no look-alike, all else as it was.

    Args:
        decision: says who the caller is, if that was proven.
        request: None when it could not be read; look-alikes that are no usual spelling go on then.

    Raises:
        ValueError: an identity value does not fit into a header.
    """
    headers, ours = _headers(decision)
    shown = request.headers if request is not None else Headers()
    unseen = _NOTHING if shown.complete else _ours_unseen(ours)
    seen = [name for name in shown.lines if name not in ours and name not in unseen.names and _is_like_ours(name)]
    return headers + unseen.serialised + removals(sorted(seen))


def undeclared_credentials(decision: Decision, request: Request, target: Target) -> tuple[str, ...]:
    """Return what `to_upstream` removes of the credentials in a request: header names, then parameters as `?name`."""
    forward = _forwarded(decision, target)
    headers = [name for name in _unwanted(request, target.carrier, forward) if not _is_like_ours(name)]
    return (*headers, *(f"?{name}" for name in _undeclared_parameters(request, target.carrier, forward)))


def _forwarded(decision: Decision, target: Target) -> frozenset[str]:
    """Return what goes upstream: a transaction token if, and only if, it was verified, whatever a resource forwards."""
    if decision.identity is not None and decision.identity.transaction:
        return target.forward | {_TRANSACTION}
    return target.forward - {_TRANSACTION} if _TRANSACTION in target.forward else target.forward


class _Unseen(NamedTuple):
    """What is removed whether or not Envoy showed it to us: names, and the same serialised."""

    names: frozenset[str]
    serialised: bytes


_NOTHING: Final = _Unseen(frozenset(), b"")


@lru_cache(maxsize=1024)
def _unseen(ours: tuple[str, ...], carrier: str, forward: frozenset[str]) -> _Unseen:
    own = _ours_unseen(ours)
    credentials = sorted(CREDENTIAL_HEADERS - forward - {carrier})
    return _Unseen(own.names.union(credentials), own.serialised + removals(credentials))


@lru_cache(maxsize=256)
def _ours_unseen(ours: tuple[str, ...]) -> _Unseen:
    names = [name for name in OWN_NAMES if name not in ours]
    return _Unseen(frozenset(names), removals(names))


def _headers(decision: Decision) -> tuple[bytes, tuple[str, ...]]:
    """Return what is set, as entries of `headers`, and the names of it."""
    identity = decision.identity
    if identity is None or identity.subject.kind is Kind.ANONYMOUS:
        subject, others = "", _NOBODY
    else:
        subject, others = identity.subject.subject, _others(identity)
    around = _around_id if len("".join(others)) <= _LONGEST_REMEMBERED_CALLER else _around_id.__wrapped__
    known = around(bool(subject), others, decision.policy or "")
    own = known.before + header_option(DECISION_HEADERS[0], to_header_value(decision.decision_id)) + known.after
    return header_option(IDENTITY_HEADERS[0], to_header_value(subject)) + own if subject else own, known.names


_NOBODY: Final = ("",) * (len(IDENTITY_HEADERS) - 1)


def _others(identity: Identity) -> tuple[str, ...]:
    """Return the values for `IDENTITY_HEADERS` but the first, in order, empty where nothing is known."""
    subject, actor = identity.subject, identity.actor
    acting = (actor.subject, actor.issuer) if actor is not None else ("", "")
    return (*acting, identity.client, subject.kind or "", identity.tenant, subject.issuer)


class _AroundId(NamedTuple):
    """What is set besides the subject and the decision's id: the same for many requests.

    Attributes:
        before: entries of `headers` that come before the id.
        after: those that come after it.
        names: of all that is set, subject and id included.
    """

    before: bytes
    after: bytes
    names: tuple[str, ...]


@lru_cache(maxsize=1024)
def _around_id(named: bool, others: tuple[str, ...], policy: str) -> _AroundId:  # noqa: FBT001 — part of a key
    set_for = (named, *map(bool, others), True, bool(policy))
    names = tuple(name for name, is_set in zip((*IDENTITY_HEADERS, *DECISION_HEADERS), set_for, strict=True) if is_set)
    before = [
        header_option(name, to_header_value(value))
        for name, value in zip(IDENTITY_HEADERS[1:], others, strict=True)
        if value
    ]
    after = header_option(DECISION_HEADERS[1], to_header_value(policy)) if policy else b""
    return _AroundId(b"".join(before), after, names)


def _spellings(name: str) -> list[str]:
    """Return `name` with each hyphen written as a hyphen or an underscore, in all combinations."""
    parts = name.split("-")
    joints = product("-_", repeat=len(parts) - 1)
    return ["".join(part + joint for part, joint in zip(parts, (*row, ""), strict=True)) for row in joints]


OWN_NAMES: Final = tuple(
    dict.fromkeys(spelling for name in (*IDENTITY_HEADERS, *DECISION_HEADERS) for spelling in _spellings(name))
)
"""Every header of ours, in every spelling with hyphens and underscores."""


def _unwanted(request: Request, carrier: str, forward: frozenset[str]) -> tuple[str, ...]:
    """Return names of headers in a request that must not reach the upstream unless we set them, sorted."""
    names = tuple(request.headers.lines)
    # Clients choose names, here and below, so only short ones may take room in a cache.
    choose = _unwanted_among if len("".join(names)) <= _LONGEST_REMEMBERED_NAMES else _unwanted_among.__wrapped__
    return choose(names, carrier, forward)


@lru_cache(maxsize=512)
def _unwanted_among(names: tuple[str, ...], carrier: str, forward: frozenset[str]) -> tuple[str, ...]:
    """Clients of one kind send the same names time and again."""
    return tuple(sorted(name for name in names if _is_unwanted(name, carrier, forward)))


def _is_unwanted(name: str, carrier: str, forward: frozenset[str]) -> bool:
    judge = _judge if len(name) <= _LONGEST_REMEMBERED_NAME else _judge.__wrapped__
    return judge(name, carrier, forward)


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


def _undeclared_parameters(request: Request, carrier: str, forward: frozenset[str]) -> tuple[str, ...]:
    """Return the credential parameters present, except those whose header form the resource declares."""
    present = CREDENTIAL_PARAMETERS.intersection(dict(request.query))
    if not present:
        return ()
    declared = {carrier, *forward}
    return tuple(sorted(name for name in present if name.replace("_", "-") not in declared))
