"""Dynamic metadata of every answer: what Envoy's access log and later filters may read.

Envoy puts it into the namespace `envoy.filters.http.ext_authz`, for example
`%DYNAMIC_METADATA(envoy.filters.http.ext_authz:decision_id)%`. Names and codes only: no claim, header or token.

Only the decision's id and the subject are new in most answers. The rest is remembered as it was serialised: what a rule
says of a resource, and what is known of a caller besides its name.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from extauthz.limits import MAX_RECORDED_TEXT
from extauthz.model.verdict import Allow
from extauthz.response.wire import metadata_member

if TYPE_CHECKING:
    from extauthz.model.decision import Decision
    from extauthz.model.identity import Identity

_OF_DECISIONS: Final = ("outcome", "reason", "rule", "policy", "mode", "would_reason", "resource", "action")
_OF_CALLERS: Final = ("issuer", "kind", "actor", "client", "tenant")

_LONGEST_REMEMBERED: Final = 512
"""Characters of what a credential says of its holder, together."""


def to_metadata(decision: Decision) -> bytes:
    """Return the serialised members; what is not known is not a member."""
    verdict, target, observed = decision.verdict, decision.target, decision.observed
    would = observed.would if observed is not None else None
    members = _member("decision_id", decision.decision_id) + _about_decision(
        "allow" if isinstance(verdict, Allow) else "deny",
        verdict.reason,
        verdict.rule or "",
        decision.policy or "",
        "observe" if observed is not None else "",
        would.reason if would is not None else "",
        target.resource if target is not None else "",
        target.action if target is not None else "",
    )
    return members if decision.identity is None else members + _about_caller(decision.identity)


def _about_caller(identity: Identity) -> bytes:
    subject, actor = identity.subject, identity.actor
    known = (
        subject.issuer,
        subject.kind or "",
        actor.subject if actor is not None else "",
        identity.client,
        identity.tenant,
    )
    serialise = _about_group if len("".join(known)) <= _LONGEST_REMEMBERED else _about_group.__wrapped__
    return _member("subject", subject.subject) + serialise(*known)


@lru_cache(maxsize=1024)
def _about_decision(*texts: str) -> bytes:
    return b"".join(map(_member, _OF_DECISIONS, texts))


@lru_cache(maxsize=1024)
def _about_group(*texts: str) -> bytes:
    """Return what is said alike of all callers who differ in their name only."""
    return b"".join(map(_member, _OF_CALLERS, texts))


def _member(name: str, text: str) -> bytes:
    """Return one member: bounded, and with a UTF-8 form, since lone surrogates would make the whole answer fail."""
    return metadata_member(name, text[:MAX_RECORDED_TEXT].encode("utf-8", "replace")) if text else b""
