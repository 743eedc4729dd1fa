"""Which of those involved a requirement speaks about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from extauthz.model.identity import Identity, Principal

PartyName = Literal["everyone", "subject", "actor"]
"""`everyone` is subject, actor and chain; `actor` is the subject when nobody acts for it."""


def parties_of(identity: Identity, name: PartyName) -> tuple[Principal, ...]:
    """Return the parties that `name` means."""
    match name:
        case "subject":
            return (identity.subject,)
        case "actor":
            return (identity.actor or identity.subject,)
        case _:
            return identity.involved
