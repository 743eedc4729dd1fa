"""Declared identities for people and for programs: what is declared, what is overdue, what leads nowhere."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from extauthz.clock import Instant
    from extauthz.model.registry import Registration, RoleBinding
    from extauthz.registry.index import Match, Registry


def to_document(registry: Registry, name: str, now: Instant) -> dict[str, Any]:
    """Return an entry as JSON; instants in UTC (RFC 3339), null where nothing is declared.

    Args:
        registry: as loaded.
        name: of the entry.
        now: for what is over.
    """
    match = registry.matches[name]
    entry = registry.registrations[match]
    return {
        "name": entry.name,
        "match": {"issuer": match.issuer, match.how.value: match.name},
        "status": status_of(entry, now),
        "owner": entry.owner or None,
        "purpose": entry.purpose or None,
        "kind": entry.kind.value if entry.kind is not None else None,
        "environment": entry.environment or None,
        "networks": [str(network) for network in entry.networks],
        "peer_group": entry.peer_group or None,
        "expires": _instant(entry.expires_at),
        "review_by": _instant(entry.review_by),
        "bindings": [to_binding(binding, now) for binding in registry.bindings.get(match, ())],
        "warnings": warnings_of(registry, match, now),
    }


def to_binding(binding: RoleBinding, now: Instant) -> dict[str, Any]:
    """Return a role binding as JSON."""
    status = "ended" if _is_over(binding.until, now) else "active"
    return {
        "role": binding.role,
        "where": dict(binding.where),
        "until": _instant(binding.until),
        "status": status,
    }


def status_of(entry: Registration, now: Instant) -> str:
    """Return `quarantined`, `disabled`, `expired` or `active`: what a caller would meet first."""
    if entry.standing != "active":
        return entry.standing.value
    return "expired" if _is_over(entry.expires_at, now) else "active"


def warnings_of(registry: Registry, match: Match, now: Instant) -> list[str]:
    """Return what somebody should look at, in one entry."""
    entry = registry.registrations[match]
    found = []
    if _is_over(entry.expires_at, now):
        found.append("it has expired: remove it, or give it a later end")
    if _is_over(entry.review_by, now):
        found.append("its review is overdue: look at it, then set a later `review_by`")
    if not entry.owner:
        found.append("it has no owner: nobody can be asked about it")
    found += [
        f"the role `{binding.role}` has ended: remove the binding"
        for binding in registry.bindings.get(match, ())
        if _is_over(binding.until, now)
    ]
    return found


def print_table(documents: Sequence[dict[str, Any]], screen: Console) -> None:
    """Print one line for each entry."""
    from rich.table import Table  # noqa: PLC0415 — loaded only when something is shown
    from rich.text import Text  # noqa: PLC0415 — see above

    table = Table(box=None, pad_edge=False)
    for heading in ("name", "status", "kind", "owner", "environment", "expires", "review by", "roles", "warnings"):
        table.add_column(heading, no_wrap=True)
    for document in documents:
        cells = (
            document["name"],
            document["status"],
            document["kind"] or "-",
            document["owner"] or "-",
            document["environment"] or "-",
            (document["expires"] or "never")[:10],
            (document["review_by"] or "-")[:10],
            " ".join(dict.fromkeys(each["role"] for each in document["bindings"] if each["status"] == "active")) or "-",
            str(len(document["warnings"]) or "-"),
        )
        table.add_row(*(Text(cell) for cell in cells))
    screen.print(table)


def lines_of(document: dict[str, Any]) -> Iterable[str]:
    """Yield an entry, line by line."""
    for name, value in document.items():
        if name in {"bindings", "warnings"} or value in (None, []):
            continue
        text = ", ".join(f"{key} {each}" for key, each in value.items()) if isinstance(value, dict) else value
        yield f"{name:<12}{', '.join(text) if isinstance(text, list) else text}"
    for binding in document["bindings"]:
        yield f"{'role':<12}{binding_text(binding)}"
    for warning in document["warnings"]:
        yield f"{'warning':<12}{warning}"


def binding_text(binding: dict[str, Any]) -> str:
    """Return a role binding in one line."""
    where = ", ".join(f"{name} is {value}" for name, value in binding["where"].items())
    until = f", until {binding['until']}" if binding["until"] else ""
    ended = " (ended)" if binding["status"] == "ended" else ""
    return f"{binding['role']} {f'where {where}' if where else 'everywhere'}{until}{ended}"


def _is_over(end: Instant | None, now: Instant) -> bool:
    return end is not None and now >= end


def _instant(at: Instant | None) -> str | None:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at is not None else None
