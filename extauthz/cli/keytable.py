"""API keys for people and for programs: never the secret, which nobody has."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from extauthz.clock import Instant
    from extauthz.state.apikeys import StoredApiKey


def to_document(stored: StoredApiKey, now: Instant) -> dict[str, Any]:
    """Return a key as JSON; instants in UTC (RFC 3339), null where there is none."""
    key = stored.key
    return {
        "key_id": key.key_id,
        "status": status_of(stored, now),
        "subject": key.subject,
        "kind": key.kind.value,
        "tenant": key.tenant,
        "scopes": sorted(key.scopes),
        "roles": sorted(key.roles),
        "networks": list(key.networks),
        "created": _instant(key.created_at),
        "expires": _instant(key.expires_at),
        "revoked": _instant(stored.revoked_at),
        "replaced_by": stored.replaced_by or None,
        "last_used": _instant(stored.used_at),
    }


def status_of(stored: StoredApiKey, now: Instant) -> str:
    """Return `active`, `replaced` (still accepted, for the overlap), `expired`, `revoked` or `forged` (not by us)."""
    if not stored.sealed:
        return "forged"
    if stored.revoked_at is not None:
        return "revoked"
    if now >= stored.key.expires_at:
        return "expired"
    return "replaced" if stored.replaced_by else "active"


def print_table(keys: Sequence[StoredApiKey], now: Instant, screen: Console) -> None:
    """Print one line for each key."""
    from rich.table import Table  # noqa: PLC0415 — loaded only when something is shown
    from rich.text import Text  # noqa: PLC0415 — see above

    table = Table(box=None, pad_edge=False)
    for heading in ("key id", "status", "subject", "kind", "tenant", "scopes", "networks", "expires", "last used"):
        table.add_column(heading, no_wrap=True)
    for stored in keys:
        key = stored.key
        cells = (
            key.key_id,
            status_of(stored, now),
            key.subject,
            key.kind.value,
            key.tenant or "-",
            " ".join(sorted(key.scopes)) or "-",
            " ".join(key.networks) or "any",
            (_instant(key.expires_at) or "")[:16],
            (_instant(stored.used_at) or "never")[:16],
        )
        table.add_row(*(Text(cell) for cell in cells))
    screen.print(table)


def _instant(at: Instant | None) -> str | None:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at is not None else None
