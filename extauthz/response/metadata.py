"""Dynamic metadata of every answer: what Envoy's access log and later filters may read.

Envoy puts it into the namespace `envoy.filters.http.ext_authz`, for example
`%DYNAMIC_METADATA(envoy.filters.http.ext_authz:decision_id)%`. Names and codes only: no claim, header or token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from extauthz.limits import MAX_RECORDED_TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extauthz.model.decision import Decision
    from extauthz.model.identity import Identity


def to_metadata(decision: Decision) -> list[tuple[str, str]]:
    """Return name and text of each field; what is not known is not a member."""
    fields: list[tuple[str, str]] = [
        ("decision_id", decision.decision_id),
        ("outcome", "allow" if decision.allowed else "deny"),
        ("reason", decision.reason.value),
        ("rule", decision.verdict.rule or ""),
        ("policy", decision.policy or ""),
    ]
    if decision.observed is not None:
        would = decision.observed.would
        fields += [("mode", "observe"), ("would_reason", would.reason.value if would is not None else "")]
    if decision.target is not None:
        fields += [("resource", decision.target.resource), ("action", decision.target.action)]
    if decision.identity is not None:
        fields += _about(decision.identity)
    return [(name, _bounded(text)) for name, text in fields if text]


def _about(identity: Identity) -> Iterator[tuple[str, str]]:
    yield "subject", identity.subject.subject
    yield "issuer", identity.subject.issuer
    yield "kind", identity.subject.kind.value if identity.subject.kind is not None else ""
    yield "actor", identity.actor.subject if identity.actor is not None else ""
    yield "client", identity.client
    yield "tenant", identity.tenant


def _bounded(text: str) -> str:
    """Return text of bounded length that has a UTF-8 form; lone surrogates would make the whole answer fail."""
    text = text[:MAX_RECORDED_TEXT]
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
